// Dapr's error details (google.rpc.Status with BadRequest, ResourceInfo and
// ErrorInfo), as gRPC carries them.

import { encodeBase64 } from '../wire/base64';
import { ByteWriter } from '../wire/bytes';
import {
  BadRequest,
  BadRequest_FieldViolation,
  Detail,
  ErrorInfo,
  ResourceInfo,
  Status,
} from '../wire/gen/google/rpc/status';
import { isUtf8, literal, View, viewSlice } from '../wire/view';
import { Exchange } from './exchange';

const DOMAIN = literal('dapr.io');
const BAD_REQUEST_TYPE = literal('type.googleapis.com/google.rpc.BadRequest');
const RESOURCE_INFO_TYPE = literal('type.googleapis.com/google.rpc.ResourceInfo');
const ERROR_INFO_TYPE = literal('type.googleapis.com/google.rpc.ErrorInfo');

/** Gathers details in the order Dapr sends them: BadRequest, ResourceInfo, ErrorInfo. */
export class DaprDetails {
  private status: Status = new Status();
  private writers: Array<ByteWriter> = [];

  /** @param code google.rpc.Code @param message the error's text */
  constructor(code: i32, message: View) {
    this.status.code = code;
    this.status.message = message;
  }

  badRequest(field: View, description: View): void {
    const violation = new BadRequest_FieldViolation();
    violation.field = field;
    violation.description = description;
    const detail = new BadRequest();
    detail.fieldViolations.push(violation);
    const w = new ByteWriter();
    detail.encode(w);
    this.add(BAD_REQUEST_TYPE, w);
  }

  resourceInfo(type: View, name: View): void {
    const detail = new ResourceInfo();
    detail.resourceType = type;
    detail.resourceName = name;
    const w = new ByteWriter();
    detail.encode(w);
    this.add(RESOURCE_INFO_TYPE, w);
  }

  errorInfo(reason: View): void {
    const detail = new ErrorInfo();
    detail.reason = reason;
    detail.domain = DOMAIN;
    const w = new ByteWriter();
    detail.encode(w);
    this.add(ERROR_INFO_TYPE, w);
  }

  /** An ErrorInfo about an app's answer. */
  httpFailure(reason: View, status: View, body: View): void {
    const detail = new ErrorInfo();
    detail.reason = reason;
    detail.domain = DOMAIN;
    detail.metadata.append(HTTP_CODE, status);
    detail.metadata.append(HTTP_MESSAGE, body);
    const w = new ByteWriter();
    detail.encode(w);
    this.add(ERROR_INFO_TYPE, w);
  }

  private add(type: View, w: ByteWriter): void {
    const detail = new Detail();
    detail.typeUrl = type;
    detail.value = w.view();
    this.status.details.push(detail);
    this.writers.push(w);
  }

  /** The value of grpc-status-details-bin; it lives as long as the exchange. */
  encode(exchange: Exchange): ByteWriter {
    const text = exchange.writer();
    this.encodeTo(text);
    return text;
  }

  /** Writes the same. */
  encodeTo(text: ByteWriter): void {
    const binary = new ByteWriter();
    this.status.encode(binary);
    encodeBase64(binary.view(), text, false);
    binary.free();
    for (let i = 0; i < this.writers.length; i++) this.writers[i].free();
  }
}

/**
 * Writes what Dapr tells of an app's HTTP answer that is an error.
 *
 * @param code google.rpc.Code @param reason the status's name @param body what the app said, of which Dapr tells the beginning
 */
export function writeHttpFailure(w: ByteWriter, code: i32, reason: string, status: i32, body: View): void {
  const name = new ByteWriter();
  name.text(reason);
  const number = new ByteWriter(8);
  number.decimal(status);
  const details = new DaprDetails(code, name.view());
  // A piece of text that is none would make the whole of it unreadable.
  const told = viewSlice(body, 0, TOLD_LENGTH);
  details.httpFailure(name.view(), number.view(), isUtf8(told) ? told : 0);
  details.encodeTo(w);
  name.free();
  number.free();
}

const HTTP_CODE = literal('http.code');
const HTTP_MESSAGE = literal('http.error_message');
const TOLD_LENGTH: i32 = 64;
