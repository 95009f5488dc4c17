// Metadata, answered inside Envoy from the plugin configuration. Dapr's SDKs
// ask for it before anything else, and want a body that is not empty.

import { Component } from '../../config/configuration';
import { Code } from '../../dialects/codes';
import { answerEmpty, answerError, answerJson } from '../../dialects/dapr-http';
import { Exchange, Step } from '../../dialects/exchange';
import { Handler } from '../../dialects/handler';
import { Router } from '../../dialects/router';
import { ByteWriter } from '../../wire/bytes';
import {
  ActorRuntime,
  ActorRuntime_ActorRuntimeStatus,
  AppConnectionProperties,
  GetMetadataResponse,
  MetadataHTTPEndpoint,
  RegisteredComponents,
  SetMetadataRequest,
} from '../../wire/gen/dapr/proto/runtime/v1/metadata';
import { jsonString } from '../../wire/json-writer';
import { isUtf8, literal, View, viewLen } from '../../wire/view';
import { Extended, setExtended } from './extended';

const RUNTIME_VERSION = literal('daprRuntimeVersion');
const LOOPBACK = literal('127.0.0.1');
const ERR_METADATA_TOO_LARGE = literal('ERR_METADATA_TOO_LARGE');
const ERR_MALFORMED_REQUEST = literal('ERR_MALFORMED_REQUEST');
const TOO_LARGE = literal('extended metadata may hold 65536 bytes in all: this value does not fit');
const NOT_TEXT = literal('a metadata value must be UTF-8 text');
const NOT_PROTOBUF = literal('the request message is not valid protobuf');

/** Components in the order of their names, as Dapr lists them. */
function sorted(components: Array<Component>): Array<Component> {
  const copy = components.slice(0);
  copy.sort((a, b) => compare(a.name, b.name));
  return copy;
}

function compare(a: View, b: View): i32 {
  const shorter = min(viewLen(a), viewLen(b));
  const order = memory.compare(<usize>(<u32>a), <usize>(<u32>b), shorter);
  return order != 0 ? order : viewLen(a) - viewLen(b);
}

function writeComponent(w: ByteWriter, component: Component): void {
  w.text('{"name":');
  jsonString(w, component.name);
  w.text(',"type":');
  jsonString(w, component.type);
  w.text(',"version":');
  jsonString(w, component.version);
  if (component.capabilities.length > 0) {
    w.text(',"capabilities":[');
    for (let i = 0; i < component.capabilities.length; i++) {
      if (i > 0) w.text(',');
      jsonString(w, component.capabilities[i]);
    }
    w.text(']');
  }
  w.text('}');
}

function writeEndpoints(w: ByteWriter, names: Array<View>): void {
  if (names.length == 0) return;
  w.text(',"httpEndpoints":[');
  for (let i = 0; i < names.length; i++) {
    w.text(i > 0 ? ',{"name":' : '{"name":');
    jsonString(w, names[i]);
    w.text('}');
  }
  w.text(']');
}

/** GET /v1.0/metadata */
class GetMetadataHttp extends Handler {
  start(exchange: Exchange): Step {
    const configuration = exchange.configuration;
    const w = exchange.writer();
    w.text('{"id":');
    jsonString(w, configuration.appId);
    w.text(',"runtimeVersion":');
    jsonString(w, configuration.version);
    w.text(',"components":[');
    const components = sorted(configuration.components);
    for (let i = 0; i < components.length; i++) {
      if (i > 0) w.text(',');
      writeComponent(w, components[i]);
    }
    w.text('],"extended":{"daprRuntimeVersion":');
    jsonString(w, configuration.version);
    const extended = new Extended();
    for (let i = 0; i < extended.map.size; i++) {
      w.text(',');
      jsonString(w, extended.map.keys[i]);
      w.text(':');
      jsonString(w, extended.map.values[i]);
    }
    extended.free();
    w.text('}');
    const subscriptions = configuration.subscriptions.json;
    if (viewLen(subscriptions) > 0) {
      w.text(',"subscriptions":');
      w.raw(subscriptions);
    }
    writeEndpoints(w, configuration.invocation.endpoints);
    w.text(',"appConnectionProperties":{');
    if (configuration.appPort > 0) {
      w.text('"port":');
      w.decimal(configuration.appPort);
      w.text(',');
    }
    w.text('"protocol":');
    jsonString(w, configuration.appProtocol);
    w.text(',"channelAddress":"127.0.0.1"},"actorRuntime":{"runtimeStatus":"DISABLED","hostReady":false}}');
    answerJson(exchange, 200, w.view());
    return Step.Answer;
  }
}

/** PUT /v1.0/metadata/{key}: the body is the value. */
class SetMetadataHttp extends Handler {
  start(exchange: Exchange): Step {
    if (!isUtf8(exchange.body)) answerError(exchange, 400, ERR_MALFORMED_REQUEST, NOT_TEXT);
    else if (setExtended(exchange.params[0], exchange.body)) answerEmpty(exchange);
    else answerError(exchange, 400, ERR_METADATA_TOO_LARGE, TOO_LARGE);
    return Step.Answer;
  }
}

/** dapr.proto.runtime.v1.Dapr/GetMetadata */
class GetMetadataGrpc extends Handler {
  start(exchange: Exchange): Step {
    const configuration = exchange.configuration;
    const response = new GetMetadataResponse();
    response.id = configuration.appId;
    response.runtimeVersion = configuration.version;
    const components = sorted(configuration.components);
    for (let i = 0; i < components.length; i++) {
      const registered = new RegisteredComponents();
      registered.name = components[i].name;
      registered.type = components[i].type;
      registered.version = components[i].version;
      registered.capabilities = components[i].capabilities;
      response.registeredComponents.push(registered);
    }
    const endpoints = configuration.invocation.endpoints;
    for (let i = 0; i < endpoints.length; i++) {
      const endpoint = new MetadataHTTPEndpoint();
      endpoint.name = endpoints[i];
      response.httpEndpoints.push(endpoint);
    }
    const app = new AppConnectionProperties();
    app.port = configuration.appPort;
    app.protocol = configuration.appProtocol;
    app.channelAddress = LOOPBACK;
    response.appConnectionProperties = app;
    const actors = new ActorRuntime();
    actors.runtimeStatus = ActorRuntime_ActorRuntimeStatus.DISABLED;
    response.actorRuntime = actors;
    const extended = new Extended();
    response.extendedMetadata = extended.map;
    response.extendedMetadata.set(RUNTIME_VERSION, configuration.version);
    const w = exchange.writer();
    response.encode(w);
    // Messages that stand one after the other are one message.
    w.raw(configuration.subscriptions.message);
    extended.free();
    exchange.answerMessage(w.view());
    return Step.Answer;
  }
}

/** dapr.proto.runtime.v1.Dapr/SetMetadata */
class SetMetadataGrpc extends Handler {
  start(exchange: Exchange): Step {
    const request = new SetMetadataRequest();
    if (!request.decode(exchange.body)) exchange.reply.grpcError(Code.INVALID_ARGUMENT, NOT_PROTOBUF);
    else if (setExtended(request.key, request.value)) exchange.answerMessage(0);
    else exchange.reply.grpcError(Code.RESOURCE_EXHAUSTED, TOO_LARGE);
    return Step.Answer;
  }
}

/** Enters the metadata routes of Dapr's two APIs. */
export function installMetadata(router: Router): void {
  router.http('metadata', 'GetMetadata', 'GET', '/v1.0/metadata', (): Handler => new GetMetadataHttp());
  router.http('metadata', 'SetMetadata', 'PUT', '/v1.0/metadata/{}', (): Handler => new SetMetadataHttp());
  router.grpc(
    'metadata',
    'GetMetadata',
    '/dapr.proto.runtime.v1.Dapr/GetMetadata',
    (): Handler => new GetMetadataGrpc(),
  );
  router.grpc(
    'metadata',
    'SetMetadata',
    '/dapr.proto.runtime.v1.Dapr/SetMetadata',
    (): Handler => new SetMetadataGrpc(),
  );
}
