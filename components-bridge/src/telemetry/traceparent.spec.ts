import { parseTraceparent } from './traceparent.js';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';

describe('parseTraceparent', () => {
  it.each([
    [`00-${TRACE}-${PARENT}-01`, { traceId: TRACE, parentId: PARENT, sampled: true }],
    [`00-${TRACE}-${PARENT}-00`, { traceId: TRACE, parentId: PARENT, sampled: false }],
    [`00-${TRACE}-${PARENT}-03`, { traceId: TRACE, parentId: PARENT, sampled: true }],
    [`01-${TRACE}-${PARENT}-01-later`, { traceId: TRACE, parentId: PARENT, sampled: true }],
    [`00-${TRACE}-ffffffffffffffff-01`, { traceId: TRACE, parentId: undefined, sampled: true }],
    [`00-${TRACE}-${PARENT}-01-more`, undefined],
    [`ff-${TRACE}-${PARENT}-01`, undefined],
    [`00-${'0'.repeat(32)}-${PARENT}-01`, undefined],
    [`00-${TRACE}-${'0'.repeat(16)}-01`, undefined],
    [`00-${TRACE.toUpperCase()}-${PARENT}-01`, undefined],
    [`00-${TRACE}-${PARENT}`, undefined],
    ['00---01', undefined],
    ['', undefined],
  ])('%s', (text, wanted) => {
    expect(parseTraceparent(text)).toEqual(wanted);
  });
});
