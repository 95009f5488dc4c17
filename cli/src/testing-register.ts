import { register } from 'node:module';

register('./testing-hooks.js', import.meta.url);
