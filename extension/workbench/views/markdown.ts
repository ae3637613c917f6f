// Text from programs, compilers and files into Markdown that cannot be misread as markup.

export function escapeMarkdown(text: string): string {
  return text.replace(/[\\`*_{}[\]()#+!|<>~-]/g, '\\$&');
}
