/** The bridge's program: settles what must come before anything else is loaded, such as how V8 uses memory, and starts it. */
import './base64.js';
import { startSmall } from './memory.js';

startSmall();
await import('./main.js');
