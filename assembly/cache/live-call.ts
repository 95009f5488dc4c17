// One call's dealings with live answers: what it was answered from, and whether
// it writes.

import { Component } from '../config/configuration';
import { View } from '../wire/view';
import { LiveAnswer, LiveAnswers } from './live-answers';

export class LiveCall {
  private answer: LiveAnswer | null = null;
  /** How old the answer that it was given is, in milliseconds; negative: it was given none. */
  ageMs: i64 = -1;

  /**
   * Looks for the answer to a request.
   *
   * @param now microseconds of the monotonic clock
   * @param substitute the bridge cannot answer
   * @returns the answer, good until `release`; or no bytes
   */
  find(answers: LiveAnswers, component: Component, request: View, now: i64, substitute: bool): View {
    if (this.answer !== null) return 0;
    const answer = answers.find(component.index, request, now, substitute);
    if (answer === null) return 0;
    this.answer = answer;
    this.ageMs = max<i64>(0, (now - answer.currentAt + 999) / 1000);
    return answer.payload;
  }

  get hit(): bool {
    return this.answer !== null;
  }

  /** The call is over. */
  release(): void {
    const answer = this.answer;
    this.answer = null;
    this.ageMs = -1;
    if (answer !== null) answer.unpin();
  }
}
