// Offers `hot-patch mcp` to the coding agents of the editor, where VS Code has the API for it (from 1.101 on, which is newer
// than what package.json asks for). VS Code asks before it starts a server, and names the workspace folders as its roots.
import * as vscode from 'vscode';
import { version } from '../../../package.json';
import { mcpProvider } from '../contributions';

/** vscode.McpStdioServerDefinition, which the types of the oldest supported VS Code do not have. */
interface StdioServer {
  cwd?: vscode.Uri;
}
type StdioServerClass = new (
  label: string,
  command: string,
  args: string[],
  env: Record<string, string>,
  version: string,
) => StdioServer;
interface AgentApi {
  readonly McpStdioServerDefinition?: StdioServerClass | undefined;
  readonly lm?: {
    registerMcpServerDefinitionProvider?(
      id: string,
      provider: {
        onDidChangeMcpServerDefinitions: vscode.Event<void>;
        provideMcpServerDefinitions(): StdioServer[];
      },
    ): vscode.Disposable;
  };
}

declare module 'vscode' {
  const McpStdioServerDefinition: StdioServerClass | undefined;
}

/** As the editor has it. */
const OF_EDITOR: AgentApi = {
  McpStdioServerDefinition: vscode.McpStdioServerDefinition,
  lm: vscode.lm as unknown as AgentApi['lm'],
};

/**
 * @param cli path of the command line
 * @param buildDirectories where compile databases are that the engine would not find by itself
 * @param changed fires when they have changed
 */
export function offerToAgents(
  cli: string,
  buildDirectories: () => readonly string[],
  changed: vscode.Event<void>,
  api: AgentApi = OF_EDITOR,
): vscode.Disposable {
  const { McpStdioServerDefinition: Server, lm } = api;
  if (!Server || !lm?.registerMcpServerDefinitionProvider) return { dispose: () => undefined };
  return lm.registerMcpServerDefinitionProvider(mcpProvider, {
    onDidChangeMcpServerDefinitions: changed,
    provideMcpServerDefinitions() {
      const args = [cli, 'mcp', ...buildDirectories().flatMap((directory) => ['-p', directory])];
      // The editor's own program is Node.js when it is told so.
      const server = new Server('Hot Patch', process.execPath, args, { ELECTRON_RUN_AS_NODE: '1' }, version);
      const [folder] = vscode.workspace.workspaceFolders ?? [];
      if (folder) server.cwd = folder.uri;
      return [server];
    },
  });
}
