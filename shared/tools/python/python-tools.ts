import { createHash } from 'node:crypto'
import { dirname } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { CustomToolCall, CustomToolResult, ToolSource } from '../../core/ports/custom-tools.ts'
import { isAppError, messageOf } from '../../schema/errors.ts'
import { answerOver } from '../sandbox/api-requests.ts'
import { declaredPaths } from '../sandbox/declared-paths.ts'
import { createGate } from '../sandbox/gate.ts'
import { createKept } from '../sandbox/kept.ts'
import { failedCall, type LanguageOptions, type LanguageTools } from '../sandbox/language-tools.ts'
import { createSpares } from '../sandbox/spares.ts'
import type { WalledCommand } from '../sandbox/walled-command.ts'
import { openProcess, type ProcessOutcome, runCalls, type WalledProcess } from '../sandbox/walled-process.ts'
import type { CallOptions } from './fork-server.ts'
import { createForkServers } from './fork-servers.ts'
import { installationOf } from './installation.ts'
import type { Interpreter } from './interpreter.ts'
import { heavyImports, pythonCall } from './python-call.ts'
import { pythonScript } from './script-path.ts'

export interface PythonOptions extends LanguageOptions {
  /** Finds a Python that has these packages, and installs them if need be. */
  requirements: (
    requirements: Pick<ToolSource, 'pip_requirements'>,
    options: { signal: AbortSignal; onProgress?: ((text: string) => void) | undefined },
  ) => Promise<Interpreter>
  /** Folders that no tool may declare. */
  hide: readonly string[]
  /** Where `PATH` and the like come from. */
  env: NodeJS.ProcessEnv
}

/** A process that forks calls ends when nobody called for so long; not before those that it keeps. */
const IDLE_MS = 11 * 60_000
const MAX_SERVERS = 8
/** Forked processes that wait for a call: about 3 MB each of their own. */
const MAX_SPARES = 8
const SPARES_IDLE_MS = 60_000
const MAX_RUNNING = 32
/** Mebibytes of the process that forks calls itself; its limit is above that of any call. */
const SERVER_MB = 256
/** Mebibytes that Python takes before it runs a tool. */
const SINGLE_MB = 32

/** What a call is run with. */
interface Plan {
  /** Starts the process that forks one for each call. */
  server: WalledCommand
  fork: CallOptions
  /** Starts a process for this call alone, where there can be no server. */
  single: WalledCommand
  timeout_ms: number
}

/**
 * Runs tools written in Python: each call in a process of its own, which was forked before from one that waits behind the
 * wall. There is one of those for each environment and set of permissions: what the wall lets through is decided when it
 * is made, from outside, and no process inside has the rights to widen it. Where processes cannot be walled in from each
 * other inside the wall, each has a wall of its own.
 */
export function createPythonTools(options: PythonOptions): LanguageTools {
  const { wall, api, limits, requirements, hide, env } = options
  const servers = createForkServers({ wall, max: MAX_SERVERS, idle_ms: IDLE_MS })
  const spares = createSpares({ max: MAX_SPARES, idle_ms: SPARES_IDLE_MS })
  const kept = createKept()
  const gate = createGate(MAX_RUNNING)
  const used = new Set<WalledProcess>()

  /** Ends a process that has served its call, which does not wait for it, and starts another. */
  async function clearAway(process: WalledProcess, key: string): Promise<void> {
    const ended = process.end()
    await setImmediate()
    spares.refill(key)
    await ended
    used.delete(process)
  }

  async function planOf(
    { source, permissions }: CustomToolCall,
    running: Parameters<LanguageTools['run']>[1],
  ): Promise<Plan> {
    const python = await requirements(source, running)
    const { folders } = await installationOf(python, env)
    const { network } = permissions
    const { write, ...declared } = declaredPaths(permissions, hide)
    const script = (name: string) => pythonScript(`loci_tool_${name}.py`)
    const read = [...new Set([dirname(script('server')), ...folders, ...declared.read])]
    const timeout_ms = Math.min(permissions.timeout_ms ?? limits.timeout_ms, limits.timeout_ms)
    const files = { file_mb: 64, scratch_mb: 64 }
    const fork: CallOptions = {
      network,
      preload: heavyImports(source.source_code),
      limits: {
        ...files,
        memory_mb: Math.min(permissions.memory_mb ?? limits.memory_mb, limits.max_memory_mb),
        // Threads may use several processors.
        cpu_s: Math.ceil(timeout_ms / 1000) * 2 + 2,
        processes: 32,
      },
    }
    const both = { command: python.path, env: { LANG: 'C.UTF-8' }, read, write, network, pipes: 1 }
    return {
      timeout_ms,
      fork,
      server: {
        ...both,
        args: ['-I', '-B', script('server'), ...read, ...write],
        namespaces: true,
        // Of all calls of its life together; each call has its own.
        limits: {
          ...files,
          memory_mb: limits.max_memory_mb + SERVER_MB,
          cpu_s: 10_000_000,
          processes: MAX_RUNNING * 64,
        },
      },
      single: {
        ...both,
        args: ['-I', '-B', script('process'), JSON.stringify({ ...fork.limits, network }), ...fork.preload],
        limits: { ...fork.limits, memory_mb: fork.limits.memory_mb + SINGLE_MB },
      },
    }
  }

  /** Runs a call in a process that `open` makes, or that waits already. */
  async function runIn(
    key: string,
    open: () => WalledProcess,
    call: CustomToolCall,
    make: (process: WalledProcess) => Promise<ProcessOutcome>,
  ): Promise<CustomToolResult> {
    if (call.permissions.keep_state) {
      const whose = JSON.stringify([
        key,
        call.name,
        call.source.source_code,
        call.agent?.id ?? null,
        call.actor,
      ])
      return resultOf(call, await kept.use(createHash('sha256').update(whose).digest('hex'), open, make))
    }
    const process = spares.take(key, open)
    used.add(process)
    try {
      return resultOf(call, await make(process))
    } finally {
      void clearAway(process, key)
    }
  }

  return {
    async run(call, running) {
      const { signal } = running
      const leave = await gate.enter(signal)
      try {
        const { server, fork, single, timeout_ms } = await planOf(call, running)
        const { actor, agent, run_id } = call
        const frame = { ...pythonCall(call) }
        const answer = answerOver(api, { actor, agent_id: agent?.id ?? null, run_id })
        const make = (process: WalledProcess) => process.call(frame, { signal, timeout_ms, answer })
        const forked =
          process.platform === 'linux'
            ? await servers.use(server, signal, (found) =>
                runIn(JSON.stringify([found.id, fork]), () => runCalls(found.fork(fork)), call, make),
              )
            : null
        return forked ?? (await runIn(JSON.stringify(single), () => openProcess(wall, single), call, make))
      } catch (error) {
        if (signal.aborted) throw error
        return failedCall(
          call.name,
          isAppError(error) ? error.message : `it was not run: ${messageOf(error)}`,
        )
      } finally {
        leave()
      }
    },
    async close() {
      await Promise.all([spares.close(), kept.close(), ...[...used].map((process) => process.end())])
      await servers.close()
    },
  }
}

/** What came of a call, for the model. */
export function resultOf(
  { name, agent }: CustomToolCall,
  { result, failure, stdout, stderr }: ProcessOutcome,
): CustomToolResult {
  const output = { stdout, stderr }
  if (!result) return failedCall(name, failure, output)
  if (result.status === 'error')
    return failedCall(name, [result.name, result.message].filter(Boolean).join(': '), output)
  const labels = new Set(agent?.blocks.map(({ label }) => label))
  const memory_edits = Object.fromEntries(
    Object.entries(result.memory_edits).filter(([label]) => labels.has(label)),
  )
  return { status: 'success', func_response: result.value, memory_edits, ...output }
}
