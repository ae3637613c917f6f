// How the bench reads a CPU profile: what counts as held by the extension, and what ends it.
import { strict as assert } from 'node:assert';
import type { Profiler } from 'node:inspector';
import { slicesOf } from './bench/slices';

const frame = (functionName: string, url = '') => ({
  functionName,
  url,
  scriptId: '0',
  lineNumber: 0,
  columnNumber: 0,
});

/** VS Code calls the extension, which calls VS Code; beside it others, and what has no stack. */
const nodes: Profiler.ProfileNode[] = [
  { id: 1, callFrame: frame('(root)'), children: [2, 5, 6, 7] },
  { id: 2, callFrame: frame('run', 'host.js'), children: [3] },
  { id: 3, callFrame: frame('provide', 'ours.js'), children: [4] },
  { id: 4, callFrame: frame('convert', 'host.js') },
  { id: 5, callFrame: frame('(idle)') },
  { id: 6, callFrame: frame('(garbage collector)') },
  { id: 7, callFrame: frame('other', 'other.js') },
];

function slices(samples: number[]): number[] {
  const timeDeltas = samples.map(() => 1000);
  const profile = { nodes, samples, timeDeltas, startTime: 0, endTime: samples.length * 1000 };
  return slicesOf(profile, (url) => url === 'ours.js');
}

describe('slices of a CPU profile', () => {
  it('are runs of samples with the extension anywhere on the stack', () => {
    assert.deepEqual(slices([5, 3, 4, 3, 5, 3, 7]), [3, 1]);
  });

  it('end with what is not ours, be it idleness or another extension', () => {
    assert.deepEqual(slices([3, 5, 3, 7, 3, 2]), [1, 1, 1]);
  });

  it('have the collections of garbage in them that they were interrupted by, and no others', () => {
    assert.deepEqual(slices([3, 6, 6, 3, 6, 5]), [4]);
    assert.deepEqual(slices([6, 5, 6]), []);
  });
});
