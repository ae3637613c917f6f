// What the compiler makes of each function, as it writes it itself: the assembly of a whole unit, read as text. The other
// opinion about which functions an edit changes: it shares nothing with the engine, not even the object file.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';

/** An entry of compile_commands.json. */
export interface UnitCommand {
  directory: string;
  file: string;
  arguments: string[];
}

/** Code of each function of a unit by its name in assembly, parts and clones of one under its own name; undefined when
 * the text does not compile. */
export type Functions = Map<string, string>;

/** Compiles the unit of a command as it is now.
 * @param how `input`: another file in place of the source; `flags` come last */
export async function compiledFunctions(
  { arguments: [compiler, ...given], directory, file }: UnitCommand,
  { input, flags = [] }: { input?: string; flags?: readonly string[] } = {},
): Promise<Functions | undefined> {
  const args = [...given];
  for (let i = args.length - 1; i >= 0; i--) {
    if (/^-(o|MT|MF|MQ)$/.test(args[i]!)) args.splice(i, 2);
    else if (/^-(c|MD|MMD|MP)$/.test(args[i]!)) args.splice(i, 1);
    else if (input !== undefined && resolve(directory, args[i]!) === resolve(directory, file))
      args[i] = input;
  }
  const options = ['-w', ...flags, '-g0', '-S', '-o', '-'];
  const child = spawn(compiler!, [...args, ...options], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ended = once(child, 'close') as Promise<[number | null]>;
  const [assembly, [status]] = await Promise.all([text(child.stdout), ended]);
  return status === 0 ? readAssembly(assembly) : undefined;
}

interface Definition {
  lines: string[];
  isWritable: boolean;
}

/** Parts and clones of a function belong to it; the numbers of statics of functions mean nothing. */
export const baseName = (symbol: string): string =>
  symbol.replace(/(\.(cold|part|constprop|isra|lto_priv|localalias)(\.\d+)?)+$/, '').replace(/\.\d+$/, '');

function readAssembly(assembly: string): Functions {
  /** Instructions and labels of functions and their parts, in order. */
  const code = new Map<string, string[]>();
  const data = new Map<string, Definition>();
  const functionNames = new Set<string>();
  const aliases = new Map<string, string>();
  const lines = assembly.split('\n');
  for (const line of lines) {
    const type = /^\s+\.type\s+"?([^\s,"]+)"?,\s*@(?:function|gnu_indirect_function)/.exec(line);
    if (type) functionNames.add(type[1]!);
    const alias = /^\s+\.set\s+([^\s,]+),\s*([^\s,]+)$/.exec(line);
    if (alias) aliases.set(alias[1]!, alias[2]!);
  }
  let section = '.text';
  const stack: string[] = [];
  let body: string[] | undefined;
  let labels: string[] = [];
  for (const line of lines) {
    const label = /^"?([^\s#:"]+)"?:/.exec(line)?.[1];
    const isCode = section.startsWith('.text') || /^\.(init|fini)$/.test(section);
    if (label !== undefined) {
      if (isCode && functionNames.has(label)) code.set(label, (body = []));
      else if (isCode) body?.push(`${label}:`);
      else {
        if (labels.length > 0 && data.get(labels[0]!)!.lines.length > 0) labels = [];
        labels.push(label);
        const definition =
          labels.length > 1 ? data.get(labels[0]!)! : { lines: [], isWritable: isWritable(section) };
        data.set(label, definition);
      }
      continue;
    }
    const directive = /^\s+(\.\w+)\s*(.*)$/.exec(line);
    if (!directive) {
      const instruction = line.replace(/#.*$/, '').trim();
      if (instruction !== '' && isCode) body?.push(instruction.replace(/\s+/g, ' '));
      continue;
    }
    const [, name, rest] = directive;
    const entered = /^\.(text|data|bss)$/.test(name!)
      ? name!
      : /^\.(section|pushsection)$/.test(name!)
        ? /^[^,\s]+/.exec(rest!)![0].replace(/"/g, '')
        : undefined;
    if (name === '.pushsection') stack.push(section);
    if (name === '.popsection') section = stack.pop() ?? section;
    if (entered !== undefined) section = entered;
    if (entered !== undefined || name === '.popsection') labels = [];
    else if (
      /^\.(byte|value|short|long|int|quad|octa|string|asciz|ascii|zero|2byte|4byte|8byte|float|double)$/.test(
        name!,
      )
    ) {
      if (isCode) body?.push(`${name!} ${rest!}`);
      else if (labels.length > 0) data.get(labels[0]!)!.lines.push(`${name!} ${rest!}`);
    } else if (name === '.size') labels = [];
  }
  return canonical(code, data, aliases);
}

const isWritable = (section: string) => /^\.(data(?!\.rel\.ro)|bss|tdata|tbss|ldata|lbss)/.test(section);

/** What a label stands for takes its place: the content of constants, a number in the order of use for places in code. */
function canonical(
  code: ReadonlyMap<string, string[]>,
  data: ReadonlyMap<string, Definition>,
  aliases: ReadonlyMap<string, string>,
): Functions {
  const parts = new Map<string, string[]>();
  for (const [symbol, lines] of code) {
    const numbers = new Map<string, number>();
    const number = (label: string) => {
      if (!numbers.has(label)) numbers.set(label, numbers.size);
      return `@${numbers.get(label)}`;
    };
    const resolve = (line: string, open: readonly string[]): string =>
      line.replace(/"(?:[^"\\]|\\.)*"|[.A-Za-z_$][\w.$]*/g, (word) => {
        if (
          word.startsWith('"') ||
          /^\.(byte|value|short|long|int|quad|octa|string|asciz|ascii|zero|\dbyte)$/.test(word)
        )
          return word;
        const definition = data.get(word);
        // Those of whole files have names without a dot, and are not what is edited.
        if (word.includes('.') && definition && !definition.isWritable && !open.includes(word))
          return `{${definition.lines.map((one) => resolve(one, [...open, word])).join('; ')}}`;
        if (word.startsWith('.L') && !definition?.isWritable) return number(word);
        return baseName(aliases.get(word) ?? word);
      });
    const used = new Set(
      lines.filter((line) => !line.endsWith(':')).flatMap((line) => line.match(/\.L[\w.$]*/g) ?? []),
    );
    for (const { lines: table } of data.values())
      for (const line of table) for (const label of line.match(/\.L[\w.$]*/g) ?? []) used.add(label);
    const shown = lines.filter((line) => !line.endsWith(':') || used.has(line.slice(0, -1)));
    const name = baseName(symbol);
    const part = shown.map((line) => resolve(line, [])).join('\n');
    if (!parts.has(name)) parts.set(name, []);
    parts.get(name)!.push(part);
  }
  return new Map([...parts].map(([name, all]) => [name, all.sort().join('\n--\n')]));
}
