// Which documents the extension is about: C and C++ files on disk.
import type * as vscode from 'vscode';
import { languages } from '../contributions';

export function isSource(document: vscode.TextDocument): boolean {
  return document.uri.scheme === 'file' && (languages as readonly string[]).includes(document.languageId);
}
