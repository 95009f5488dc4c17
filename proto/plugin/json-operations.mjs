import { getOption } from '@bufbuild/protobuf';

/** @typedef {import('@bufbuild/protobuf').DescMethod} DescMethod */
/** @typedef {import('@bufbuild/protobuf').DescMessage} DescMessage */
/** @typedef {import('@bufbuild/protobuf').DescFile} DescFile */

/** The package of the runtime's own services, which stand in calls without it. */
const PACKAGE = 'layotto.bridge.v1.';

const OPTION = `${PACKAGE}json`;

/** What stands for every key of a component. */
const ALL = '*';

/** google.protobuf.MethodOptions.IdempotencyLevel IDEMPOTENCY_UNKNOWN: what a method has that says nothing. */
const IDEMPOTENCY_UNKNOWN = 0;

/**
 * One operation of the JSON door.
 * @typedef {object} JsonOperation
 * @property {DescMethod} method
 * @property {string} primitive
 * @property {string} path of the HTTP request
 * @property {string} call the bridge's method that takes the request as JSON
 * @property {boolean} idempotent it may be performed twice without harm
 * @property {Names | undefined} component where the request names its component
 * @property {Names | undefined} writes where the request names the keys that it writes
 * @property {boolean} writesAll it may change what any read of the component answers
 */

/**
 * A field inside a message, by both names that proto3 JSON takes.
 * @typedef {object} Names
 * @property {string} json for example "request.storeName"
 * @property {string} proto for example "request.store_name"
 */

/**
 * The methods with the option `json`, in order of their paths.
 * @param {readonly DescFile[]} files
 * @returns {JsonOperation[]}
 */
export function jsonOperations(files) {
  const option = files.flatMap((file) => file.extensions).find(({ typeName }) => typeName === OPTION);
  if (option === undefined) throw new Error(`no file defines the option ${OPTION}`);
  return files
    .flatMap((file) => file.services)
    .flatMap((service) => service.methods)
    .flatMap((method) => operationOf(method, option))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/**
 * @param {DescMethod} method
 * @param {import('@bufbuild/protobuf').DescExtension} option
 * @returns {JsonOperation[]} none if it has no such option
 */
function operationOf(method, option) {
  const door = /** @type {{ primitive: string, component: string, writes: string }} */ (
    getOption(method, option)
  );
  if (door.primitive === '') return [];
  const name = `${method.parent.typeName}/${method.name}`;
  if (method.methodKind !== 'unary') throw new Error(`${name}: only unary methods can be JSON operations`);
  return [
    {
      method,
      primitive: door.primitive,
      path: `/v1.0-layotto/${door.primitive}/${method.name}`,
      call: `${PACKAGE}Json/${method.parent.typeName.replace(PACKAGE, '')}.${method.name}`,
      idempotent: method.idempotency !== IDEMPOTENCY_UNKNOWN,
      component: names(method.input, door.component, name),
      writes: names(method.input, door.writes === ALL ? '' : door.writes, name),
      writesAll: door.writes === ALL,
    },
  ];
}

/**
 * @param {DescMessage} message
 * @param {string} path names of fields with dots between them
 * @param {string} where for errors
 * @returns {Names | undefined}
 */
function names(message, path, where) {
  if (path === '') return undefined;
  /** @type {DescMessage | undefined} */
  let at = message;
  const json = path.split('.').map((name) => {
    const field = at?.fields.find((candidate) => candidate.name === name);
    if (field === undefined) throw new Error(`${where}: option json names ${path}, which is no field`);
    at = field.message;
    return field.jsonName;
  });
  return { json: json.join('.'), proto: path };
}
