// What a crash is called in the status bar, in the notification and in the tree. Pure.
import { basename } from 'node:path';
import { constants } from 'node:os';
import type { CrashFrame, CrashReport } from '../../engine/model/result';
import { qualifiedName } from '../state/function_names';
import type { LostProcess } from '../state/state';

/** Where the person's own code was: the innermost frame with a source. A failed assertion crashes in libc. */
export function ownFrame({ frames }: CrashReport): CrashFrame | undefined {
  return frames.find(({ file }) => file !== undefined) ?? frames[0];
}

/** `SIGSEGV in price_of, patched 4 s ago` */
export function crashShort(crash: CrashReport): string {
  const frame = ownFrame(crash);
  const name = frame?.function === undefined ? '' : ` in ${qualifiedName(frame.function)}`;
  const ago = frame?.patchedAt === undefined ? '' : `, patched ${agoText(crash.at - frame.patchedAt)} ago`;
  return `${crash.signal}${name}${ago}`;
}

/** All of it, in sentences. */
export function crashText(
  { name, pid, exitStatus }: Pick<LostProcess, 'name' | 'pid' | 'exitStatus'>,
  crash: CrashReport,
): string {
  const frame = ownFrame(crash);
  const cause = crash.cause === '' ? '' : ` (${crash.cause})`;
  const where = frame?.function === undefined ? '' : ` in ${qualifiedName(frame.function)}`;
  const line = frame?.file === undefined ? '' : ` at ${placeText(frame)}`;
  return `${name} (${pid}) crashed: ${crash.signal}${cause}${where}${line}. ${codeText(crash, frame)}${exitText({ exitStatus }, ' Exit status ', '.')}`;
}

/** Which code it was, and what a patch has to do with it. */
function codeText(crash: CrashReport, frame: CrashFrame | undefined): string {
  const since = (one: CrashFrame) =>
    `${one.version === undefined ? 'code' : `version ${one.version}`}, patched ${agoText(crash.at - one.patchedAt!)} ago`;
  if (frame?.patchedAt !== undefined) return `It ran ${since(frame)}.`;
  const caller = crash.frames.find(({ patchedAt }) => patchedAt !== undefined);
  return caller
    ? `That code is not patched; ${caller.function === undefined ? 'a caller' : qualifiedName(caller.function)} (${since(caller)}) led there.`
    : 'No patched code was involved.';
}

/** `shop.cc:34` */
export function placeText({ file, line }: CrashFrame): string {
  return file === undefined ? '' : `${basename(file)}${line === undefined ? '' : `:${line}`}`;
}

/** How a process ended that this window started; empty when that is not known, or says nothing. */
export function exitText(
  { exitStatus }: Pick<LostProcess, 'exitStatus'>,
  before = ' with exit status ',
  after = '',
): string {
  if (exitStatus === undefined || exitStatus === 0) return '';
  const signal = Object.entries(constants.signals).find(([, number]) => number === exitStatus - 128)?.[0];
  return `${before}${exitStatus}${signal === undefined ? '' : ` (${signal})`}${after}`;
}

function agoText(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}
