import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/binding_pb.js';
import { Code } from '../../components-bridge/src/primitives/errors.js';
import { Rooms } from '../support/rooms.js';
import type { RoomComponent } from '../support/rooms.js';
import { conformance } from './backends.js';
import type { Subject } from './backends.js';
import { refused } from './state-client.js';
import type { Refusal } from './state-client.js';

/** An invocation that a backend understands. */
export interface Request {
  operation: string;
  data?: string;
  metadata?: Record<string, string>;
}

/** A backend that an output binding is tested on. */
export interface BindingBackend {
  component: Omit<RoomComponent, 'name'>;
  /** Its operations, as callers are told. */
  operations: string;
  /** Keeps a text in the backend under a name, and gives it back. */
  keep(name: string, text: string): Request;
  fetch(name: string): Request;
  /** Asks for something that is not there, and what callers are told. */
  miss: { request: Request; message: RegExp };
  stop(): Promise<void>;
}

const INVOKE = [pb.InvokeBindingRequestSchema, pb.InvokeBindingResponseSchema] as const;

export interface Result {
  data: string;
  metadata: Record<string, string>;
}

/** Invokes the binding `b`. */
export async function invoke(
  rooms: Rooms,
  { operation, data = '', metadata = {} }: Request,
  more: Parameters<Rooms['call']>[3] = {},
): Promise<Result> {
  const request = { name: 'b', operation, data: Buffer.from(data), metadata };
  const answer = await rooms.call('Binding/InvokeBinding', INVOKE, request, more);
  return { data: Buffer.from(answer.data).toString(), metadata: answer.metadata };
}

/** What every output binding must do, whatever it is made of. A new binding is one call of this. */
export function bindingConformance(subject: Subject, start: () => Promise<BindingBackend>): void {
  conformance('binding', subject, () => {
    let backend: BindingBackend;
    let rooms: Rooms;

    beforeAll(async () => {
      backend = await start();
      rooms = await Rooms.open([{ ...backend.component, name: 'b' }], { messageBytes: 10_000 });
    });

    afterAll(async () => {
      await rooms?.close();
      await backend?.stop();
    });

    const refusal = (request: Request): Promise<Refusal> => refused(invoke(rooms, request));

    it('sends data and brings it back, every byte of it', async () => {
      const text = 'ü € 𝄞\0\n{"a":1}';
      await invoke(rooms, backend.keep('k', text));
      expect((await invoke(rooms, backend.fetch('k'))).data).toBe(text);
    });

    it.each(['zap', '', 'GET', 'toString'])('refuses the operation %p', async (operation) => {
      expect(await refusal({ operation })).toEqual({
        code: Code.INTERNAL,
        message: `binding b does not support operation ${operation}. supported operations:${backend.operations}`,
      });
    });

    it('tells of what fails', async () => {
      const { code, message } = await refusal(backend.miss.request);
      expect(code).toBe(Code.INTERNAL);
      expect(message).toMatch(backend.miss.message);
    });

    it('refuses an answer that is too long', async () => {
      await invoke(rooms, backend.keep('long', 'x'.repeat(9_000)));
      expect((await invoke(rooms, backend.fetch('long'))).data).toHaveLength(9_000);
      await invoke(rooms, backend.keep('longer', 'x'.repeat(10_001)));
      const { code, message } = await refusal(backend.fetch('longer'));
      expect(code).toBe(Code.RESOURCE_EXHAUSTED);
      expect(message).toMatch(/10000/);
    });

    it('serves many calls at once', async () => {
      const names = Array.from({ length: 40 }, (_, index) => `many-${index}`);
      await Promise.all(names.map((key) => invoke(rooms, backend.keep(key, key))));
      const answers = await Promise.all(names.map((key) => invoke(rooms, backend.fetch(key))));
      expect(answers.map(({ data }) => data)).toEqual(names);
    });
  });
}
