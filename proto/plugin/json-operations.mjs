/**
 * Which operations apps may call as JSON, and what the filter must know of each. A new unary method of
 * layotto.bridge.v1 is one of them unless it stands here; components-bridge/src/json/service.spec.ts lists them all, so
 * that none is by chance.
 */

/** @typedef {import('@bufbuild/protobuf').DescFile} DescFile */
/** @typedef {import('@bufbuild/protobuf').DescMethodUnary} DescMethodUnary */

const PACKAGE = 'layotto.bridge.v1';

/** Services and methods that are between filter and bridge, or for operators. */
const INTERNAL = new Set([
  'Bridge',
  'Actuator',
  'Sequencer/GetSegment',
  'Configuration/CallApp',
  'Configuration/UnsubscribeConfiguration',
]);

/** Primitives that are not called like their service. */
const PRIMITIVES = { Hellos: 'hello' };

/** Fields that name a component; the first that a request has. */
const COMPONENT_FIELDS = ['store_name', 'service_name'];
/** The same where the field is called otherwise; null: the call is about no component that the filter could check. */
const OTHER_COMPONENTS = { 'Binding/InvokeBinding': 'name', 'Lifecycle/ApplyConfiguration': null };

/** Methods that may be performed twice without harm: those that read, and these. */
const READS = /^(Get|List)/;
const REPEATABLE = new Set(['Hellos/SayHello', 'Lock/LockKeepAlive']);
const NOT_REPEATABLE = new Set(['Sequencer/GetNextId']);

/**
 * @typedef {object} JsonOperation
 * @property {DescMethodUnary} method
 * @property {string} primitive
 * @property {string} path of the HTTP route
 * @property {string} parent JSON name of the field whose message names the component; empty: the request does
 * @property {string} component proto name of that field; empty: none
 * @property {boolean} idempotent
 */

/**
 * @param {readonly DescFile[]} files
 * @returns {JsonOperation[]}
 */
export function jsonOperations(files) {
  return files
    .filter((file) => file.proto.package === PACKAGE)
    .flatMap((file) => file.services)
    .filter((service) => !INTERNAL.has(service.name))
    .flatMap((service) => service.methods)
    .filter((method) => method.methodKind === 'unary' && !INTERNAL.has(idOf(method)))
    .map(operationOf);
}

function idOf(method) {
  return `${method.parent.name}/${method.name}`;
}

function operationOf(method) {
  const id = idOf(method);
  const primitive = PRIMITIVES[method.parent.name] ?? method.parent.name.toLowerCase();
  return {
    method,
    primitive,
    path: `/v1.0-layotto/${primitive}/${method.name}`,
    ...componentOf(method, id),
    idempotent: (READS.test(method.name) && !NOT_REPEATABLE.has(id)) || REPEATABLE.has(id),
  };
}

function componentOf(method, id) {
  const named = OTHER_COMPONENTS[id];
  if (named === null) return { parent: '', component: '' };
  const wanted = named === undefined ? COMPONENT_FIELDS : [named];
  const find = (message) => message.fields.find((field) => wanted.includes(field.name))?.name;
  const own = find(method.input);
  if (own !== undefined) return { parent: '', component: own };
  for (const field of method.input.fields) {
    const inner = field.fieldKind === 'message' ? find(field.message) : undefined;
    if (inner !== undefined) return { parent: field.name, component: inner };
  }
  throw new Error(`${id}: no field names a component; say in ${import.meta.url} which one does`);
}
