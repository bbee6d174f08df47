import { createHash } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { setImmediate } from 'node:timers/promises'
import type { CustomToolCall, CustomToolResult, ToolSource } from '../../core/ports/custom-tools.ts'
import { isAppError, messageOf } from '../../schema/errors.ts'
import { answerOver } from '../sandbox/api-requests.ts'
import { declaredPaths } from '../sandbox/declared-paths.ts'
import { createGate } from '../sandbox/gate.ts'
import { failedCall, type LanguageOptions, type LanguageTools } from '../sandbox/language-tools.ts'
import { createKept } from '../sandbox/kept.ts'
import { createSpares } from '../sandbox/spares.ts'
import { openProcess, type WalledProcess } from '../sandbox/walled-process.ts'
import { compileTypeScript } from '../source/compile.ts'
import { nodeCommand, type NodeProfile } from './node-command.ts'
import { frameOf, resultOf } from './typescript-call.ts'

export interface TypeScriptOptions extends LanguageOptions {
  /** Makes the folder that has `node_modules` with these packages, once for all tools with the same. */
  requirements: (
    requirements: Pick<ToolSource, 'npm_requirements'>,
    options: { signal: AbortSignal; onProgress?: ((text: string) => void) | undefined },
  ) => Promise<string>
  /** Folders that no tool may declare. */
  hide: readonly string[]
}

/** Processes that wait for a call: about 45 MB each, most of it shared. */
const MAX_SPARES = 6
const SPARES_IDLE_MS = 60_000
const MAX_RUNNING = 32
/** A process that cannot be started in so long is given up. */
const START_MS = 30_000

/** Runs tools written in TypeScript: each call in a process of its own behind the wall, which was started before. */
export function createTypeScriptTools(options: TypeScriptOptions): LanguageTools {
  const { wall, api, limits } = options
  const spares = createSpares({ max: MAX_SPARES, idle_ms: SPARES_IDLE_MS })
  const kept = createKept()
  const gate = createGate(MAX_RUNNING)
  const starting = createGate(Math.max(2, availableParallelism()))
  const used = new Set<WalledProcess>()
  const active = new Set<Promise<CustomToolResult>>()
  const closing = new AbortController()

  /** Opens a process as soon as few others are starting: starting all at once would stall this process and them. */
  async function openInTurn(open: () => WalledProcess, signal: AbortSignal): Promise<WalledProcess> {
    const leave = await starting.enter(signal)
    try {
      await setImmediate()
      const process = open()
      process.ready.then(leave, leave)
      return process
    } catch (error) {
      leave()
      throw error
    }
  }

  /** Ends a process that has served its call, and starts another: that takes milliseconds, so the call has its answer before. */
  async function clearAway(process: WalledProcess, key: string): Promise<void> {
    await setImmediate()
    spares.refill(key)
    await process.end()
    used.delete(process)
  }

  async function profileOf(
    { source, permissions }: CustomToolCall,
    running: RunOptions,
  ): Promise<NodeProfile> {
    const { npm_requirements } = source
    return {
      network: permissions.network,
      ...declaredPaths(permissions, options.hide),
      memory_mb: Math.min(permissions.memory_mb ?? limits.memory_mb, limits.max_memory_mb),
      timeout_ms: Math.min(permissions.timeout_ms ?? limits.timeout_ms, limits.timeout_ms),
      requirements:
        npm_requirements.length > 0 ? await options.requirements({ npm_requirements }, running) : null,
    }
  }

  async function run(call: CustomToolCall, running: RunOptions): Promise<CustomToolResult> {
    const { signal } = running
    const { code, entry } = await compileTypeScript(call.source.source_code, call.name)
    const profile = await profileOf(call, running)
    const key = JSON.stringify(profile)
    const open = () => openProcess(wall, nodeCommand(profile))
    const frame = frameOf(call, { code, entry })
    const scope = { actor: call.actor, agent_id: call.agent?.id ?? null, run_id: call.run_id }
    const answer = answerOver(api, scope)
    const make = async (process: WalledProcess) => {
      await started(process, signal)
      return process.call(frame, { signal, timeout_ms: profile.timeout_ms, answer })
    }
    if (call.permissions.keep_state) {
      const version = createHash('sha256').update(JSON.stringify([key, code, scope.agent_id]))
      return resultOf(call, profile, await kept.use(version.digest('hex'), open, make))
    }
    const process = spares.find(key, open) ?? (await openInTurn(open, signal))
    used.add(process)
    try {
      return resultOf(call, profile, await make(process))
    } finally {
      void clearAway(process, key)
    }
  }

  async function runUntilClosed(call: CustomToolCall, running: RunOptions): Promise<CustomToolResult> {
    const signal = AbortSignal.any([running.signal, closing.signal])
    let leave
    try {
      leave = await gate.enter(signal)
      return await run(call, { ...running, signal })
    } catch (error) {
      running.signal.throwIfAborted()
      if (closing.signal.aborted) return failedCall(call.name, 'Loci is shutting down')
      return failedCall(call.name, isAppError(error) ? error.message : `it was not run: ${messageOf(error)}`)
    } finally {
      leave?.()
    }
  }

  return {
    async run(call, running) {
      const result = runUntilClosed(call, running)
      active.add(result)
      try {
        return await result
      } finally {
        active.delete(result)
      }
    },
    async close() {
      closing.abort()
      await Promise.allSettled(active)
      await Promise.all([spares.close(), kept.close(), ...[...used].map((process) => process.end())])
    },
  }
}

type RunOptions = Parameters<LanguageTools['run']>[1]

/** Resolves when a process waits for a call. Rejects with what it said; ends it on an abort and when it takes too long. */
async function started(process: WalledProcess, signal: AbortSignal): Promise<void> {
  const given = AbortSignal.any([signal, AbortSignal.timeout(START_MS)])
  const end = () => void process.end()
  given.addEventListener('abort', end, { once: true })
  try {
    await process.ready
  } finally {
    given.removeEventListener('abort', end)
  }
  signal.throwIfAborted()
}
