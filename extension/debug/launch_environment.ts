// The environment of programs that debuggers of other extensions start: what programs of terminals have (setting
// hotPatch.terminals), written as each debug type wants it. Pure.

type Configuration = Readonly<Record<string, unknown>>;

/** The program is started elsewhere, where the library is not, or by commands that know nothing of the environment. */
const ELSEWHERE = [
  ...['pipeTransport', 'miDebuggerServerAddress', 'customLaunchSetupCommands', 'coreDumpPath'],
  ...['launchCommands', 'targetCreateCommands', 'processCreateCommands'],
  ...['gdb-remote-port', 'gdb-remote-hostname', 'ssh', 'remote'],
];
/** Commands of lldb with which a configuration chooses another machine. */
const SELECTS_PLATFORM = /\bplatform (select|connect)\b/;

/** The configuration with the variables added to those of the program that it starts. It is returned as it is where it
 * starts none here, or says something of these variables itself. */
export function withEnvironment<C extends Configuration>(
  configuration: C,
  variables: Readonly<Record<string, string>>,
): C {
  const { type, request } = configuration;
  const added = Object.entries(variables);
  if (request !== 'launch' || isElsewhere(configuration) || added.length === 0) return configuration;
  const key = type === 'cppdbg' ? 'environment' : 'env';
  const given = configuration[key];
  if (namesIn(given).some((name) => Object.hasOwn(variables, name))) return configuration;
  if (type === 'cppdbg')
    return { ...configuration, [key]: [...list(given), ...added.map(([name, value]) => ({ name, value }))] };
  // lldb-dap takes both, versions before LLVM 18 only the list.
  if (Array.isArray(given) || (type === 'lldb-dap' && given === undefined))
    return { ...configuration, [key]: [...list(given), ...added.map(([name, value]) => `${name}=${value}`)] };
  return { ...configuration, [key]: { ...(given as object | undefined), ...variables } };
}

function isElsewhere(configuration: Configuration): boolean {
  return (
    ELSEWHERE.some((key) => Boolean(configuration[key])) ||
    ['initCommands', 'preRunCommands'].some((key) =>
      list(configuration[key]).some((line) => SELECTS_PLATFORM.test(String(line))),
    )
  );
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

/** The names of variables in any of the three forms. */
function namesIn(given: unknown): string[] {
  if (!Array.isArray(given)) return Object.keys((given as object | undefined) ?? {});
  return given.map((entry: unknown) =>
    typeof entry === 'string' ? entry.replace(/=.*/s, '') : String((entry as { name?: unknown }).name),
  );
}
