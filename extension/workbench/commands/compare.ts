// Commands hotPatch.compare (code lens, versions in the tree): a diff of the source of a version against the file; and
// hotPatch.showLayouts (Quick Fix of a refusal): a diff of two layouts of a type. What is no file is a virtual document
// of scheme `hot-patch-version`.
import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { Problem } from '../../engine/model/result';
import type { Session } from '../session/session';
import type { SourceFunction } from '../state/source_function';
import { isSameFunction } from '../state/function_names';
import { inlinedInto, originalSource, runningFunctions, runningSource } from '../state/queries';
import { versionKey, type Delivered } from '../state/state';
import type { FunctionTarget } from '../views/lens_content';
import type { TreeNode } from '../views/tree_node';
import { documentOf, functionAtCursor } from './patch_function';

const SCHEME = 'hot-patch-version';

export function provideVersions(texts: Map<string, string>): vscode.Disposable {
  return vscode.workspace.registerTextDocumentContentProvider(SCHEME, {
    provideTextDocumentContent: (uri) => texts.get(uri.toString()) ?? '',
  });
}

/** A version of a function, whose text is the left side. */
interface Side {
  readonly key: string;
  readonly address: string;
  readonly version: number;
  readonly process: string;
  readonly source: Pick<Delivered, 'file' | 'text'>;
}

/** @param texts what the virtual documents hold.
 * @param what a lens's function, or a version in the tree; the function at the cursor by default */
export async function compare(
  session: Session,
  texts: Map<string, string>,
  what?: FunctionTarget | TreeNode,
): Promise<void> {
  if (what && 'kind' in what) return compareVersion(session, texts, what);
  const document = await documentOf(what?.file);
  if (!document) return;
  const functions = (await session.documents.functions(document)) ?? [];
  const source = what
    ? functions.find((f) => f.name === what.name && f.nameLine === what.line)
    : await functionAtCursor(session, document);
  const sides = source ? sidesOf(session, document.uri.fsPath, source) : [];
  if (!source || sides.length === 0) return sayUnknown();
  const side = sides.find((one) => one.source.text !== document.getText());
  if (side) return show(texts, side, document, source);
  void vscode.window.showInformationMessage(
    `Hot Patch: ${source.name} runs as it is in the file; there is no difference to show.`,
  );
}

/** What runs, then the original: a file that runs as it is has that to be compared with. */
function sidesOf({ store: { state } }: Session, file: string, source: SourceFunction): Side[] {
  const own = runningFunctions(state, file, source);
  const running = own.length > 0 ? own : inlinedInto(state, file, source);
  const sides = running.flatMap((one): Side[] => {
    const { key, function: f } = one;
    const { address, version } = f;
    const common = { key, address, process: one.process.name };
    const runs = runningSource(state, file, one);
    const original = originalSource(state, file, key, f);
    return [
      ...(runs ? [{ ...common, version, source: runs }] : []),
      ...(original ? [{ ...common, version: 0, source: original }] : []),
    ];
  });
  const current = new Set(running.map((one) => `${one.key} ${one.function.address} ${one.function.version}`));
  const isCurrent = (side: Side) => current.has(`${side.key} ${side.address} ${side.version}`);
  return sides
    .filter((side) => side.source.file === file)
    .sort((a, b) => Number(isCurrent(b)) - Number(isCurrent(a)));
}

async function compareVersion(session: Session, texts: Map<string, string>, node: TreeNode): Promise<void> {
  const { key, address, version, name, file } = node.target ?? {};
  const source =
    key === undefined || address === undefined || version === undefined
      ? undefined
      : session.store.state.delivered.get(versionKey(key, address, version));
  if (!source) return sayUnknown();
  const document = await vscode.workspace.openTextDocument(vscode.Uri.file(file ?? source.file));
  const functions = (await session.documents.functions(document)) ?? [];
  const found = functions.find((f) => isSameFunction(name ?? '', f.name));
  const process = (session.store.state.processes ?? []).find(({ pid }) => pid === node.target!.pid);
  const side = { key: key!, address: address!, version: version!, process: process?.name ?? '', source };
  await show(texts, side, document, found ?? { name: name ?? '', startLine: 0 });
}

export type TypeLayouts = NonNullable<Problem['layouts']>;

/** How a type is laid out in the process, beside how it would be. */
export async function showLayouts(
  texts: Map<string, string>,
  { type, before, after }: TypeLayouts,
): Promise<void> {
  const sideOf = (side: string, text: string): vscode.Uri => {
    const uri = vscode.Uri.from({ scheme: SCHEME, path: `/${type}`, query: `${side} ${text}` });
    texts.set(uri.toString(), text);
    return uri;
  };
  const title = `${type}: in the running process ↔ after the edit`;
  await vscode.commands.executeCommand(
    'vscode.diff',
    sideOf('before', before),
    sideOf('after', after),
    title,
  );
}

function sayUnknown(): void {
  void vscode.window.showInformationMessage(
    'Hot Patch: the source of this version is not known: it was not patched in from this workspace, and no check of its file found it to be what runs.',
  );
}

async function show(
  texts: Map<string, string>,
  { key, address, version, process, source: { text } }: Side,
  document: vscode.TextDocument,
  { name, startLine }: Pick<SourceFunction, 'name' | 'startLine'>,
): Promise<void> {
  const title = version === 0 ? 'original' : `version ${version}`;
  const left = vscode.Uri.from({
    scheme: SCHEME,
    path: document.uri.path,
    query: versionKey(key, address, version),
  });
  texts.set(left.toString(), text);
  await vscode.commands.executeCommand(
    'vscode.diff',
    left,
    document.uri,
    `${basename(document.fileName)}: ${name}, ${title} in ${process} ↔ file`,
    { selection: new vscode.Range(startLine, 0, startLine, 0) } satisfies vscode.TextDocumentShowOptions,
  );
}
