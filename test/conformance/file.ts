import { create, fromBinary, toBinary } from '@bufbuild/protobuf';

import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/file_pb.js';
import { Code } from '../../components-bridge/src/primitives/errors.js';
import { Rooms } from '../support/rooms.js';
import type { RoomComponent } from '../support/rooms.js';
import type { TestStream } from '../support/message-stream.js';
import { conformance } from './backends.js';
import type { Subject } from './backends.js';
import { refused } from './state-client.js';

/** A backend that a file store is tested on. */
export interface FileBackend {
  component: Omit<RoomComponent, 'name'>;
  /** How many unfinished files it holds. */
  unfinished(): Promise<number>;
  stop(): Promise<void>;
}

const SERVICE = '/spec.proto.runtime.v1.Runtime';
const LIST = [pb.ListFileRequestSchema, pb.ListFileResponseSchema] as const;
const DELETE = [pb.DelFileRequestSchema, pb.DelFileResponseSchema] as const;
const META = [pb.GetFileMetaRequestSchema, pb.GetFileMetaResponseSchema] as const;

/** File methods on rooms, as a caller uses them. */
export class FileCalls {
  constructor(
    readonly rooms: Rooms,
    private readonly storeName = 'files',
  ) {}

  /** Begins to put a file, with what it holds first. */
  begin(name: string, data: string | Uint8Array, metadata: Record<string, string> = {}): TestStream {
    const first = { storeName: this.storeName, name, metadata, data: Buffer.from(data) };
    return this.more(this.rooms.stream(`${SERVICE}/PutFile`), first);
  }

  more(stream: TestStream, message: { storeName?: string; name?: string; data: Uint8Array }): TestStream {
    return stream.request(toBinary(pb.PutFileRequestSchema, create(pb.PutFileRequestSchema, message)));
  }

  async put(name: string, data: string | Uint8Array, metadata: Record<string, string> = {}): Promise<void> {
    const stream = this.begin(name, data, metadata).end();
    expect(await stream.answer()).toHaveLength(0);
    expect(await stream.answer()).toBeUndefined();
  }

  beginGet(name: string): TestStream {
    const request = create(pb.GetFileRequestSchema, { storeName: this.storeName, name });
    return this.rooms.stream(`${SERVICE}/GetFile`).request(toBinary(pb.GetFileRequestSchema, request)).end();
  }

  async part(stream: TestStream): Promise<Buffer | undefined> {
    const message = await stream.answer();
    return message === undefined
      ? undefined
      : Buffer.from(fromBinary(pb.GetFileResponseSchema, message).data);
  }

  async get(name: string): Promise<Buffer> {
    const stream = this.beginGet(name);
    const parts: Buffer[] = [];
    for (let part = await this.part(stream); part !== undefined; part = await this.part(stream))
      parts.push(part);
    return Buffer.concat(parts);
  }

  list(name: string, pageSize = 0, marker = ''): Promise<pb.ListFileResponse> {
    const request = { request: this.#file(name), pageSize, marker };
    return this.rooms.call('File/ListFile', LIST, request);
  }

  /** Every name in a folder, page by page. */
  async names(folder: string, pageSize: number): Promise<string[]> {
    const names: string[] = [];
    for (let marker = ''; ;) {
      const page = await this.list(folder, pageSize, marker);
      expect(page.files.length).toBeLessThanOrEqual(pageSize);
      names.push(...page.files.map(({ fileName }) => fileName));
      if (!page.isTruncated) return names;
      expect(page.marker).not.toBe(marker);
      marker = page.marker;
    }
  }

  async delete(name: string): Promise<void> {
    await this.rooms.call('File/DelFile', DELETE, { request: this.#file(name) });
  }

  meta(name: string): Promise<pb.GetFileMetaResponse> {
    return this.rooms.call('File/GetFileMeta', META, { request: this.#file(name) });
  }

  #file(name: string): { storeName: string; name: string } {
    return { storeName: this.storeName, name };
  }
}

/** What every file store must do, whatever it is made of. A new store is one call of this. */
export function fileConformance(subject: Subject, start: () => Promise<FileBackend>): void {
  conformance('file', subject, () => {
    let backend: FileBackend;
    let rooms: Rooms;
    let files: FileCalls;

    beforeAll(async () => {
      backend = await start();
      rooms = await Rooms.open([{ ...backend.component, name: 'files' }]);
      files = new FileCalls(rooms);
    });

    afterAll(async () => {
      await rooms?.close();
      await backend?.stop();
    });

    it.each([0, 1, 102_399, 102_400, 102_401, 300_000])('gives back %d bytes', async (size) => {
      const data = Buffer.alloc(size, 'abcdefg');
      await files.put(`sizes/${size}`, data);
      expect(await files.get(`sizes/${size}`)).toEqual(data);
      expect((await files.meta(`sizes/${size}`)).size).toBe(BigInt(size));
    });

    it('puts a file from many messages, of which the first says which', async () => {
      const stream = files.begin('many', 'a');
      for (const data of ['b', '', 'c']) {
        files.more(stream, { storeName: 'other', name: 'other', data: Buffer.from(data) });
      }
      await stream.finish();
      expect((await files.get('many')).toString()).toBe('abc');
      expect(await refused(files.get('other'))).toMatchObject({ code: Code.NOT_FOUND });
    });

    it.each(
      ['a b', 'ä/ö.txt', '日本語', 'per%2Fcent', 'q?a=b#c', '..a', 'a..', '.a', "it's", 'x'.repeat(255)].map(
        (file) => [file.slice(0, 20), file] as const,
      ),
    )('has files with names such as %s', async (_, file) => {
      await files.put(file, file);
      expect((await files.get(file)).toString()).toBe(file);
      await files.delete(file);
      expect(await refused(files.meta(file))).toMatchObject({ code: Code.NOT_FOUND });
    });

    it('replaces a file as a whole, at the end, and whoever reads the old one goes on', async () => {
      const old = Buffer.alloc(250_000, 'old ');
      await files.put('replaced', old);
      const reading = files.beginGet('replaced');
      const parts = [await files.part(reading)];
      const stream = files.begin('replaced', 'new');
      expect(await files.get('replaced')).toEqual(old);
      await stream.finish();
      expect((await files.get('replaced')).toString()).toBe('new');
      for (let part = await files.part(reading); part !== undefined; part = await files.part(reading))
        parts.push(part);
      expect(Buffer.concat(parts as Buffer[])).toEqual(old);
    });

    it('leaves nothing of an upload that is broken off, wherever it is', async () => {
      await files.put('kept', 'old');
      for (const name of ['kept', 'never/was']) {
        const stream = files.begin(name, 'new');
        files.more(stream, { data: Buffer.alloc(200_000) });
        stream.cancel();
        expect(await refused(stream.done)).toMatchObject({ code: Code.CANCELLED });
        const malformed = files.begin(name, 'new').request(Buffer.from([0xff]));
        expect(await refused(malformed.done)).toMatchObject({ code: Code.INVALID_ARGUMENT });
      }
      expect((await files.get('kept')).toString()).toBe('old');
      expect(await refused(files.list('never'))).toMatchObject({ code: Code.NOT_FOUND });
      expect(await backend.unfinished()).toBe(0);
    });

    it('has a file for whoever asks when its put has been sent, though not answered', async () => {
      const turn = () => new Promise((resolve) => setImmediate(resolve));
      for (let i = 0; i < 20; i++) {
        const put = files.begin(`sent/${i}`, 'x').end();
        await turn();
        expect((await files.get(`sent/${i}`)).toString()).toBe('x');
        const longer = files.begin(`sent/${i}`, 'longer').end();
        await turn();
        expect((await files.meta(`sent/${i}`)).size).toBe(6n);
        expect((await files.list('sent')).files).toHaveLength(i + 1);
        for (const one of [put, longer]) expect(await one.answer()).toHaveLength(0);
      }
    });

    it('lets two put the same file, of which one wins as a whole', async () => {
      const [a, b] = ['a', 'b'].map((letter) => Buffer.alloc(200_000, letter)) as [Buffer, Buffer];
      await Promise.all([files.put('twice', a), files.put('twice', b)]);
      const found = await files.get('twice');
      expect(found.equals(a) || found.equals(b)).toBe(true);
    });

    it('reads no further than it is asked to', async () => {
      await files.put('long', Buffer.alloc(1_000_000));
      const stream = files.beginGet('long');
      expect((await files.part(stream))?.length).toBe(102_400);
      stream.cancel();
      expect(await refused(stream.done)).toMatchObject({ code: Code.CANCELLED });
    });

    it('lists a folder by pages, in one order, while files come and go', async () => {
      const names = Array.from({ length: 25 }, (_, i) => `f${String(i).padStart(2, '0')}`);
      for (const file of [...names].reverse()) await files.put(`pages/${file}`, file);
      await files.put('pages/sub/inner', 'x');
      expect(await files.names('pages', 7)).toEqual([...names, 'sub/']);
      expect(await files.names('pages/', 26)).toEqual([...names, 'sub/']);
      expect(await files.names('pages', 1)).toHaveLength(26);
      const first = await files.list('pages', 10);
      expect([first.isTruncated, first.marker]).toEqual([true, 'f09']);
      expect(first.files[0]).toMatchObject({ fileName: 'f00', size: 3n });
      expect(Date.now() - Date.parse(first.files[0]?.lastModified ?? '')).toBeLessThan(60_000);
      await files.delete('pages/f03');
      await files.delete('pages/f09');
      await files.put('pages/f035', 'x');
      await files.put('pages/f095', 'x');
      const second = await files.list('pages', 10, first.marker);
      expect(second.files.map(({ fileName }) => fileName).slice(0, 2)).toEqual(['f095', 'f10']);
      const last = await files.list('pages', 10, 'zzz');
      expect([last.files, last.isTruncated, last.marker]).toEqual([[], false, '']);
      expect(await files.list('pages/sub')).toMatchObject({ files: [{ fileName: 'inner' }] });
      expect(await refused(files.list('nowhere'))).toMatchObject({ code: Code.NOT_FOUND });
      expect(await refused(files.list('pages', -1))).toMatchObject({ code: Code.INVALID_ARGUMENT });
    });

    it('ends a page where a message does', async () => {
      const small = await Rooms.open([{ ...backend.component, name: 'files' }], { messageBytes: 2_048 });
      try {
        const calls = new FileCalls(small);
        const names = Array.from({ length: 20 }, (_, i) => `${'n'.repeat(200)}${i + 10}`);
        for (const file of names) await calls.put(`wide/${file}`, '');
        const { files: page, isTruncated } = await calls.list('wide');
        expect([page.length > 0, page.length < 20, isTruncated]).toEqual([true, true, true]);
        expect(await calls.names('wide', 100)).toEqual(names);
      } finally {
        await small.close();
      }
    });

    it('says of each file that is not there that it is not', async () => {
      const text = 'file not found: none';
      const missing = { code: Code.NOT_FOUND, message: text };
      expect(await refused(files.meta('none'))).toMatchObject(missing);
      expect(await refused(files.delete('none'))).toMatchObject(missing);
      expect(await refused(files.get('none'))).toMatchObject({
        ...missing,
        message: `get file fail,err: ${text}`,
      });
      expect(await refused(files.get('no/thing'))).toMatchObject({ code: Code.NOT_FOUND });
    });

    it.each([
      ['none', ''] as const,
      ...[
        '..',
        '../x',
        'a/../b',
        'a/./b',
        '/etc/passwd',
        'a//b',
        'a\0b',
        'a/',
        'x'.repeat(256),
        'x/'.repeat(3_000) + 'x',
      ].map((file) => [JSON.stringify(file.slice(0, 20)), file] as const),
    ])('refuses the name %s, whatever is done with it', async (_, file) => {
      const invalid = { code: Code.INVALID_ARGUMENT };
      expect(await refused(files.begin(file, 'x').finish())).toMatchObject(invalid);
      expect(await refused(files.get(file))).toMatchObject(invalid);
      expect(await refused(files.meta(file))).toMatchObject(invalid);
      expect(await refused(files.delete(file))).toMatchObject(invalid);
      if (file !== '' && file !== 'a/') expect(await refused(files.list(file))).toMatchObject(invalid);
    });

    it('says which store it does not have', async () => {
      const other = new FileCalls(rooms, 'nope');
      const refusal = (message: string) => ({ code: Code.INVALID_ARGUMENT, message });
      expect(await refused(other.get('a'))).toMatchObject(refusal('not supported store type: nope'));
      expect(await refused(other.begin('a', '').done)).toMatchObject(refusal('not support store type: nope'));
      expect(await refused(other.list('a'))).toMatchObject(refusal('not support store type: nope'));
      for (const method of ['GetFile', 'PutFile']) {
        const empty = rooms.stream(`${SERVICE}/${method}`).end();
        expect(await refused(empty.done)).toMatchObject(refusal("request can't be nil"));
      }
    });
  });
}
