// Dapr's rich error bodies for state: plain errors with "details".

import { answerError } from '../../dialects/dapr-http';
import { clip, Exchange } from '../../dialects/exchange';
import { ByteWriter } from '../../wire/bytes';
import { jsonString } from '../../wire/json-writer';
import { literal, View, viewLen } from '../../wire/view';
import {
  DAPR_STATE_ILLEGAL_KEY,
  DAPR_STATE_NOT_CONFIGURED,
  DAPR_STATE_NOT_FOUND,
  ERR_MALFORMED_REQUEST,
  ERR_STATE_STORE_NOT_SUPPORTED,
} from './dapr-grpc';
import { refusalText } from './grpc';
import { Refusal } from './operations';

const ERR_STATE_STORE_NOT_FOUND = literal('ERR_STATE_STORE_NOT_FOUND');
const ERR_STATE_STORE_NOT_CONFIGURED = literal('ERR_STATE_STORE_NOT_CONFIGURED');
const ERR_STATE_QUERY = literal('ERR_STATE_QUERY');
const DAPR_STATE_TRANSACTIONS_NOT_SUPPORTED = literal('DAPR_STATE_TRANSACTIONS_NOT_SUPPORTED');
const DAPR_STATE_QUERY_FAILED = literal('DAPR_STATE_QUERY_FAILED');

function errorInfo(w: ByteWriter, reason: View, appId: View): void {
  w.text('{"@type":"type.googleapis.com/google.rpc.ErrorInfo","domain":"dapr.io","metadata":');
  if (appId != 0) {
    w.text('{"appID":');
    jsonString(w, appId);
    w.text('}');
  } else w.text('null');
  w.text(',"reason":');
  jsonString(w, reason);
  w.text('}');
}

function resourceInfo(w: ByteWriter, store: View): void {
  w.text(
    '{"@type":"type.googleapis.com/google.rpc.ResourceInfo","description":"","owner":"","resource_name":',
  );
  jsonString(w, clip(store));
  w.text(',"resource_type":"state"}');
}

/** The store is not there: 400, or 500 when there is none at all. */
export function storeRefused(exchange: Exchange, refusal: Refusal, store: View): void {
  const none = refusal == Refusal.NotConfigured;
  const details = exchange.writer();
  details.text('[');
  errorInfo(details, none ? DAPR_STATE_NOT_CONFIGURED : DAPR_STATE_NOT_FOUND, exchange.configuration.appId);
  details.text(']');
  answerError(
    exchange,
    none ? 500 : 400,
    none ? ERR_STATE_STORE_NOT_CONFIGURED : ERR_STATE_STORE_NOT_FOUND,
    refusalText(exchange, refusal, store, 0),
    details.view(),
  );
}

/** A key with "||". @param field the key, or no bytes where Dapr names none @param text what is wrong with it */
export function illegalKey(exchange: Exchange, store: View, field: View, text: View): void {
  const message = exchange.writer();
  message.text('api error: code = InvalidArgument desc = ');
  message.raw(text);
  const details = exchange.writer();
  details.text('[{"@type":"type.googleapis.com/google.rpc.BadRequest","field_violations":[{');
  if (viewLen(field) > 0) {
    details.text('"field":');
    jsonString(details, clip(field));
    details.text(',');
  }
  details.text('"description":');
  jsonString(details, message.view());
  details.text('}]},');
  resourceInfo(details, store);
  details.text(',');
  errorInfo(details, DAPR_STATE_ILLEGAL_KEY, 0);
  details.text(']');
  answerError(exchange, 400, ERR_MALFORMED_REQUEST, message.view(), details.view());
}

/** The store has no transactions. */
export function notTransactional(exchange: Exchange, store: View): void {
  const details = exchange.writer();
  details.text('[');
  resourceInfo(details, store);
  details.text(',');
  errorInfo(details, DAPR_STATE_TRANSACTIONS_NOT_SUPPORTED, 0);
  details.text(']');
  const text = refusalText(exchange, Refusal.NotTransactional, store, 0);
  answerError(exchange, 500, ERR_STATE_STORE_NOT_SUPPORTED, text, details.view());
}

/** The store has no queries. */
export function queryUnsupported(exchange: Exchange, store: View): void {
  const message = exchange.writer();
  message.text('state store ');
  message.raw(clip(store));
  message.text(' query failed: the store does not support queries');
  const details = exchange.writer();
  details.text('[');
  resourceInfo(details, store);
  details.text(',');
  errorInfo(details, DAPR_STATE_QUERY_FAILED, 0);
  details.text(']');
  answerError(exchange, 500, ERR_STATE_QUERY, message.view(), details.view());
}
