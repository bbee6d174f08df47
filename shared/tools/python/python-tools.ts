import { createHash } from 'node:crypto'
import { dirname } from 'node:path'
import type { CustomToolCall, CustomToolResult, ToolSource } from '../../core/ports/custom-tools.ts'
import { isAppError, messageOf } from '../../schema/errors.ts'
import { answerOver } from '../sandbox/api-requests.ts'
import { declaredPaths } from '../sandbox/declared-paths.ts'
import { createGate } from '../sandbox/gate.ts'
import { createKept } from '../sandbox/kept.ts'
import { failedCall, type LanguageOptions, type LanguageTools } from '../sandbox/language-tools.ts'
import { createSpares } from '../sandbox/spares.ts'
import type { WalledCommand } from '../sandbox/walled-command.ts'
import { type ProcessOutcome, runCalls, type WalledProcess } from '../sandbox/walled-process.ts'
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
/** Forked processes that wait for a call: about 4 MB each. */
const MAX_SPARES = 8
const SPARES_IDLE_MS = 60_000
const MAX_RUNNING = 32
/** Mebibytes of the process that forks calls itself; its limit is above that of any call. */
const SERVER_MB = 256

/**
 * Runs tools written in Python: each call in a process of its own, which was forked before from one that waits behind the
 * wall. There is one of those for each environment and set of permissions: what the wall lets through is decided when it
 * is made, from outside, and no process inside has the rights to widen it.
 */
export function createPythonTools(options: PythonOptions): LanguageTools {
  const { wall, api, limits, requirements, hide, env } = options
  const servers = createForkServers({ wall, max: MAX_SERVERS, idle_ms: IDLE_MS })
  const spares = createSpares({ max: MAX_SPARES, idle_ms: SPARES_IDLE_MS })
  const kept = createKept()
  const gate = createGate(MAX_RUNNING)

  /** What a call is run with. */
  async function planOf(
    { source, permissions }: CustomToolCall,
    running: Parameters<LanguageTools['run']>[1],
  ): Promise<{ command: WalledCommand; fork: CallOptions; timeout_ms: number }> {
    const python = await requirements(source, running)
    const { folders } = await installationOf(python, env)
    const timeout_ms = Math.min(permissions.timeout_ms ?? limits.timeout_ms, limits.timeout_ms)
    const script = pythonScript('loci_tool_server.py')
    const { write, ...declared } = declaredPaths(permissions, hide)
    const read = [...new Set([dirname(script), ...folders, ...declared.read])]
    const { network } = permissions
    const files = { file_mb: 64, scratch_mb: 64 }
    return {
      timeout_ms,
      command: {
        command: python.path,
        args: ['-I', '-B', script, ...read, ...write],
        env: { LANG: 'C.UTF-8' },
        read,
        write,
        network,
        namespaces: true,
        // Of all calls of its life together; each call has its own.
        limits: {
          ...files,
          memory_mb: limits.max_memory_mb + SERVER_MB,
          cpu_s: 10_000_000,
          processes: MAX_RUNNING * 64,
        },
        pipes: 1,
      },
      fork: {
        network,
        preload: heavyImports(source.source_code),
        limits: {
          ...files,
          memory_mb: Math.min(permissions.memory_mb ?? limits.memory_mb, limits.max_memory_mb),
          // Threads may use several processors.
          cpu_s: Math.ceil(timeout_ms / 1000) * 2 + 2,
          processes: 32,
        },
      },
    }
  }

  return {
    async run(call, running) {
      const { signal } = running
      const { name, agent, actor, run_id, source } = call
      const leave = await gate.enter(signal)
      try {
        const { command, fork, timeout_ms } = await planOf(call, running)
        const frame = { ...pythonCall(call) }
        const answer = answerOver(api, { actor, agent_id: agent?.id ?? null, run_id })
        const make = (process: WalledProcess) => process.call(frame, { signal, timeout_ms, answer })
        return await servers.use(command, signal, async (server) => {
          const open = () => runCalls(server.fork(fork))
          const key = JSON.stringify([server.id, fork])
          if (call.permissions.keep_state) {
            const whose = JSON.stringify([key, name, source.source_code, agent?.id ?? null, actor])
            const keptKey = createHash('sha256').update(whose).digest('hex')
            return resultOf(call, await kept.use(keptKey, open, make))
          }
          const process = server.isolated ? spares.take(key, open) : open()
          try {
            return resultOf(call, await make(process))
          } finally {
            await process.end()
            if (server.isolated) spares.refill(key)
          }
        })
      } catch (error) {
        if (signal.aborted) throw error
        return failedCall(name, isAppError(error) ? error.message : `it was not run: ${messageOf(error)}`)
      } finally {
        leave()
      }
    },
    async close() {
      await Promise.all([spares.close(), kept.close()])
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
