import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import type { ToolSource } from '../../core/ports/custom-tools.ts'
import { AppError } from '../../schema/errors.ts'
import { createEnvironments, type EnvironmentsOptions, type Waiting } from './environments.ts'
import { installEnv } from './install-env.ts'
import { npmPackages } from './packages.ts'

const NPM = [
  'install --ignore-scripts --omit=dev --no-package-lock --no-audit --no-fund --no-update-notifier',
  // What cannot be reached is told soon.
  '--no-progress --loglevel=error --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=5000',
].flatMap((options) => options.split(' '))

/**
 * Makes the folder whose `node_modules` has the packages of a tool, one for each set of them. No script of a package is
 * run. Throws as `createPipRequirements`.
 */
export function createNpmRequirements(
  options: EnvironmentsOptions,
): (requirements: Pick<ToolSource, 'npm_requirements'>, waiting: Waiting) => Promise<string> {
  const environments = createEnvironments(options)
  const { env } = options
  return async ({ npm_requirements }, waiting) => {
    const packages = npmPackages(npm_requirements)
    const { command, first } = npmProgram(env)
    return environments.folder(
      {
        key: ['npm', process.platform, process.arch, ...packages.map((each) => each.join('@'))],
        packages: packages.map(([name, range]) => (range === '*' ? name : `${name}@${range}`)).join(', '),
        program: 'npm',
        async steps(draft, home) {
          const manifest = { name: 'tool', private: true, dependencies: Object.fromEntries(packages) }
          await writeFile(join(draft, 'package.json'), JSON.stringify(manifest))
          return [
            {
              command,
              args: [...first, ...NPM, '--cache', join(home, 'cache')],
              cwd: draft,
              env: installEnv(env, home),
            },
          ]
        },
      },
      waiting,
    )
  }
}

/** npm on the PATH; on Windows the script behind it, which cannot be started itself. */
function npmProgram(env: NodeJS.ProcessEnv): { command: string; first: string[] } {
  const path = Object.entries(env).find(([name]) => name.toUpperCase() === 'PATH')?.[1] ?? ''
  for (const folder of path.split(delimiter)) {
    if (process.platform === 'win32') {
      const script = join(folder, 'node_modules', 'npm', 'bin', 'npm-cli.js')
      if (existsSync(script)) return { command: join(folder, 'node.exe'), first: [script] }
    } else if (folder && existsSync(join(folder, 'npm'))) return { command: join(folder, 'npm'), first: [] }
  }
  throw new AppError(
    'tool_error',
    "There is no 'npm' on the PATH: install Node, which brings it, from nodejs.org",
  )
}
