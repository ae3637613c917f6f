// What the status bar item says in each state: text, tooltip, colour and what a click does. One switch; pure.
import { basename } from 'node:path';
import type { PatchableProcess, Step } from '../../engine/model/result';
import { ERROR_TABLE } from '../../engine/model/errors';
import { Command } from '../contributions';
import { plural, shortList } from '../state/queries';
import type { Finished } from '../state/state';
import { crashShort, crashText, exitText } from './crash_text';
import { confirmedText, confirmingText } from './first_light_text';
import { heldText } from './held_text';
import type { Indicator } from './indicator';
import { describe } from './process_text';

export interface StatusBarContent {
  readonly text: string;
  /** Read out by a screen reader in place of the icons. */
  readonly label: string;
  readonly tooltip: string;
  readonly level: 'normal' | 'warning' | 'error';
  readonly command: Command;
}

const STEPS: Record<Step, string> = {
  'find-process': 'Finding the process',
  attach: 'Attaching to the process',
  'find-command': 'Finding the compile command',
  compile: 'Compiling',
  read: 'Reading the new code',
  compare: 'Comparing',
  layout: 'Checking layouts',
  link: 'Linking',
  deliver: 'Delivering',
  'wait-for-debugger': 'Waiting for the debugger to continue',
  'wait-for-breakpoint': 'Waiting until the breakpoint at the entry is removed',
  'wait-for-continue': 'Waiting for the stopped process to continue',
  verify: 'Verifying',
  confirm: 'Live; confirming',
};

/** @param older files with problems of earlier saves */
export function statusBarContent(indicator: Indicator, older: readonly string[] = []): StatusBarContent {
  const shown = contentOf(indicator);
  if (older.length === 0) return shown;
  const names = shortList(older.map((file) => basename(file)));
  const more = `$(warning) ${older.length === 1 ? 'An earlier save' : 'Earlier saves'} of ${names} did not succeed; see Problems.`;
  return { ...shown, tooltip: `${shown.tooltip}\n\n${more}` };
}

function contentOf(indicator: Indicator): StatusBarContent {
  switch (indicator.kind) {
    case 'platform':
      return content('circle-slash', 'Linux only', ERROR_TABLE['unsupported-platform'].hint, Command.showLog);
    case 'untrusted':
      return content(
        'workspace-untrusted',
        'restricted',
        'Compilers run only in trusted workspaces.',
        Command.showLog,
      );
    case 'working': {
      const step = indicator.step ? STEPS[indicator.step] : 'Starting';
      const what = indicator.live === undefined ? step : confirmingText(indicator.live);
      const files = shortList(indicator.files.map((file) => basename(file)));
      return content('loading~spin', `${what}…`, `${files}\n\nClick to cancel.`, Command.cancel);
    }
    case 'held': {
      const { threads, canRetry } = indicator;
      const offer = canRetry ? ' · saved: retry the call' : '';
      const what = threads.map(heldText).join('\n\n');
      const text = `${plural(threads.length, 'thread')} held${offer}`;
      return content('debug-pause', text, `${what}\n\nClick to say how it goes on.`, Command.goOn, 'error');
    }
    case 'lost': {
      const { name, pid, reason, functions, crash } = indicator.lost;
      if (crash) {
        const tooltip = `${crashText(indicator.lost, crash)}\n\nClick to see how it came there.`;
        const text = `${name} crashed: ${crashShort(crash)}`;
        return content('bug', text, tooltip, Command.showBacktrace, 'error');
      }
      const what = reason === 'ended' ? 'has ended' : 'does not answer';
      const gone = reason === 'ended' ? ` Its ${plural(functions, 'patched function')} ended with it.` : '';
      return content(
        'debug-disconnect',
        `${name} ${what}`,
        `${name} (${pid}) ${what}${exitText(indicator.lost)}.${gone}${reason === 'ended' ? '\n\nClick to start it again.' : ''}`,
        reason === 'ended' ? Command.restartProgram : Command.selectProcess,
        'warning',
      );
    }
    case 'compile-error': {
      const { count, first } = indicator;
      const where = first
        ? `${basename(first.file)}:${first.start.line + 1}: ${first.message}`
        : 'See the log.';
      const text = count > 0 ? plural(count, 'compile error') : 'does not compile';
      return content(
        'error',
        text,
        `${where}\n\nThe process keeps running its present code.`,
        Command.showCause,
        'error',
      );
    }
    case 'refused': {
      const { first } = indicator;
      const more = indicator.problems.length > 1 ? ` (and ${indicator.problems.length - 1} more)` : '';
      return content(
        'shield',
        'refused',
        `${first.message}${more}\n\n${ERROR_TABLE[first.code].hint}`,
        Command.showCause,
        'warning',
      );
    }
    case 'live':
      return live(indicator.finished);
    case 'database':
      return content(
        'zap',
        'no compile_commands.json',
        ERROR_TABLE['no-compile-database'].hint,
        Command.showTrampolines,
      );
    case 'no-process':
      return content(
        'zap',
        'no process',
        'No process that can be patched was built from this file.',
        Command.selectProcess,
      );
    case 'not-attached': {
      const { processes, obstacle } = indicator;
      const which = `${describe(processes)} · not attached`;
      return obstacle
        ? content(
            'debug-disconnect',
            which,
            `${obstacle.message}\n\n${ERROR_TABLE[obstacle.code].hint}`,
            Command.attach,
            'warning',
          )
        : content(
            'debug-disconnect',
            which,
            processes.every(({ asleep }) => asleep)
              ? 'It was detached from, and saves leave it as it is. Click to attach again.'
              : 'It was started without Hot Patch. Save the file to attach and patch it, or click to attach.',
            Command.attach,
          );
    }
    case 'unusable':
      return content(
        'zap',
        WHY_NOT[indicator.process.state],
        `${describe([indicator.process])}: ${EXPLAIN[indicator.process.state]}`,
        Command.selectProcess,
        'warning',
      );
    case 'checking':
      return content(
        'zap',
        `${describe(indicator.processes)} · checking…`,
        'Checking whether the compile command of this file reproduces the running code.',
        Command.selectProcess,
      );
    case 'mismatch':
      return content(
        'warning',
        MISMATCH[indicator.report.verdict] ?? indicator.report.verdict,
        indicator.report.message,
        Command.showCause,
        'warning',
      );
    case 'ready': {
      const { processes, patched, verdict } = indicator;
      const state = patched > 0 ? ` · ${patched} patched` : '';
      const check =
        verdict === 'ready'
          ? 'The compile command of this file reproduces the running code.'
          : verdict === 'edited'
            ? 'The file differs from the running code; save it to bring the difference to life.'
            : 'Save a file to patch it in.';
      return content('zap', `${describe(processes)}${state}`, check, Command.selectProcess);
    }
  }
}

const WHY_NOT: Record<PatchableProcess['state'], string> = {
  ready: 'ready',
  'no-runtime': 'not attached',
  'other-user': "another user's process",
  rebuilt: 'rebuilt since it started',
};

const EXPLAIN: Record<PatchableProcess['state'], string> = {
  ready: '',
  'no-runtime': ERROR_TABLE['no-runtime'].hint,
  'other-user': ERROR_TABLE['other-user'].hint,
  rebuilt: ERROR_TABLE.rebuilt.hint,
};

const MISMATCH: Record<string, string> = {
  'flags-differ': 'flags differ',
  'no-command': 'no compile command',
  'other-build': 'other build',
  'compile-failed': 'does not compile',
};

function live(finished: Finished): StatusBarContent {
  const where = finished.processes.length > 1 ? ` in ${`${finished.processes.length} processes`}` : '';
  const names = shortList(finished.functions);
  switch (finished.outcome) {
    case 'unchanged':
      return content(
        'check',
        'unchanged',
        'The running code is already that of the file; nothing was sent.',
        Command.selectProcess,
      );
    case 'reverted':
      if (finished.action === 'restore') {
        const what = `${names}: the chosen version runs${where}.`;
        return content('history', `went back in ${finished.milliseconds} ms`, what, Command.showTrampolines);
      }
      if (finished.action === 'detach') {
        const what = 'Detached: the original code runs, and saves leave the process as it is.';
        return content('debug-disconnect', 'detached', what, Command.attach);
      }
      return content(
        'discard',
        `original in ${finished.milliseconds} ms`,
        `${names}: the original code is back${where}.`,
        Command.showTrampolines,
      );
    default: {
      const warnings = finished.warnings.map((warning) => `\n\n$(warning) ${warning.message}`).join('');
      return content(
        'zap',
        `live in ${finished.milliseconds} ms${confirmedText(finished.confirmed)}${finished.attached.length > 0 ? ' · attached' : ''}`,
        `${names}: live${where}.${attachedText(finished)}${warnings}`,
        Command.showTrampolines,
      );
    }
  }
}

/** Which processes were attached to for this save. */
function attachedText({ attached }: Finished): string {
  return attached
    .map(
      ({ exe, pid, milliseconds, pause }) =>
        `\n\nAttached to ${basename(exe)} (${pid}) in ${Math.round(milliseconds)} ms${pause === 0 ? '' : `; one of its threads stood still for ${pause.toFixed(1)} ms`}.`,
    )
    .join('');
}

function content(
  icon: string,
  text: string,
  tooltip: string,
  command: Command,
  level: StatusBarContent['level'] = 'normal',
): StatusBarContent {
  return { text: `$(${icon}) ${text}`, label: `Hot Patch: ${text}`, tooltip, level, command };
}
