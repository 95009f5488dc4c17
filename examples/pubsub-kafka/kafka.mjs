import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { kafkaClassPath, kafkaCommand } from '../../tools/kafka/server.mjs';

/** A Kafka of this example's own, which can be killed and started again. */
export class Kafka {
  #child;

  constructor(command, port) {
    this.command = command;
    this.port = port;
  }

  /** Fetches, prepares and starts it. @throws ToolError if Java or Maven is missing */
  static async start(folder, port, controllerPort) {
    const settings = { 'num.partitions': '3', 'group.min.session.timeout.ms': '1000' };
    const classPath = await kafkaClassPath(folder);
    const command = await kafkaCommand(classPath, join(folder, 'kafka'), { port, controllerPort, settings });
    const kafka = new Kafka(command, port);
    await kafka.start();
    return kafka;
  }

  async start() {
    const [program, args] = this.command;
    const child = spawn(program, args, { stdio: 'ignore' });
    this.#child = child;
    for (let tries = 0; tries < 600; tries++) {
      if (child.exitCode !== null) throw new Error('Kafka ended');
      if (await this.#accepts()) return;
      await sleep(100);
    }
    throw new Error('Kafka is not there within 60 s');
  }

  async kill() {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  #accepts() {
    return new Promise((resolve) => {
      const socket = connect(this.port, '127.0.0.1');
      socket.on('connect', () => socket.end(() => resolve(true)));
      socket.on('error', () => resolve(false));
    });
  }
}
