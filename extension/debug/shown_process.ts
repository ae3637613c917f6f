// What a process looks like to a client of the debug adapter: threads, its trampolines as frames of a thread of their own,
// sources, memory, instructions; and that it is not stepped and has no breakpoints. Half of the adapter: shows what the
// other half (adapter.ts) keeps up to date, and changes nothing.
import { DebugSession, OutputEvent } from '@vscode/debugadapter';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { hintFor, toProblem } from '../engine/model/errors';
import type { PatchedFunction, ProcessStatus } from '../engine/model/result';
import { readMemory } from '../engine/process/memory';
import type { Debuggee } from './debuggee';
import { disassemble, readMapped } from './disassembly';
import { programCounter, readThreads } from './threads';
import {
  entryName,
  sourceOf,
  sourcesOf,
  trampolineText,
  trampolineVariables,
  versionAt,
} from './trampolines';

/** The thread under which trampolines are listed as frames; no thread of a program has the id of init. */
const TRAMPOLINES = 1;

export const nothingPatched = (pid: number): ProcessStatus => ({
  pid,
  exe: '',
  sequence: 0,
  patches: [],
  functions: [],
});

export abstract class ShownProcess extends DebugSession {
  /** Undefined before it was started or attached to, and when it has ended. */
  protected debuggee: Debuggee | undefined;
  protected status = nothingPatched(0);
  /** What frame and variable references of the present stop mean. */
  protected readonly frames = new Map<number, PatchedFunction>();

  protected get pid(): number {
    if (!this.debuggee) throw new Error('The program does not run.');
    return this.debuggee.pid;
  }

  protected say(text: string, category: 'console' | 'important' | 'stdout' | 'stderr' = 'console'): void {
    this.sendEvent(new OutputEvent(text, category));
  }

  /** Answers when the work is done; what it throws becomes the message the user sees. */
  protected answer(response: DebugProtocol.Response, work: () => Promise<void> | void): void {
    Promise.resolve()
      .then(work)
      .then(
        () => this.sendResponse(response),
        (error: unknown) => {
          const { code, message } = toProblem(error);
          const text =
            code !== 'internal' ? `${message}. ${hintFor(code)}` : String((error as Error).message);
          // An underscore says that the text may be in the short message too.
          this.sendErrorResponse(response, {
            id: 1,
            format: '{_text}',
            variables: { _text: text },
            showUser: true,
          });
        },
      );
  }

  protected override threadsRequest(response: DebugProtocol.ThreadsResponse): void {
    this.answer(response, () => {
      const { functions } = this.status;
      const threads = this.debuggee ? readThreads(this.pid) : [];
      response.body = {
        threads: [...threads, ...(functions.length > 0 ? [{ id: TRAMPOLINES, name: '⚡ Trampolines' }] : [])],
      };
    });
  }

  protected override stackTraceRequest(
    response: DebugProtocol.StackTraceResponse,
    { threadId }: DebugProtocol.StackTraceArguments,
  ): void {
    this.answer(response, () => {
      const { functions } = this.status;
      if (threadId === TRAMPOLINES) {
        const stackFrames = functions.map((entry, index): DebugProtocol.StackFrame => {
          const id = 2 * index + 1;
          this.frames.set(id, entry);
          return {
            id,
            name: `${entry.name}: ${trampolineText(entry)}`,
            line: entry.line ?? 0,
            column: entry.line === undefined ? 0 : 1,
            instructionPointerReference: entry.trampoline.address,
            ...(entry.file && { source: sourceOf(entry.file) }),
          };
        });
        response.body = { stackFrames, totalFrames: stackFrames.length };
        return;
      }
      const address = programCounter(this.pid, threadId);
      const place = address === undefined ? undefined : `0x${address.toString(16)}`;
      const name = address === undefined ? 'on a processor' : (versionAt(functions, address) ?? place!);
      response.body = {
        stackFrames: [
          {
            id: 2 * threadId,
            name,
            line: 0,
            column: 0,
            ...(place && { instructionPointerReference: place }),
          },
        ],
        totalFrames: 1,
      };
    });
  }

  protected override scopesRequest(
    response: DebugProtocol.ScopesResponse,
    { frameId }: DebugProtocol.ScopesArguments,
  ): void {
    const known = this.frames.has(frameId);
    response.body = {
      scopes: known ? [{ name: 'Trampoline', variablesReference: frameId, expensive: false }] : [],
    };
    this.sendResponse(response);
  }

  protected override variablesRequest(
    response: DebugProtocol.VariablesResponse,
    { variablesReference }: DebugProtocol.VariablesArguments,
  ): void {
    const entry = this.frames.get(variablesReference);
    response.body = { variables: entry ? trampolineVariables(entry) : [] };
    this.sendResponse(response);
  }

  // --- what is there -----------------------------------------------------------------------------------------------

  protected override loadedSourcesRequest(response: DebugProtocol.LoadedSourcesResponse): void {
    response.body = { sources: sourcesOf(this.status).map(sourceOf) };
    this.sendResponse(response);
  }

  private readonly read = (address: number, length: number): Promise<Buffer> =>
    readMapped((from, count) => readMemory(this.pid, from, count), address, length);

  protected override readMemoryRequest(
    response: DebugProtocol.ReadMemoryResponse,
    { memoryReference, offset = 0, count }: DebugProtocol.ReadMemoryArguments,
  ): void {
    this.answer(response, async () => {
      const address = Number(memoryReference) + offset;
      const bytes = await this.read(address, count);
      response.body = {
        address: `0x${address.toString(16)}`,
        data: bytes.toString('base64'),
        ...(bytes.length < count && { unreadableBytes: count - bytes.length }),
      };
    });
  }

  protected override disassembleRequest(
    response: DebugProtocol.DisassembleResponse,
    args: DebugProtocol.DisassembleArguments,
  ): void {
    this.answer(response, async () => {
      const { memoryReference, offset = 0, instructionOffset = 0, instructionCount } = args;
      const symbolAt = (address: number) => entryName(this.status.functions, address);
      const address = Number(memoryReference) + offset;
      const instructions = await disassemble(
        this.read,
        address,
        instructionOffset,
        instructionCount,
        symbolAt,
      );
      response.body = { instructions };
    });
  }

  private readonly refuseStep = (response: DebugProtocol.Response): void =>
    this.answer(response, () => {
      throw new Error('Hot Patch does not step: attach gdb or lldb to the same process.');
    });
  protected override nextRequest = this.refuseStep;
  protected override stepInRequest = this.refuseStep;
  protected override stepOutRequest = this.refuseStep;

  /** Breakpoints are for debuggers, which can be attached at the same time; they are told so where they stand. */
  protected override setBreakPointsRequest(
    response: DebugProtocol.SetBreakpointsResponse,
    { breakpoints = [] }: DebugProtocol.SetBreakpointsArguments,
  ): void {
    const message = 'Hot Patch stops nothing: attach gdb or lldb to the same process for breakpoints.';
    response.body = { breakpoints: breakpoints.map(() => ({ verified: false, message })) };
    this.sendResponse(response);
  }
}
