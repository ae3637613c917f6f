// Threads that are held, as people read them on the command line.
import type { HeldThread, HeldWay } from './held';
import type { CrashFrame } from './result';

const MOST_FRAMES = 12;

/** One thread: where it is, and how it can go on. */
export function heldText({
  pid,
  exe,
  tid,
  thread,
  signal,
  cause,
  frames,
  ways,
  refused,
}: HeldThread): string {
  const name = exe.slice(exe.lastIndexOf('/') + 1);
  const lines = [
    `${name} (process ${pid}): thread ${tid} (${thread}) is held: ${signal}, ${cause}`,
    ...frames.slice(0, MOST_FRAMES).map((frame, index) => `  #${index} ${frameText(frame)}`),
    ...(frames.length > MOST_FRAMES ? [`  … ${frames.length - MOST_FRAMES} more`] : []),
    ...ways.flatMap((way) => [
      `  hot-patch resume ${pid} ${tid} ${wayWords(way)}`,
      `      ${way.meaning}`,
      ...way.warnings.map((warning) => `      warning: ${warning}`),
    ]),
    ...refused.map((way) => `  not offered: ${wayWords(way)}: ${way.reason}`),
  ];
  return `${lines.join('\n')}\n`;
}

/** The words of the command line for a way. */
function wayWords({ kind, frames, result }: Pick<HeldWay, 'kind' | 'frames' | 'result'>): string {
  const value = result === undefined || result === 'none' || result === 'object' ? '' : '[=RESULT]';
  return `${kind}${value}${frames === 0 ? '' : ` --frames ${frames}`}`;
}

function frameText({ address, function: name, file, line, version }: CrashFrame): string {
  const place = file === undefined ? '' : ` at ${file}:${line}`;
  return `${name ?? address}${place}${version === undefined ? '' : ` (version ${version})`}`;
}
