import type { Component } from '../component.js';

/** What greets. */
export interface Greeter extends Component {
  /** @param name whom to greet; empty for nobody in particular */
  greet(name: string): Promise<string>;
}
