import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { promisify } from 'node:util'
import * as z from 'zod'
import { AppError, messageOf } from '../../schema/errors.ts'
import { type Interpreter, pythonEnv } from './interpreter.ts'

/** Where a Python is installed. */
export interface Installation {
  /** All that it reads to run, absolute: its own folder, that of its base when it is a virtual environment. */
  folders: string[]
  /** Platform and ABI: packages that were installed for one are not for another. */
  tag: string
}

const FACTS = `
import json, os, sys, sysconfig
real = os.path.dirname(os.path.realpath(sys.executable))
print(json.dumps({
    'folders': sorted({sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, real}),
    'tag': '%s-%s' % (sysconfig.get_platform(), sys.implementation.cache_tag),
}))
`

const installation = z.object({ folders: z.array(z.string()), tag: z.string() })
const ASK_TIMEOUT_MS = 10_000
const known = new Map<string, Promise<Installation>>()

/** Asks a Python where it is installed, once. Throws `tool_error` when it does not answer. */
export function installationOf(python: Interpreter, env: NodeJS.ProcessEnv): Promise<Installation> {
  const asked = known.get(python.path) ?? ask(python, env)
  known.set(python.path, asked)
  asked.catch(() => known.delete(python.path))
  return asked
}

async function ask({ path }: Interpreter, env: NodeJS.ProcessEnv): Promise<Installation> {
  try {
    const { stdout } = await promisify(execFile)(path, ['-I', '-B', '-c', FACTS], {
      env: pythonEnv(env),
      cwd: tmpdir(),
      timeout: ASK_TIMEOUT_MS,
      killSignal: 'SIGKILL',
      windowsHide: true,
    })
    return installation.parse(JSON.parse(stdout))
  } catch (error) {
    throw new AppError('tool_error', `${path} does not say where it is installed: ${messageOf(error)}`)
  }
}
