import { callerOf, VECTORS } from '../../../test/policy/vectors.js';
import { ALLOWED, BY_DEFAULT, decide } from './decide.js';

it.each(VECTORS)('$about: $expected', (vector) => {
  const found = decide(vector.policy, callerOf(vector), vector.subject, vector.strict);
  const name =
    found === ALLOWED ? 'allowed' : found === BY_DEFAULT ? 'default' : vector.policy.rules[found]?.name;
  expect(name).toBe(vector.expected);
});
