// Which function of a source file is the function that the runtime names? Demangled names carry parameters,
// template arguments, clone suffixes and return types; a function found in text has its scopes. Pure.

/** What compilers append to the symbol of a clone, or of a part, of a function; a C++ name has it as `[clone …]`. */
const CLONE = /(?:\.(?:part|cold|constprop|isra|lto_priv|llvm)(?:\.\d+)*)+$/;

const ANONYMOUS = '(anonymous namespace)';

/**
 * The qualified name within a demangled one: `ns::Type<int>::run(int) const [clone .cold]` → `ns::Type::run`.
 * A lambda's body belongs to the function that it is written in.
 */
export function qualifiedName(demangled: string): string {
  const text = demangled
    .replace(CLONE, '')
    .replace(/::\{.*$/, '')
    .replaceAll(ANONYMOUS, '\0')
    .replace(/ ?\[clone [^\]]*\]|\[abi:\w+\]/g, '');
  const plain = withoutTemplateArguments(text);
  const operator = /\boperator\s*(\(\)|\[\]|[^\s\w(]+|[^(]*)/.exec(plain);
  const end = operator ? operator.index + operator[0].length : plain.indexOf('(');
  const name = (end < 0 ? plain : plain.slice(0, end)).trim();
  const scopes = operator ? name.slice(0, operator.index) : name;
  // A template's demangled name starts with its return type.
  return name.slice(scopes.trimEnd().lastIndexOf(' ') + 1).replaceAll('\0', ANONYMOUS);
}

function withoutTemplateArguments(text: string): string {
  let depth = 0;
  let result = '';
  for (let i = 0; i < text.length; i++) {
    const operator = depth === 0 && /^operator\s*(<=>|<<=?|>>=?|<=|>=|->\*?|<|>)/.exec(text.slice(i));
    if (operator && !/\w/.test(text[i - 1] ?? ' ')) {
      result += operator[0];
      i += operator[0].length - 1;
    } else if (text[i] === '<') depth++;
    else if (text[i] === '>') depth--;
    else if (depth === 0) result += text[i];
  }
  return result;
}

const STRING = /std::(?:__cxx11::)?basic_string<char, std::char_traits<char>, std::allocator<char> ?>/g;

/** A demangled name as people write it, of the function that a clone was made of. */
export function readableName(demangled: string): string {
  return demangled
    .replace(STRING, 'std::string')
    .replace(CLONE, '')
    .replace(/ ?\[clone [^\]]*\]/g, '');
}

/** `.part.0`; empty for the function itself. */
export function cloneSuffix(symbol: string): string {
  return CLONE.exec(symbol)?.[0] ?? '';
}

/** How a source may spell the function of a name from the symbol table. */
export function sourceNames(demangled: string): string[] {
  const name = qualifiedName(demangled);
  return name.startsWith(`${ANONYMOUS}::`) ? [name, name.slice(ANONYMOUS.length + 2)] : [name];
}

/** Does a name from the symbol table mean the function that the source spells like this? */
export function isSameFunction(demangled: string, sourceName: string): boolean {
  return sourceNames(demangled).includes(sourceName);
}
