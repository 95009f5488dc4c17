/** The bridge's program: settles how V8 uses memory, which must come before anything else is loaded, and starts it. */
import { startSmall } from './memory.js';

startSmall();
await import('./main.js');
