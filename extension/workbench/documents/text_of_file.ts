// What a file holds, as compilers read it. The open document of a file that another program has written is read again some
// time later; of one in another encoding than UTF-8 it alone has the characters.
import { readFile } from 'node:fs/promises';
import * as vscode from 'vscode';

/** @returns undefined for a file that cannot be read */
export async function textOfFile(file: string): Promise<string | undefined> {
  const bytes = await readFile(file).catch(() => undefined);
  const document = vscode.workspace.textDocuments.find((open) => open.uri.fsPath === file && !open.isDirty);
  if (!bytes || !document) return bytes?.toString();
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    const shown = document.getText();
    // A document has line ends of one kind.
    return withNewlines(text) === withNewlines(shown) ? shown : text;
  } catch {
    return document.getText();
  }
}

function withNewlines(text: string): string {
  return text.replace(/\r\n?/g, '\n');
}
