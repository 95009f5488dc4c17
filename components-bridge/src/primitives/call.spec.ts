import { Call } from './call.js';

describe('Call', () => {
  it('counts the time that backends take once, however many questions are open', () => {
    const call = new Call('m', '', 100);
    expect(call.waitedMs(110)).toBe(0);
    call.ask(110);
    call.ask(112);
    expect(call.waitedMs(115)).toBe(5);
    call.answered(120);
    expect(call.waitedMs(121)).toBe(11);
    call.answered(130);
    expect(call.waitedMs(200)).toBe(20);
    call.ask(300);
    call.answered(301);
    expect(call.waitedMs(400)).toBe(21);
  });
});
