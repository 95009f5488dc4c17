// What a function is written with: `import { Call, Handler, serve } from 'layotto/function'`.

export { Call } from './call';
export { Handler, serve } from './handler';
export { Answer, ConfigurationValue, Content, Failure, StateValue } from './results';
