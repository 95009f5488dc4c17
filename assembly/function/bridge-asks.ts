// What a function asks the bridge for.

import { bridgeMethod } from '../dialects/bridge-method';
import { Route } from '../dialects/router';
import { GetConfigurationResponse } from '../wire/gen/layotto/bridge/v1/configuration';
import { PublishEventResponse } from '../wire/gen/layotto/bridge/v1/pubsub';
import { GetStateResponse } from '../wire/gen/layotto/bridge/v1/state';
import { View, viewToString } from '../wire/view';
import { Ask } from './ask';
import { Call } from './call';
import { Handler } from './handler';
import { ConfigurationValue, copied, StateValue } from './results';

export const GET_STATE = bridgeMethod('layotto.bridge.v1.State/GetState');
export const SAVE_STATE = bridgeMethod('layotto.bridge.v1.State/SaveState');
export const DELETE_STATE = bridgeMethod('layotto.bridge.v1.State/DeleteState');
export const GET_CONFIGURATION = bridgeMethod('layotto.bridge.v1.Configuration/GetConfiguration');
export const PUBLISH_EVENT = bridgeMethod('layotto.bridge.v1.PubSub/PublishEvent');

export class StateAsk extends Ask {
  constructor(call: Call, route: Route, key: string) {
    super(call, route, key);
  }

  protected hand(handler: Handler, payload: View): bool {
    const response = new GetStateResponse();
    if (!response.decode(payload)) return false;
    const value = new StateValue(this.subject, copied(response.data), viewToString(response.etag));
    handler.onState(this.call, value);
    return true;
  }
}

export class SaveAsk extends Ask {
  constructor(call: Call, route: Route, key: string) {
    super(call, route, key);
  }

  protected hand(handler: Handler, payload: View): bool {
    handler.onSaved(this.call, this.subject);
    return true;
  }
}

export class DeleteAsk extends Ask {
  constructor(call: Call, route: Route, key: string) {
    super(call, route, key);
  }

  protected hand(handler: Handler, payload: View): bool {
    handler.onDeleted(this.call, this.subject);
    return true;
  }
}

export class ConfigurationAsk extends Ask {
  constructor(call: Call, route: Route, store: string) {
    super(call, route, store);
  }

  protected hand(handler: Handler, payload: View): bool {
    const response = new GetConfigurationResponse();
    if (!response.decode(payload)) return false;
    const values: Array<ConfigurationValue> = [];
    for (let i = 0; i < response.items.length; i++) {
      const item = response.items[i];
      const key = viewToString(item.key);
      const content = viewToString(item.content);
      values.push(new ConfigurationValue(key, content, viewToString(item.group), viewToString(item.label)));
    }
    handler.onConfiguration(this.call, values);
    return true;
  }
}

export class PublishAsk extends Ask {
  constructor(call: Call, route: Route, topic: string) {
    super(call, route, topic);
  }

  protected hand(handler: Handler, payload: View): bool {
    const response = new PublishEventResponse();
    if (!response.decode(payload)) return false;
    handler.onPublished(this.call, viewToString(response.messageId));
    return true;
  }
}
