import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { basename, dirname, extname } from 'node:path'
import { messageOf } from '../../shared/schema/errors.ts'
import { complain, EXIT, Failure } from '../failure.ts'
import { findToolFiles, testPath } from '../tools/tool-file.ts'

/**
 * `loci tools test`: runs the unit tests beside the tools with Node's own runner and Python's `unittest`, here and as the
 * user, not behind the wall: they are the developer's own code, and debuggers work in them. Fails when one fails.
 */
export async function runTests(paths: string[]): Promise<void> {
  const files = await findToolFiles(paths)
  const tests = files.map(testPath).filter((path) => existsSync(path))
  for (const file of files)
    if (!existsSync(testPath(file))) complain(`${file} has no unit test (${testPath(file)}).`)
  if (tests.length === 0) throw new Failure('There are no unit tests to run.')
  const typescript = tests.filter((path) => extname(path) !== '.py')
  let failed = false
  if (typescript.length > 0) {
    const strip = process.features.typescript ? [] : ['--experimental-strip-types']
    failed = !(await succeeds(process.execPath, [...strip, '--test', ...typescript]))
  }
  for (const path of tests.filter((test) => extname(test) === '.py')) {
    const python = process.env['LOCI_PYTHON'] ?? 'python3'
    const module = basename(path, '.py')
    failed = !(await succeeds(python, ['-B', '-m', 'unittest', '-v', module], dirname(path))) || failed
  }
  if (failed) process.exitCode = EXIT.failure
}

function succeeds(command: string, args: string[], cwd = process.cwd()): Promise<boolean> {
  const { ELECTRON_RUN_AS_NODE, ...others } = process.env
  // The editor's own Node is Electron, which is Node only with this.
  const env = command === process.execPath && ELECTRON_RUN_AS_NODE ? process.env : others
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: 'inherit' })
    child.once('error', (error) =>
      reject(
        new Failure(
          `${command} could not be started (${messageOf(error)}); LOCI_PYTHON can name another Python.`,
        ),
      ),
    )
    child.once('exit', (code) => resolve(code === 0))
  })
}
