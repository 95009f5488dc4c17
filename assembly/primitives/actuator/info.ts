// What runs here.

import { answerJson } from '../../dialects/dapr-http';
import { Exchange, Step } from '../../dialects/exchange';
import { Handler } from '../../dialects/handler';
import { JsonWriter } from '../../wire/json-writer';
import { literal } from '../../wire/view';

const APP = literal('app');
const NAME = literal('name');
const LAYOTTO = literal('Layotto');
const VERSION = literal('version');
const ID = literal('id');
const COMPONENTS = literal('components');
const TYPE = literal('type');
const PRIMITIVE = literal('primitive');

/** GET /actuator/info: `app` as Layotto has it, and beside it the app's id and the components. */
export class Info extends Handler {
  start(exchange: Exchange): Step {
    const configuration = exchange.configuration;
    const body = exchange.writer();
    const w = new JsonWriter(body);
    w.beginObject();
    w.key(APP);
    w.beginObject();
    w.key(NAME);
    w.string(LAYOTTO);
    w.key(VERSION);
    w.string(configuration.version);
    w.endObject();
    w.key(ID);
    w.string(configuration.appId);
    w.key(COMPONENTS);
    w.beginArray();
    for (let i = 0; i < configuration.components.length; i++) {
      const component = configuration.components[i];
      w.beginObject();
      w.key(NAME);
      w.string(component.name);
      w.key(TYPE);
      w.string(component.type);
      w.key(PRIMITIVE);
      w.string(component.primitive);
      w.endObject();
    }
    w.endArray();
    w.endObject();
    answerJson(exchange, 200, body.view());
    return Step.Answer;
  }
}
