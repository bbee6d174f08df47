import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { promisify } from 'node:util'
import type { ToolSource } from '../../core/ports/custom-tools.ts'
import { AppError, messageOf } from '../../schema/errors.ts'
import { DEBUG_CALL_MS, type DebuggedCall, type RunDebugged } from '../debug/debug-runs.ts'
import { openUnwalled } from '../debug/unwalled-process.ts'
import { answerOver } from '../sandbox/api-requests.ts'
import { failedCall, type ToolApi } from '../sandbox/language-tools.ts'
import { type Interpreter, pythonEnv } from './interpreter.ts'
import { pythonCall } from './python-call.ts'
import { resultOf, type PythonOptions } from './python-tools.ts'
import { pythonScript } from './script-path.ts'

/**
 * Runs a call of a Python tool in the developer's own file under debugpy: the call begins when a debugger is attached
 * (Debug Adapter Protocol, `connect` to the target's port). debugpy is that of the Python in use, else it is installed
 * with the tool's requirements.
 */
export function debugPython(
  api: ToolApi,
  { requirements, env }: Pick<PythonOptions, 'requirements' | 'env'>,
): RunDebugged {
  return async (call, debugged, running) => {
    const { path, source_code, cancelled } = debugged
    const { signal } = running
    const ended = AbortSignal.any([signal, cancelled, AbortSignal.timeout(DEBUG_CALL_MS)])
    const failed = (error: unknown) => {
      if (signal.aborted) throw error
      if (cancelled.aborted) return failedCall(call.name, 'its debug run was ended by the developer')
      if (ended.aborted) return failedCall(call.name, 'its debug run took too long')
      return failedCall(call.name, `it was not debugged: ${messageOf(error)}`)
    }
    let python: Interpreter
    try {
      python = await withDebugpy(call.source, requirements, env, { ...running, signal: ended })
    } catch (error) {
      return failed(error)
    }
    const process = openUnwalled(
      {
        command: python.path,
        args: ['-I', '-B', '-X', 'frozen_modules=off', pythonScript('loci_debug.py')],
        env: { LANG: 'C.UTF-8', PYDEVD_DISABLE_FILE_VALIDATION: '1' },
      },
      listener(debugged),
    )
    const end = () => void process.end()
    ended.addEventListener('abort', end, { once: true })
    try {
      await process.ready
      const frame = pythonCall({ ...call, source: { ...call.source, source_code } })
      const outcome = await process.call(
        { ...frame, file: path, network: true },
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
      return resultOf(call, outcome)
    } catch (error) {
      return failed(error)
    } finally {
      ended.removeEventListener('abort', end)
      void process.end()
    }
  }
}

/** Hears of the port, and of a debugger, in what the process says of itself. */
function listener({ waiting, attached }: DebuggedCall): (text: string) => void {
  let said = ''
  return (text) => {
    said = (said + text).slice(-10_000)
    const listening = /^loci-debug: listening on (127\.0\.0\.1):(\d+)$/m.exec(said)
    if (listening)
      waiting({ protocol: 'dap', host: listening[1] ?? '', port: Number(listening[2]), url: null })
    if (/^loci-debug: attached$/m.test(said)) attached()
  }
}

/** A Python that has debugpy and what the tool requires. */
async function withDebugpy(
  source: ToolSource,
  requirements: PythonOptions['requirements'],
  env: NodeJS.ProcessEnv,
  running: Parameters<PythonOptions['requirements']>[1],
): Promise<Interpreter> {
  const usual = await requirements(source, running)
  if (await hasDebugpy(usual, env, running.signal)) return usual
  try {
    const pip_requirements = [...source.pip_requirements, { name: 'debugpy' }]
    return await requirements({ pip_requirements }, running)
  } catch (error) {
    if (running.signal.aborted) throw error
    throw new AppError(
      'tool_error',
      `debugpy is not there for ${usual.path} and could not be installed: ${messageOf(error)} ` +
        'Install it (pip install debugpy), or let LOCI_PYTHON name a Python that has it.',
    )
  }
}

async function hasDebugpy(
  { path }: Interpreter,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<boolean> {
  const script = 'import importlib.util as u; print(u.find_spec("debugpy") is not None)'
  const { stdout } = await promisify(execFile)(path, ['-I', '-B', '-c', script], {
    env: pythonEnv(env),
    cwd: tmpdir(),
    signal,
    timeout: 10_000,
    windowsHide: true,
  })
  return stdout.trim() === 'True'
}
