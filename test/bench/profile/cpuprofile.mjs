/**
 * Self time by function of a profile of V8.
 *
 * @param {{ nodes: object[], samples: number[], timeDeltas: number[] }} profile what `Profiler.stop` gives
 * @param {string} root folder that paths are shown relative to
 * @returns {{ total: number, rows: [string, number][] }} microseconds in which something ran; idle time is left out
 */
export function selfTimes(profile, root) {
  const byId = new Map(profile.nodes.map((node) => [node.id, node]));
  const times = new Map();
  let total = 0;
  profile.samples.forEach((id, index) => {
    const { functionName, url, lineNumber } = byId.get(id).callFrame;
    if (functionName === '(idle)') return;
    const delta = Math.max(0, profile.timeDeltas[index]);
    const label =
      url === '' ? functionName : `${functionName || '(anonymous)'} ${place(url, root)}:${lineNumber + 1}`;
    total += delta;
    times.set(label, (times.get(label) ?? 0) + delta);
  });
  return { total, rows: [...times].sort((a, b) => b[1] - a[1]) };
}

function place(url, root) {
  const path = url.replace(/^file:\/\//, '');
  const inside = path.startsWith(root) ? path.slice(root.length).replace(/^\//, '') : path;
  return inside.replace(/^.*node_modules\//, '');
}
