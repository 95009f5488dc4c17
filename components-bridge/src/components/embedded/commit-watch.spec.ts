import { CommitWatch } from './commit-watch.js';

describe('CommitWatch', () => {
  const database = { lastCommit: 5 };
  const looks = (watch: CommitWatch, count: number): number[] =>
    Array.from({ length: count }, (_, index) => (watch.look() ? index : -1)).filter((index) => index >= 0);

  it('says nothing while nobody commits', () => {
    expect(looks(new CommitWatch(database), 200)).toEqual([]);
  });

  it('tells a commit, and again for a while, because it may not have been readable', () => {
    const watch = new CommitWatch(database);
    database.lastCommit++;
    expect(looks(watch, 500)).toEqual([0, 1, 2, 4, 8, 16, 32, 64]);
  });

  it('begins anew with the next commit', () => {
    const watch = new CommitWatch(database);
    database.lastCommit++;
    expect(looks(watch, 4)).toEqual([0, 1, 2]);
    database.lastCommit++;
    expect(looks(watch, 4)).toEqual([0, 1, 2]);
  });
});
