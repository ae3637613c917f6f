// Command hotPatch.compare (code lens): a diff of the source that runs against the file. The left side is a virtual
// document of scheme `hot-patch-version` with the text of the delivered version.
import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { Session } from '../session/session';
import { inlinedInto, runningFunctions, runningSource } from '../state/queries';
import { versionKey } from '../state/state';
import type { FunctionTarget } from '../views/lens_content';
import { documentOf, functionAtCursor } from './patch_function';

const SCHEME = 'hot-patch-version';

export function provideVersions(texts: Map<string, string>): vscode.Disposable {
  return vscode.workspace.registerTextDocumentContentProvider(SCHEME, {
    provideTextDocumentContent: (uri) => texts.get(uri.toString()) ?? '',
  });
}

/** @param texts what the virtual documents hold. */
export async function compare(
  session: Session,
  texts: Map<string, string>,
  target?: FunctionTarget,
): Promise<void> {
  const document = await documentOf(target?.file);
  if (!document) return;
  const functions = (await session.documents.functions(document)) ?? [];
  const source = target
    ? functions.find((f) => f.name === target.name && f.nameLine === target.line)
    : await functionAtCursor(session, document);
  const { state } = session.store;
  const file = document.uri.fsPath;
  const own = source ? runningFunctions(state, file, source) : [];
  const running = source && own.length === 0 ? inlinedInto(state, file, source) : own;
  const known = running
    .map((one) => ({ ...one, source: runningSource(state, file, one) }))
    .find((one) => one.source?.file === file);
  if (!source || !known?.source) {
    void vscode.window.showInformationMessage(
      'Hot Patch: the source of the running version is not known: it was not patched in from this workspace.',
    );
    return;
  }
  if (known.source.text === document.getText()) {
    void vscode.window.showInformationMessage(
      `Hot Patch: ${source.name} runs as it is in the file; there is no difference to show.`,
    );
    return;
  }
  const { version, address } = known.function;
  const title = version === 0 ? 'original' : `version ${version}`;
  const left = vscode.Uri.from({
    scheme: SCHEME,
    path: document.uri.path,
    query: versionKey(known.key, address, version),
  });
  texts.set(left.toString(), known.source.text);
  const line = new vscode.Range(source.startLine, 0, source.startLine, 0);
  await vscode.commands.executeCommand(
    'vscode.diff',
    left,
    document.uri,
    `${basename(document.fileName)}: ${source.name}, ${title} in ${known.process.name} ↔ file`,
    { selection: line } satisfies vscode.TextDocumentShowOptions,
  );
}
