import http from 'node:http';
import http2 from 'node:http2';

/**
 * Makes one call with Node's own client and looks at the whole answer.
 *
 * @param {number} port
 * @param {import('./requests.mjs').Request} request
 * @param {(body: Buffer) => boolean} [good] what the body must be like
 * @returns {Promise<number>} length of the answer's body
 * @throws if the HTTP or the gRPC status is not that of success, or the body is not good
 */
export async function checkedCall(port, request, good = () => true) {
  const answer = await (request.protocol === 'h2' ? overHttp2 : overHttp1)(port, request);
  const { status, grpcStatus, body } = answer;
  const grpc = request.headers['content-type'] === 'application/grpc';
  if (status < 200 || status > 299 || (grpc && grpcStatus !== '0') || !good(body))
    throw new Error(
      `${request.path}: HTTP ${status}, gRPC ${grpcStatus}, ${body.length} bytes: ${body.subarray(0, 200).toString()}`,
    );
  return body.length;
}

async function overHttp2(port, request) {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  try {
    return await new Promise((resolve, reject) => {
      session.once('error', reject);
      const stream = session.request({
        ':method': request.method,
        ':path': request.path,
        ...request.headers,
      });
      const answer = { status: 0, grpcStatus: undefined, chunks: [] };
      const take = (headers) => (answer.grpcStatus ??= headers['grpc-status']);
      stream.once('error', reject);
      stream.on('response', (headers) => {
        answer.status = headers[':status'];
        take(headers);
      });
      stream.on('trailers', take);
      stream.on('data', (chunk) => answer.chunks.push(chunk));
      stream.on('close', () => resolve({ ...answer, body: Buffer.concat(answer.chunks) }));
      stream.end(request.body);
    });
  } finally {
    session.destroy();
  }
}

function overHttp1(port, request) {
  return new Promise((resolve, reject) => {
    const { method, path, headers, body } = request;
    const outgoing = http.request(
      { host: '127.0.0.1', port, method, path, headers, agent: false },
      (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.once('error', reject);
        response.on('end', () => resolve({ status: response.statusCode, body: Buffer.concat(chunks) }));
      },
    );
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}
