/** Layotto's file methods, by the gRPC client in the npm package `layotto`. Streams heed back-pressure. */
import { createRequire } from 'node:module';

import { credentials } from '@grpc/grpc-js';

const require = createRequire(import.meta.url);
const pb = require('layotto/proto/runtime/v1/runtime_pb.js');
const { RuntimeClient } = require('layotto/proto/runtime/v1/runtime_grpc_pb.js');

export class Files {
  #client;
  #storeName;

  /**
   * @param {string} address host:port
   * @param {string} storeName
   */
  constructor(address, storeName) {
    this.#client = new RuntimeClient(address, credentials.createInsecure());
    this.#storeName = storeName;
  }

  close() {
    this.#client.close();
  }

  /**
   * Puts a file from parts. An error among them breaks the upload off.
   * @param {string} name
   * @param {Iterable<Uint8Array>} parts
   */
  async put(name, parts) {
    let call;
    const answered = new Promise((resolve, reject) => {
      call = this.#client.putFile((error) => (error ? reject(error) : resolve()));
    });
    call.on('error', () => undefined);
    try {
      for (const part of parts) {
        const message = new pb.PutFileRequest();
        message.setStoreName(this.#storeName);
        message.setName(name);
        message.setData(part);
        // One at a time: Node does not send the end of a stream that is cancelled while some of it is still to be sent.
        await Promise.race([new Promise((resolve) => call.write(message, resolve)), answered]);
      }
    } catch (error) {
      answered.catch(() => undefined);
      call.cancel();
      throw error;
    }
    call.end();
    await answered;
  }

  /** @param {string} name */
  async *get(name) {
    for await (const message of this.#client.getFile(this.#request(name))) yield message.getData_asU8();
  }

  /** One page of a folder. */
  async list(folder, pageSize, marker = '') {
    const request = new pb.ListFileRequest();
    request.setRequest(this.#request(folder));
    request.setPageSize(pageSize);
    request.setMarker(marker);
    const page = await this.#unary('listFile', request);
    const names = page.getFilesList().map((file) => file.getFileName());
    return { names, marker: page.getIsTruncated() ? page.getMarker() : undefined };
  }

  async meta(name) {
    const request = new pb.GetFileMetaRequest();
    request.setRequest(this.#request(name));
    const meta = await this.#unary('getFileMeta', request);
    return { size: meta.getSize(), lastModified: meta.getLastModified() };
  }

  async delete(name) {
    const request = new pb.DelFileRequest();
    request.setRequest(this.#request(name));
    await this.#unary('delFile', request);
  }

  #request(name) {
    const request = new pb.GetFileRequest();
    request.setStoreName(this.#storeName);
    request.setName(name);
    return request;
  }

  #unary(method, request) {
    return new Promise((resolve, reject) => {
      this.#client[method](request, (error, answer) => (error ? reject(error) : resolve(answer)));
    });
  }
}
