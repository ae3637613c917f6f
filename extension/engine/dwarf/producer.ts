// Reads DW_AT_producer (DWARF 3.1.1): which compiler made a unit, how it optimised, and whether callers may rely
// on which registers a callee leaves alone. gcc records its options there; clang does so only when asked
// (-grecord-command-line), and what is not recorded stays unknown here. Decides nothing about a patch.

export interface Producer {
  compiler: 'gcc' | 'clang' | 'other';
  /** As written, e.g. `12.2.0`; empty when unknown. */
  version: string;
  major: number;
  /** Options as recorded; empty when the compiler did not record them. */
  options: string[];
  /** The optimisation in effect: `0`, `1`, `2`, `3`, `s`, `z`, `g`, `fast`; undefined when it is not recorded. */
  optimisation: string | undefined;
  /** Interprocedural register allocation (`-fipa-ra`) may have been used: a caller in the unit may keep values in
   * caller-saved registers across a call to a function that was known not to touch them. */
  mayUseIpaRa: boolean;
  /** Link-time optimisation: calls between units were optimised as those within one. */
  lto: boolean;
}

/** Interprets a DW_AT_producer string; never fails. */
export function parseProducer(text: string): Producer {
  const gcc = /^GNU (?:[A-Za-z+]+[0-9]*|GIMPLE|AS) (\d+)(\.[\d.]+)?/.exec(text);
  const clang = gcc ? null : /clang version (\d+)(\.[\d.]+)?/i.exec(text);
  const version = gcc ?? clang;
  const options = text.split(/\s+/).filter((word) => word.startsWith('-'));
  const compiler = gcc ? 'gcc' : clang ? 'clang' : 'other';
  const major = Number(version?.[1] ?? 0);
  const optimisation = optimisationOf(options) ?? (gcc ? '0' : undefined);
  return {
    compiler,
    version: version ? `${version[1]}${version[2] ?? ''}` : '',
    major,
    options,
    optimisation,
    mayUseIpaRa: compiler === 'gcc' && mayUseIpaRa(major, optimisation, options),
    lto: text.startsWith('GNU GIMPLE') || isLto(options),
  };
}

/** clang records both of `-flto -fno-lto`; the last one wins. */
function isLto(options: string[]): boolean {
  return options.findLast((option) => /^-f(no-)?lto(=|$)/.test(option))?.startsWith('-flto') === true;
}

/** The last -O option wins, as in the compilers. */
function optimisationOf(options: string[]): string | undefined {
  const last = options.findLast((option) => /^-O([0-9]+|s|z|g|fast)?$/.test(option));
  if (last === undefined) return undefined;
  const level = last.slice(2);
  if (level === '') return '1';
  return /^\d+$/.test(level) ? String(Math.min(3, Number(level))) : level;
}

/** gcc, "Options That Control Optimization": on from -O1 since gcc 5; off under profiling, -fno-ipa-ra, and the
 * -flive-patching modes, of which the last one given counts. */
function mayUseIpaRa(major: number, optimisation: string | undefined, options: string[]): boolean {
  const explicit = options.findLast((option) => option === '-fipa-ra' || option === '-fno-ipa-ra');
  if (explicit !== undefined && explicit === '-fno-ipa-ra') return false;
  if (major < 5 || optimisation === '0') return false;
  const live = options.findLast((option) => /^-f(no-)?live-patching/.test(option));
  if (live?.startsWith('-flive-patching')) return false;
  return !options.some((option) => option === '-p' || option === '-pg');
}
