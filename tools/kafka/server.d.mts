/** Types of server.mjs, which is plain JavaScript so that it runs before anything is built. */

export interface KafkaOptions {
  port: number;
  controllerPort: number;
  settings?: Record<string, string>;
}

export function kafkaClassPath(dir: string): Promise<string>;
export function kafkaCommand(
  classPath: string,
  dir: string,
  options: KafkaOptions,
): Promise<[command: string, args: string[]]>;
