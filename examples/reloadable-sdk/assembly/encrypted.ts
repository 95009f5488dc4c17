// The second version: bodies are encrypted, and Envoy repeats calls that failed. The key is the plugin configuration,
// 64 hexadecimal digits.

import { bytes, bytesLength, bytesPtr, constant } from '../../../assembly/host/bytes';
import { randomU64 } from '../../../assembly/host/clock';
import { HttpContext, registerRoot, RootContext } from '../../../assembly/host/context';
import { Action, Buffer, HeaderMap, LogLevel } from '../../../assembly/host/enums';
import { getHeader, removeHeader, replaceHeader } from '../../../assembly/host/headers';
import { log } from '../../../assembly/host/log';
import { release } from '../../../assembly/host/memory';
import { getBuffer, replaceBuffer } from '../../../assembly/host/stream';
import { chacha20, NONCE_BYTES } from './chacha20';

export * from '../../../assembly/host/exports';

const SDK = constant('x-sdk');
const CHACHA20 = constant('chacha20');
const NONCE = constant('x-sdk-nonce');
const RETRY_ON = constant('x-envoy-retry-on');
const FAILURES = constant('5xx,reset,connect-failure');
const RETRIES = constant('x-envoy-max-retries');
const THREE = constant('3');

const KEY_BYTES: i32 = 32;

function digit(byte: u8): i32 {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  return byte >= 0x61 && byte <= 0x66 ? byte - 0x57 : -1;
}

/** Reads hexadecimal digits; false if there are not exactly so many, or others. */
function fromHex(text: u64, to: usize, length: i32): bool {
  if (bytesLength(text) != 2 * length) return false;
  for (let i = 0; i < length; i++) {
    const high = digit(load<u8>(bytesPtr(text) + 2 * i));
    const low = digit(load<u8>(bytesPtr(text) + 2 * i + 1));
    if (high < 0 || low < 0) return false;
    store<u8>(to + i, (high << 4) | low);
  }
  return true;
}

class EncryptedCall extends HttpContext {
  private readonly nonce: ArrayBuffer = new ArrayBuffer(NONCE_BYTES);
  private answerIsEncrypted: bool = false;

  constructor(
    id: u32,
    private readonly key: usize,
  ) {
    super(id);
  }

  onRequestHeaders(count: u32, endOfStream: bool): Action {
    const nonce = changetype<usize>(this.nonce);
    store<u64>(nonce, randomU64());
    store<u32>(nonce + 8, <u32>randomU64());
    let hex = '';
    for (let i = 0; i < NONCE_BYTES; i++) hex += (0x100 + <u32>load<u8>(nonce + i)).toString(16).substring(1);
    const text = String.UTF8.encode(hex);
    replaceHeader(HeaderMap.RequestHeaders, SDK, CHACHA20);
    replaceHeader(HeaderMap.RequestHeaders, NONCE, bytes(changetype<usize>(text), text.byteLength));
    replaceHeader(HeaderMap.RequestHeaders, RETRY_ON, FAILURES);
    replaceHeader(HeaderMap.RequestHeaders, RETRIES, THREE);
    return Action.Continue;
  }

  onRequestBody(size: u32, endOfStream: bool): Action {
    if (!endOfStream) return Action.Pause;
    this.turn(Buffer.RequestBody, size);
    return Action.Continue;
  }

  onResponseHeaders(count: u32, endOfStream: bool): Action {
    const nonce = getHeader(HeaderMap.ResponseHeaders, NONCE);
    this.answerIsEncrypted = fromHex(nonce, changetype<usize>(this.nonce), NONCE_BYTES);
    release(nonce);
    if (this.answerIsEncrypted) removeHeader(HeaderMap.ResponseHeaders, NONCE);
    return Action.Continue;
  }

  onResponseBody(size: u32, endOfStream: bool): Action {
    if (!this.answerIsEncrypted) return Action.Continue;
    if (!endOfStream) return Action.Pause;
    this.turn(Buffer.ResponseBody, size);
    return Action.Continue;
  }

  /** Encrypts or decrypts a whole body; it stays as long as it is. */
  private turn(body: Buffer, size: u32): void {
    const content = getBuffer(body, 0, size);
    chacha20(this.key, changetype<usize>(this.nonce), bytesPtr(content), bytesLength(content));
    replaceBuffer(body, size, content);
    release(content);
  }
}

class Encrypted extends RootContext {
  private readonly key: ArrayBuffer = new ArrayBuffer(KEY_BYTES);

  onConfigure(size: u32): bool {
    const text = this.readConfiguration(size);
    const good = fromHex(text, changetype<usize>(this.key), KEY_BYTES);
    release(text);
    if (!good) log(LogLevel.Error, 'sdk: the configuration must be a key of 64 hexadecimal digits');
    return good;
  }

  createHttpContext(id: u32): HttpContext {
    return new EncryptedCall(id, changetype<usize>(this.key));
  }
}

registerRoot((id: u32): RootContext => new Encrypted(id));
