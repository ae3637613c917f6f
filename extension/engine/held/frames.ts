// The frames of a held thread with what must be known to leave them: their function, how it is called, what it has for
// exceptions.
import { moduleAt, type CodeModule, type Frame } from '../backtrace';
import { landingPadsOf } from '../dwarf/landing_pads';
import { functionAt } from '../dwarf/line_at';
import type { ElfSymbol } from '../elf/file';
import type { CrashFrame } from '../model/result';
import { callOf, type FunctionCall } from '../types/call_of';

export interface HeldFrame {
  readonly frame: Frame;
  readonly described: CrashFrame;
  readonly module: CodeModule | undefined;
  readonly symbol: ElfSymbol | undefined;
  /** For people. */
  readonly name: string;
  /** Undefined without debug information. */
  readonly call: FunctionCall | undefined;
  /** Whether it has destructors or catch blocks for what it is at. */
  readonly hasCleanups: boolean;
}

export function readFrames(
  frames: readonly Frame[],
  described: readonly CrashFrame[],
  modules: readonly CodeModule[],
  log: (message: string) => void,
): HeldFrame[] {
  return frames.map((frame, index) => {
    const module = moduleAt(modules, frame.inside);
    const inFile = module ? frame.inside - module.bias : 0;
    const attempt = <T>(read: () => T): T | undefined => {
      try {
        return module && read();
      } catch (error) {
        log(`debug information of ${module?.path ?? ''}: ${String(error)}`);
        return undefined;
      }
    };
    const symbol = attempt(() => functionAt(module!.elf, inFile));
    const call = attempt(() => symbol && callOf(module!.elf, inFile, wholeName(symbol.name)));
    return {
      frame,
      described: described[index]!,
      module,
      symbol,
      name: described[index]!.function ?? described[index]!.address,
      call,
      hasCleanups: attempt(() => landingPadsOf(module!.elf, inFile)?.isCovered) ?? false,
    };
  });
}

/** The function's, of a part that the compiler has moved away because it is seldom run. Other clones are called otherwise. */
export function wholeName(symbol: string): string {
  return symbol.replace(/\.cold(\.\d+)?$/, '');
}

/** Libraries that do what a program calls them for, as `native/src/crash_origin.cc` has them. */
export function isSystemLibrary(path: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1);
  return /^(libc\.so|libc-|ld-|ld\.so|libm\.so|libm-|libpthread|libstdc\+\+\.so|libc\+\+|libgcc_s)/.test(
    name,
  );
}
