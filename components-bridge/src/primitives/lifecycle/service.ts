import type { DraftComponent } from '../../config/draft.js';
import { SECTIONS } from '../../config/layotto-sections.js';
import { answerStaleness } from '../../config/answer-in-envoy.js';
import { nearCacheAge } from '../../config/near-cache.js';
import { segmentStep } from '../../config/sequences.js';
import { Findings, formatProblem } from '../../config/problems.js';
import type { CatalogEntry, ComponentConfig } from '../../config/types.js';
import * as pb from '../../gen/layotto/bridge/v1/lifecycle_pb.js';
import type { Call } from '../call.js';
import { decode } from '../decode.js';
import { Code, OperationError } from '../errors.js';
import type { Handler, Service } from '../handler.js';
import type { ComponentRegistry } from '../registry.js';

export interface LifecycleServiceOptions {
  registry: ComponentRegistry;
  catalog: readonly CatalogEntry[];
  /** Whether the app may change components now. */
  mayApply: () => boolean;
}

/** How long new settings may take until they can be used, and what is left of the caller's time for the answer. */
const LONGEST_WAIT_MS = 6_000;
const ANSWER_MS = 500;

const NO_BYTES = new Uint8Array(0);

/** New settings for components while they are in use. */
export class LifecycleService implements Service {
  readonly name = pb.Lifecycle.typeName;
  readonly handlers: ReadonlyMap<string, Handler>;

  constructor(private readonly options: LifecycleServiceOptions) {
    this.handlers = new Map<string, Handler>([
      [`${this.name}/ApplyConfiguration`, (payload, call) => this.#apply(payload, call)],
    ]);
  }

  async #apply(payload: Uint8Array, call: Call): Promise<Uint8Array> {
    const { componentConfig } = decode(pb.DynamicConfigurationSchema, payload);
    if (!this.options.mayApply()) {
      const message = 'the app may not change components: the setting lifecycle.apply is off';
      throw new OperationError(Code.PERMISSION_DENIED, message);
    }
    const { kind = '', name = '', metadata = {} } = componentConfig ?? {};
    const primitive = Object.hasOwn(SECTIONS, kind) ? SECTIONS[kind] : undefined;
    const slot = primitive === undefined ? undefined : this.options.registry.find(primitive, name);
    if (slot === undefined) {
      throw invalid(`component not found. kind: ${kind} , name: ${name}`);
    }
    const config = await this.#checked(slot.config, metadata);
    const wait = Math.min(LONGEST_WAIT_MS, call.deadline - performance.now() - ANSWER_MS);
    const reason = await this.options.registry.exchange(config, Math.max(0, wait));
    if (reason !== undefined) {
      const message = `the new settings of ${name} cannot be used, the old ones stay: ${reason}`;
      throw new OperationError(Code.FAILED_PRECONDITION, message);
    }
    return NO_BYTES;
  }

  /**
   * The component with these settings, and no other ones: what the old ones took from secret stores is not kept, or
   * an app could have it sent anywhere.
   *
   * @throws OperationError that says everything that is wrong with them
   */
  async #checked(before: ComponentConfig, metadata: Record<string, string>): Promise<ComponentConfig> {
    // It brings along what reads configuration files, which a bridge that nobody changes does not need.
    const { checkComponents } = await import('../../config/components.js');
    const findings = new Findings();
    const [after] = checkComponents([draftOf(before, metadata)], this.options.catalog, findings);
    if (after === undefined || findings.problems.length > 0) {
      throw invalid(findings.problems.map(formatProblem).join('; '));
    }
    if (nearCacheAge(after) !== nearCacheAge(before)) {
      throw invalid(
        'metadata.nearCacheMaxAge: can only be changed in the configuration, which Envoy heeds too',
      );
    }
    if (answerStaleness(after) !== answerStaleness(before)) {
      throw invalid(
        'metadata.answerInEnvoy: can only be changed in the configuration, which Envoy heeds too',
      );
    }
    if ((segmentStep(after) === undefined) !== (segmentStep(before) === undefined)) {
      throw invalid(
        'metadata.segmentCacheEnable: can only be changed in the configuration, which Envoy heeds too',
      );
    }
    const { form, access, origin } = before;
    return { ...after, form, ...(access === undefined ? {} : { access }), origin };
  }
}

/** As if it were written in the native form, the one in which nothing is left out in silence. */
function draftOf({ name, type, version }: ComponentConfig, metadata: Record<string, string>): DraftComponent {
  const at = { file: '', line: 0 };
  const values = Object.entries(metadata).map(([key, value]) => {
    return { key, value, ...at, path: `metadata.${key}`, hidden: false };
  });
  const place = { ...at, path: '', typePath: 'type', typeLine: 0 };
  return { name, type, version, form: 'native', metadata: values, ...place };
}

function invalid(message: string): OperationError {
  return new OperationError(Code.INVALID_ARGUMENT, message);
}
