import { existsSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

import { anchorsOf, markdownFiles, read, relativeLinks, root } from './markdown.js';

test('every relative link leads to a file, and to a heading in it', () => {
  const broken: string[] = [];
  let count = 0;
  for (const file of markdownFiles()) {
    for (const { line, target } of relativeLinks(read(file))) {
      count++;
      const [path = '', anchor] = target.split('#');
      const absolute = path === '' ? join(root, file) : join(root, dirname(file), path);
      if (!existsSync(absolute)) broken.push(`${file}:${line}: ${target}`);
      else if (anchor !== undefined && !anchorsOf(read(relative(root, absolute))).has(anchor))
        broken.push(`${file}:${line}: ${target} (no such heading)`);
    }
  }
  expect(broken).toEqual([]);
  expect(count).toBeGreaterThan(20);
});
