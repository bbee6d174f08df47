import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ToolSource } from '../../core/ports/custom-tools.ts'
import { installationOf } from '../python/installation.ts'
import { findPython, type Interpreter } from '../python/interpreter.ts'
import { createEnvironments, type EnvironmentsOptions, type Waiting } from './environments.ts'
import { installEnv } from './install-env.ts'
import { pipPackages } from './packages.ts'

const PIP = [
  '-I -m pip install --no-input --disable-pip-version-check --no-cache-dir --progress-bar off',
  '--only-binary :all:',
].flatMap((options) => options.split(' '))

/**
 * Finds a Python that has the packages of a tool: a virtual environment for each set of them. Only wheels are installed:
 * nothing of a package runs then, outside of the wall. Throws `invalid_argument` for what is no package of the index, and
 * `tool_error` for what cannot be installed.
 */
export function createPipRequirements(
  options: EnvironmentsOptions,
): (requirements: Pick<ToolSource, 'pip_requirements'>, waiting: Waiting) => Promise<Interpreter> {
  const environments = createEnvironments(options)
  const { env } = options
  return async ({ pip_requirements }, waiting) => {
    const packages = pipPackages(pip_requirements)
    const base = await findPython(env)
    if (packages.length === 0) return base
    const { tag } = await installationOf(base, env)
    const folder = await environments.folder(
      {
        key: ['pip', tag, base.path, base.version, ...packages],
        packages: packages.join(', '),
        program: 'pip',
        async steps(draft, home) {
          const list = join(home, 'requirements.txt')
          await writeFile(list, `${packages.join('\n')}\n`)
          const common = { cwd: home, env: installEnv(env, home) }
          return [
            { ...common, command: base.path, args: ['-I', '-m', 'venv', draft] },
            {
              ...common,
              command: pythonIn(draft),
              args: [...PIP, '-r', list],
            },
          ]
        },
      },
      waiting,
    )
    return { path: pythonIn(folder), version: base.version }
  }
}

function pythonIn(folder: string): string {
  return process.platform === 'win32' ? join(folder, 'Scripts', 'python.exe') : join(folder, 'bin', 'python')
}
