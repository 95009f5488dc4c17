/**
 * A Kafka of one node, without ZooKeeper, for tests and examples: its jars come from Maven, a Java runs it.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { ToolError } from '../get.mjs';

/** A plugin of its own version, so that Maven's many default ones are not needed. */
const CLASS_PATH = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath';
/** Long enough for a cold machine to fetch 43 MB. */
const FETCH_MS = 240_000;
const FORMAT_MS = 60_000;
/** Small, quick to start, and without a compiler that would make it quick later. */
const JAVA = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];

/**
 * Where Kafka's jars are, as Java takes it; fetched by Maven if they are not there yet.
 * @param {string} dir where Maven may write a file
 * @throws {ToolError} with what to do, if there is no Java or no Maven, or Maven cannot fetch them
 */
export async function kafkaClassPath(dir) {
  await run(
    'java',
    ['-version'],
    FORMAT_MS,
    'there is no Java: install a JDK 17 or newer and put it on PATH',
  );
  const list = join(dir, 'kafka-classpath');
  const pom = fileURLToPath(new URL('pom.xml', import.meta.url));
  const maven = ['-B', '-q', '-f', pom, CLASS_PATH, `-Dmdep.outputFile=${list}`];
  const advice = "Kafka's jars could not be fetched: install Maven 3 and put it on PATH";
  // A registry that does not answer at once is asked again.
  await run('mvn', maven, FETCH_MS, advice).catch(() => run('mvn', maven, FETCH_MS, advice));
  return readFileSync(list, 'utf8').trim();
}

/**
 * Prepares a folder for a server, unless it is one's already.
 * @param {string} classPath of `kafkaClassPath`
 * @param {string} dir the server's own
 * @param {{port: number, controllerPort: number, settings?: Record<string, string>}} options ports on 127.0.0.1, and
 *   further lines of server.properties
 * @returns {Promise<[command: string, args: string[]]>} what starts the server; its end is a kill
 */
export async function kafkaCommand(classPath, dir, { port, controllerPort, settings = {} }) {
  const file = join(dir, 'server.properties');
  const data = join(dir, 'data');
  const properties = {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'controller.listener.names': 'CONTROLLER',
    'log.dirs': data,
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '1',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    // One that was killed comes back as soon as it counts as gone.
    'broker.session.timeout.ms': '1000',
    'broker.heartbeat.interval.ms': '200',
    // A group of one need not wait for others.
    'group.initial.rebalance.delay.ms': '0',
    ...settings,
  };
  mkdirSync(dir, { recursive: true });
  writeFileSync(
    file,
    Object.entries(properties)
      .map(([key, value]) => `${key}=${value}\n`)
      .join(''),
  );
  const java = [...JAVA, '-cp', classPath];
  if (!existsSync(data)) {
    const format = [
      'kafka.tools.StorageTool',
      'format',
      '-t',
      randomBytes(16).toString('base64url'),
      '-c',
      file,
    ];
    try {
      await run('java', [...java, ...format], FORMAT_MS, "Kafka's folder could not be prepared");
    } catch (error) {
      rmSync(data, { recursive: true, force: true });
      throw error;
    }
  }
  return ['java', [...java, 'kafka.Kafka', file]];
}

function run(command, args, timeout, advice) {
  return new Promise((resolve, reject) => {
    execFile(command, args, { timeout }, (error, stdout, stderr) => {
      if (error === null) return resolve();
      const reason = error.code === 'ENOENT' ? '' : `\n${stdout}${stderr}`.trimEnd();
      reject(new ToolError(`${advice}${reason}`));
    });
  });
}
