import { readFile, stat } from 'node:fs/promises'
import { extname, isAbsolute } from 'node:path'
import type { Actor } from '../../core/ports/actor.ts'
import type {
  CustomToolCall,
  CustomToolResult,
  SourceLanguage,
  ToolSources,
} from '../../core/ports/custom-tools.ts'
import type { ToolDebugger } from '../../core/ports/tool-debugger.ts'
import { AppError, messageOf } from '../../schema/errors.ts'
import type { DebugRun, DebugTarget } from '../../schema/tool-debug.ts'

/** How long a tool stays armed when nobody calls it, and how long a call may stand in a debugger; in milliseconds. */
const ARMED_MS = 15 * 60_000
export const DEBUG_CALL_MS = 60 * 60_000

const EXTENSIONS: Record<SourceLanguage, readonly string[]> = {
  python: ['.py'],
  typescript: ['.ts', '.mts'],
}

const WARNING =
  'This call runs your file as it lies on disk, without the wall that other calls have: as your user, with the network.'

/** A call that was taken for a debugger. */
export interface DebuggedCall {
  path: string
  source_code: string
  /** Aborts when the developer ends the debug run. */
  cancelled: AbortSignal
  waiting: (target: DebugTarget) => void
  attached: () => void
}

/** What runs a call so that a debugger can stop it. As `CustomTools.run`. */
export type RunDebugged = (
  call: CustomToolCall,
  debugged: DebuggedCall,
  options: { signal: AbortSignal; onProgress?: ((text: string) => void) | undefined },
) => Promise<CustomToolResult>

interface Armed {
  actor: Actor
  run: DebugRun
  cancelled: AbortController
  expiry: NodeJS.Timeout
}

/** The debug runs of this process: for each tool the last one that was armed. */
export class DebugRuns implements ToolDebugger {
  readonly #sources: Pick<ToolSources, 'derive'>
  readonly #refused: () => string | null
  readonly #armed = new Map<string, Armed>()
  readonly #watchers = new Set<() => void>()

  constructor(sources: Pick<ToolSources, 'derive'>, refused: () => string | null = () => null) {
    this.#sources = sources
    this.#refused = refused
  }

  async arm(
    actor: Actor,
    tool: { id: string; name: string; source_type: SourceLanguage },
    path: string,
  ): Promise<DebugRun> {
    const refusal = this.#refused()
    if (refusal !== null) throw new AppError('forbidden', refusal)
    const derived = await this.#sources.derive({
      source_type: tool.source_type,
      source_code: await readOwnFile(path, tool.source_type),
    })
    if (derived.name !== tool.name)
      throw new AppError(
        'invalid_argument',
        `${path} holds the tool '${derived.name}', not '${tool.name}': debug that one, or push the file first.`,
      )
    const present = this.#find(actor, tool.id)
    if (present && present.run.state !== 'ended')
      throw new AppError(
        'conflict',
        `The tool '${tool.name}' is ${present.run.state} for a debugger already: end that first (DELETE).`,
      )
    const run: DebugRun = {
      tool_id: tool.id,
      name: tool.name,
      source_type: tool.source_type,
      path,
      state: 'armed',
      target: null,
      agent_id: null,
      run_id: null,
      outcome: null,
      result: null,
      warning: WARNING,
      expires_at: new Date(Date.now() + ARMED_MS).toISOString(),
    }
    const expiry = setTimeout(() => {
      if (armed.run.state !== 'armed') return
      const minutes = ARMED_MS / 60_000
      this.#change(armed, {
        state: 'ended',
        outcome: 'expired',
        result: `Nobody called it in ${minutes} minutes.`,
      })
    }, ARMED_MS).unref()
    const armed: Armed = { actor, run, expiry, cancelled: new AbortController() }
    this.#armed.set(tool.id, armed)
    this.#tell()
    return run
  }

  get(actor: Actor, tool_id: string): DebugRun | null {
    return this.#find(actor, tool_id)?.run ?? null
  }

  async changed(
    actor: Actor,
    tool_id: string,
    state: DebugRun['state'],
    signal: AbortSignal,
  ): Promise<DebugRun | null> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const look = () => {
      if (this.get(actor, tool_id)?.state !== state || signal.aborted) resolve()
    }
    this.#watchers.add(look)
    signal.addEventListener('abort', look, { once: true })
    look()
    await promise
    this.#watchers.delete(look)
    return this.get(actor, tool_id)
  }

  cancel(actor: Actor, tool_id: string): boolean {
    const armed = this.#find(actor, tool_id)
    if (!armed || armed.run.state === 'ended') return false
    this.#change(armed, { state: 'ended', outcome: 'cancelled' })
    armed.cancelled.abort()
    return true
  }

  /** Runs the call for a debugger when its tool is armed; null when it is not. Once: the next call is as all others. */
  take(
    call: CustomToolCall,
    run: RunDebugged,
    options: { signal: AbortSignal; onProgress?: ((text: string) => void) | undefined },
  ): Promise<CustomToolResult> | null {
    const armed = call.tool_id ? this.#find(call.actor, call.tool_id) : undefined
    if (armed?.run.state !== 'armed') return null
    clearTimeout(armed.expiry)
    this.#change(armed, { state: 'waiting', agent_id: call.agent?.id ?? null, run_id: call.run_id })
    return this.#run(armed, call, run, options)
  }

  close(): void {
    for (const { actor, run } of this.#armed.values()) this.cancel(actor, run.tool_id)
    for (const { expiry } of this.#armed.values()) clearTimeout(expiry)
  }

  async #run(
    armed: Armed,
    call: CustomToolCall,
    run: RunDebugged,
    options: { signal: AbortSignal; onProgress?: ((text: string) => void) | undefined },
  ): Promise<CustomToolResult> {
    const { path } = armed.run
    try {
      const source_code = await readOwnFile(path, call.source.source_type)
      const result = await run(
        call,
        {
          path,
          source_code,
          cancelled: armed.cancelled.signal,
          waiting: (target) => this.#change(armed, { target }),
          attached: () => this.#change(armed, { state: 'running' }),
        },
        options,
      )
      const { func_response, status } = result
      const text = typeof func_response === 'string' ? func_response : JSON.stringify(func_response)
      this.#change(armed, { state: 'ended', target: null, outcome: status, result: text })
      return result
    } catch (error) {
      const outcome = options.signal.aborted ? 'cancelled' : 'error'
      this.#change(armed, { state: 'ended', target: null, outcome, result: messageOf(error) })
      throw error
    }
  }

  /** What has ended stays as it ended. */
  #change(armed: Armed, change: Partial<DebugRun>): void {
    if (armed.run.state === 'ended') return
    armed.run = { ...armed.run, ...change }
    this.#tell()
  }

  #tell(): void {
    for (const watcher of this.#watchers) watcher()
  }

  #find(actor: Actor, tool_id: string): Armed | undefined {
    const armed = this.#armed.get(tool_id)
    return armed?.actor.organization_id === actor.organization_id ? armed : undefined
  }
}

/** Throws `invalid_argument` for what is no file of the language. */
async function readOwnFile(path: string, language: SourceLanguage): Promise<string> {
  const wanted = EXTENSIONS[language]
  if (!isAbsolute(path))
    throw new AppError(
      'invalid_argument',
      `body.path: '${path}' is not an absolute path; give the whole path.`,
    )
  if (!wanted.includes(extname(path)))
    throw new AppError(
      'invalid_argument',
      `body.path: ${path} is no file of a ${language} tool; its name ends with ${wanted.join(' or ')}.`,
    )
  try {
    if (!(await stat(path)).isFile()) throw new Error('it is no file')
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new AppError('invalid_argument', `body.path: ${path} cannot be read: ${messageOf(error)}`)
  }
}
