import type { DescMessage } from '@bufbuild/protobuf';

import { clip } from '../policy/clip.js';
import * as pb from '../gen/layotto/bridge/v1/secret_pb.js';
import { Code } from '../primitives/errors.js';
import { DAPR, forwarded, LAYOTTO, NOT_PROTOBUF } from './method.js';
import type { UnaryMethod } from './method.js';
import type { Refused } from './refused.js';

const SECRET = 'secret';

/** How one API says what is wrong with a call; neither adds details. */
interface Spelling {
  service: string;
  notConfigured: string;
  /** Before the name of a store that is not there. */
  notFound: string;
  /** Before the reason of a failure to get one secret, and all of them. */
  get(store: string, key: string): string;
  getBulk(store: string): string;
}

const SPELLINGS: readonly Spelling[] = [
  {
    service: LAYOTTO,
    notConfigured: 'error when get secret but not find configured',
    notFound: 'error when get secret but not find : ',
    get: (store, key) => `error when get secret : secret name => ${key},store name =>${store},error => `,
    getBulk: (store) => `error when bulk get secret ${store}: `,
  },
  {
    service: DAPR,
    notConfigured: 'secret store is not configured',
    notFound: 'failed finding secret store with key ',
    get: (store, key) => `failed getting secret with key ${key} from secret store ${store}: `,
    getBulk: (store) => `failed getting secrets from secret store ${store}: `,
  },
];

/** The secret methods of both APIs: their messages are the bridge's. */
export function secretMethods(): UnaryMethod[] {
  return SPELLINGS.flatMap((spelling) => [
    secretMethod(spelling, 'GetSecret', pb.GetSecretRequestSchema, (store, key) => spelling.get(store, key)),
    secretMethod(spelling, 'GetBulkSecret', pb.GetBulkSecretRequestSchema, (store) =>
      spelling.getBulk(store),
    ),
  ]);
}

function secretMethod(
  { service, notConfigured, notFound }: Spelling,
  name: string,
  request: DescMessage,
  failing: (store: string, key: string) => string,
): UnaryMethod {
  const of = (asked: unknown) => asked as { storeName: string; key?: string };
  return forwarded({
    path: service + name,
    primitive: SECRET,
    operation: `${pb.Secret.typeName}/${name}`,
    request,
    malformed: { code: Code.INVALID_ARGUMENT, message: NOT_PROTOBUF },
    component: (asked) => of(asked).storeName,
    subject: (asked) => of(asked).key,
    check: (asked, behind): Refused | undefined => {
      const { storeName } = of(asked);
      if (behind.find(SECRET, storeName) !== undefined) return undefined;
      return behind.serves(SECRET)
        ? { code: Code.INVALID_ARGUMENT, message: notFound + clip(storeName) }
        : { code: Code.FAILED_PRECONDITION, message: notConfigured };
    },
    failed: ({ code, message }, asked) => {
      const { storeName, key = '' } = of(asked);
      // Who may not read a secret is told that and no more, in the same words everywhere.
      const before = code === Code.PERMISSION_DENIED ? '' : failing(clip(storeName), clip(key));
      // Both APIs call a secret that is not there INTERNAL.
      return { code: code === Code.NOT_FOUND ? Code.INTERNAL : code, message: before + clip(message) };
    },
  });
}
