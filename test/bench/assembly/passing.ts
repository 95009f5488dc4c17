// Lets everything pass and looks at nothing: what any filter in WebAssembly costs.

import { HttpContext, registerRoot, RootContext } from '../../../assembly/host/context';
import { Root } from './root';

export * from '../../../assembly/host/exports-passing';

class Stream extends HttpContext {}

registerRoot((id: u32): RootContext => new Root(id, (stream: u32): HttpContext => new Stream(stream)));
