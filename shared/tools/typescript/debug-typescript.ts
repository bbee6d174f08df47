import { realpathSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { DEBUG_CALL_MS, type RunDebugged } from '../debug/debug-runs.ts'
import { openUnwalled } from '../debug/unwalled-process.ts'
import { answerOver } from '../sandbox/api-requests.ts'
import { failedCall, type ToolApi } from '../sandbox/language-tools.ts'
import { compileTypeScript } from '../source/compile.ts'
import type { CompiledTool } from '../source/typescript-compile.ts'
import { supported, workerFiles } from './node-command.ts'
import { frameOf, resultOf } from './typescript-call.ts'
import type { WorkerSettings } from './worker-call.ts'

/** Mebibytes of the heap of a call that is debugged. */
const MEMORY_MB = 4096

/**
 * Runs a call of a TypeScript tool in the developer's own file under Node's inspector: it stands at its first line until
 * a debugger is attached and lets it go on. Breakpoints are those of the file.
 */
export function debugTypeScript(api: ToolApi): RunDebugged {
  return async (call, { path, source_code, cancelled, waiting, attached }, { signal }) => {
    const compiled = await compileTypeScript(source_code, call.name)
    const { worker, modules } = workerFiles()
    const settings: WorkerSettings = { modules, requirements: null, debug: path }
    let said = ''
    const process = openUnwalled(
      {
        command: realpathSync(globalThis.process.execPath),
        args: [
          '--permission',
          '--allow-fs-read=*',
          '--allow-fs-write={scratch}',
          ...supported('--allow-net'),
          ...supported('--allow-inspector'),
          '--no-experimental-sqlite',
          '--no-warnings',
          '--enable-source-maps',
          // Of files that the tool imports.
          ...supported('--experimental-strip-types'),
          ...supported('--experimental-transform-types'),
          `--max-old-space-size=${MEMORY_MB}`,
          '--inspect-brk=127.0.0.1:0',
          worker,
          JSON.stringify(settings),
        ],
        env: globalThis.process.versions['electron'] ? { ELECTRON_RUN_AS_NODE: '1' } : {},
      },
      (text) => {
        said = (said + text).slice(-10_000)
        const url = /Debugger listening on (ws:\/\/127\.0\.0\.1:(\d+)\/\S+)/.exec(said)
        if (url)
          waiting({ protocol: 'inspector', host: '127.0.0.1', port: Number(url[2]), url: url[1] ?? null })
        if (said.includes('Debugger attached')) attached()
      },
    )
    const ended = AbortSignal.any([signal, cancelled, AbortSignal.timeout(DEBUG_CALL_MS)])
    const end = () => void process.end()
    ended.addEventListener('abort', end, { once: true })
    try {
      await process.ready
      const outcome = await process.call(
        frameOf(call, { code: codeOf(path, compiled), entry: compiled.entry }),
        {
          signal: ended,
          timeout_ms: DEBUG_CALL_MS,
          answer: answerOver(api, {
            actor: call.actor,
            agent_id: call.agent?.id ?? null,
            run_id: call.run_id,
          }),
        },
      )
      const stderr = outcome.stderr.filter((line) => !OF_THE_INSPECTOR.test(line))
      return resultOf(call, { memory_mb: MEMORY_MB }, { ...outcome, stderr })
    } catch (error) {
      if (signal.aborted || !ended.aborted) throw error
      const why = cancelled.aborted
        ? 'its debug run was ended by the developer'
        : 'its debug run took too long'
      return failedCall(call.name, why)
    } finally {
      ended.removeEventListener('abort', end)
      void process.end()
    }
  }
}

/** What Node says about its inspector, which is nothing that the tool has printed. */
const OF_THE_INSPECTOR =
  /^(Debugger (listening on|attached|ending on)|For help, see: https:\/\/nodejs\.org|Waiting for the debugger)/

/**
 * The code under the name of the developer's file: where types were only left out, every place is that of the file, and
 * the rest says where it comes from.
 */
function codeOf(path: string, { code, map, in_place }: CompiledTool): string {
  const own = code.slice(0, code.lastIndexOf('\n//# sourceMappingURL='))
  // Without it an editor compares the code with the file, finds its types missing, and shows the code instead.
  if (in_place) return `${own}\n//# sourceURL=${pathToFileURL(path).href}\n`
  const mapped = JSON.stringify({ ...(JSON.parse(map) as object), sources: [pathToFileURL(path).href] })
  return `${own}\n//# sourceMappingURL=data:application/json;base64,${Buffer.from(mapped).toString('base64')}\n`
}
