import { eventually, sleep } from '../../../test/support/wait.js';
import type { Component } from './component.js';
import { Probing } from './probing.js';

/** A component that answers looks as it is told to. */
class Subject implements Component {
  readonly probePauseMs = 20;
  looks = 0;
  atOnce = 0;
  most = 0;
  answer: () => Promise<void> = () => Promise.resolve();

  async probe(): Promise<void> {
    this.looks++;
    this.most = Math.max(this.most, ++this.atOnce);
    await this.answer().finally(() => this.atOnce--);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

describe('Probing', () => {
  let subject: Subject;
  let told: (string | undefined)[];
  let probing: Probing;

  beforeEach(() => {
    subject = new Subject();
    told = [];
    probing = new Probing(subject, (failure) => void told.push(failure));
  });
  afterEach(() => probing.stop());

  it('tells what each look finds', async () => {
    probing.start();
    await eventually('it is looked at', () => told.length > 1);
    expect(told[0]).toBeUndefined();
    subject.answer = () => Promise.reject(new Error('gone'));
    await eventually('it is told', () => told.at(-1) === 'gone');
    subject.answer = () => Promise.resolve();
    await eventually('it is told', () => told.at(-1) === undefined);
  });

  it('gives up a look that hangs, and begins no other beside it', async () => {
    let end: () => void = () => undefined;
    subject.answer = () => new Promise((resolve) => (end = resolve));
    probing.start();
    await eventually('it is told', () => told.length > 0);
    expect(told).toEqual(['no answer within 2000 ms when it was looked at']);
    await sleep(200);
    expect(subject.looks).toBe(1);
    subject.answer = () => Promise.resolve();
    end();
    await eventually('it is told', () => told.at(-1) === undefined);
    expect(subject.most).toBe(1);
  });

  it('ends when it is stopped, also in the middle of a look', async () => {
    let end: () => void = () => undefined;
    subject.answer = () => new Promise((resolve) => (end = resolve));
    probing.start();
    probing.stop();
    end();
    await sleep(100);
    expect([subject.looks, told]).toEqual([1, []]);
  });

  it('leaves alone what has nothing to look at', async () => {
    const other = new Probing({ close: () => Promise.resolve() }, (failure) => void told.push(failure));
    other.start();
    await sleep(50);
    expect(told).toEqual([]);
  });
});
