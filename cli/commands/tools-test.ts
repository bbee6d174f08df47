import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { basename, dirname, extname, resolve } from 'node:path'
import type { TestReport } from '../../shared/client/tool-tests.ts'
import { messageOf } from '../../shared/schema/errors.ts'
import { complain, EXIT, Failure } from '../failure.ts'
import { testImports } from '../tools/test-imports.ts'
import { findToolFiles, testPath } from '../tools/tool-file.ts'

/**
 * `loci tools test`: runs the unit tests beside the tools with Node's own runner and Python's `unittest`, here and as the
 * user, not behind the wall: they are the developer's own code, and debuggers work in them. Fails when one fails. With
 * `json` a line for each test, for editors.
 */
export async function runTests(paths: string[], { json = false }: { json?: boolean } = {}): Promise<void> {
  const files = await findToolFiles(paths)
  const tests = files.map(testPath).filter((path) => existsSync(path))
  for (const file of files)
    if (!json && !existsSync(testPath(file))) complain(`${file} has no unit test (${testPath(file)}).`)
  if (tests.length === 0) throw new Failure('There are no unit tests to run.')
  const typescript = tests.filter((path) => extname(path) !== '.py')
  let failed = false
  if (json) {
    const reports = await import('../tools/test-reports.ts')
    const tell = async (told: AsyncIterable<TestReport>) => {
      for await (const report of told) {
        process.stdout.write(`${JSON.stringify(report)}\n`)
        if ('state' in report && report.state === 'failed') failed = true
      }
    }
    if (typescript.length > 0) await tell(reports.reportsOfNode(typescript.map((path) => resolve(path))))
    for (const path of tests.filter((test) => extname(test) === '.py'))
      await tell(reports.reportsOfPython(process.env['LOCI_PYTHON'] ?? 'python3', resolve(path)))
    if (failed) process.exitCode = EXIT.failure
    return
  }
  if (typescript.length > 0) {
    const strip = process.features.typescript ? [] : ['--experimental-strip-types']
    failed = !(await succeeds(process.execPath, [...strip, ...testImports(), '--test', ...typescript]))
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
