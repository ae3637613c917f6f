// `hot-patch mcp`: the engine for coding agents, over the Model Context Protocol on standard input and output. A tool is a
// request to the engine; what it says stands in answers.ts, which files it may name in roots.ts. Nothing else is written to
// standard output. It is a bundle of its own (esbuild.mjs), which no other command loads.
import { fileURLToPath } from 'node:url';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import type { RequestHandlerExtra } from '@modelcontextprotocol/sdk/shared/protocol.js';
import type { CallToolResult, ServerNotification, ServerRequest } from '@modelcontextprotocol/sdk/types.js';
import { version } from '../../../package.json';
import { createEngine } from '../../engine/create_engine';
import type { EngineOptions } from '../../engine/engine';
import { toProblem } from '../../engine/model/errors';
import { refusalAnswer, type Answer } from './answers';
import { createAgentTools, type Call } from './tools';

type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>;

const INSTRUCTIONS = `Hot Patch changes functions of C and C++ programs while they run. The loop: edit a source file,
\`check\` or \`dry_run\` what a save would do, \`patch\` it into the running process, observe the program, and go on.
A refused edit leaves the process as it was; the answer has a code, the line and what to do.
What is \`verified\` was read back from the memory of the process. \`revert\` brings the original code back.
After a crash, \`last_crash\` has the backtrace. Data keeps its layout: edits of structs that live are refused.`;

/** Serves until standard input ends or the client is gone; what is under way then is withdrawn. */
export async function serveAgents(options: EngineOptions): Promise<void> {
  const engine = createEngine(options);
  try {
    const server = new McpServer({ name: 'hot-patch', version }, { instructions: INSTRUCTIONS });
    const started = process.cwd();
    const roots = async (): Promise<string[]> => {
      if (!server.server.getClientCapabilities()?.roots) return [started];
      const named = await server.server.listRoots();
      const folders = named.roots.flatMap(({ uri }) => (uri.startsWith('file:') ? [fileURLToPath(uri)] : []));
      return folders.length > 0 ? folders : [started];
    };
    for (const { name, title, description, input, changes, answer } of createAgentTools(engine, roots))
      server.registerTool(
        name,
        {
          title,
          description,
          inputSchema: input,
          annotations: { readOnlyHint: !changes, destructiveHint: false, openWorldHint: false },
        },
        (words: object, extra: Extra) =>
          asResult(() => answer(words as Record<string, unknown>, callOf(extra))),
      );
    const ended = new Promise<void>((resolve) => {
      server.server.onclose = resolve;
    });
    process.stdin.once('end', () => void server.close());
    await server.connect(new StdioServerTransport());
    await ended;
  } finally {
    await engine.dispose();
  }
}

/** What a call brings along: it may be withdrawn, and its client may want to hear of the steps. */
function callOf(extra: Extra): Call {
  const progressToken = extra._meta?.progressToken;
  let progress = 0;
  return {
    signal: extra.signal,
    step: (message) => {
      if (progressToken === undefined) return;
      const parameters = { progressToken, progress: ++progress, message };
      // A client that is gone withdraws the call, too.
      extra.sendNotification({ method: 'notifications/progress', params: parameters }).catch(() => undefined);
    },
  };
}

async function asResult(answer: () => Promise<Answer>): Promise<CallToolResult> {
  const { text, structured, isError } = await answer().catch((error: unknown) =>
    refusalAnswer(toProblem(error)),
  );
  return {
    content: [{ type: 'text', text }],
    structuredContent: structured,
    ...(isError && { isError }),
  };
}
