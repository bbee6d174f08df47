import { spawn } from 'node:child_process'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { run } from 'node:test'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { parseReport, type TestFailure, type TestReport } from '../../shared/client/tool-tests.ts'
import { messageOf } from '../../shared/schema/errors.ts'
import { Failure } from '../failure.ts'
import { testImports } from './test-imports.ts'

/** Runs test files with Node's own runner, and tells of each test when it has ended. */
export async function* reportsOfNode(files: string[]): AsyncGenerator<TestReport> {
  /** The suites that are open, by how deep they are. */
  const path: string[] = []
  // Its children run the files, and read their types away only when told to on older Nodes.
  if (!process.features.typescript) process.env['NODE_OPTIONS'] = '--experimental-strip-types'
  for await (const { type, data } of run({ files, execArgv: testImports() })) {
    if (type === 'test:stdout' || type === 'test:stderr') yield { output: data.message }
    if (type === 'test:start') path.splice(data.nesting, path.length, data.name)
    if (type !== 'test:pass' && type !== 'test:fail') continue
    const { file = '', name, nesting, details, skip } = data
    if (details.type === 'suite') continue
    const whole = name === file
    const state = type === 'test:fail' ? 'failed' : skip === undefined ? 'passed' : 'skipped'
    yield {
      file,
      name: whole ? [] : [...path.slice(0, nesting), name],
      state,
      duration: details.duration_ms,
      failure: type === 'test:fail' ? nodeFailure(data.details.error, file, whole) : null,
    }
  }
}

function nodeFailure(error: Error, file: string, whole: boolean): TestFailure {
  const cause = error.cause instanceof Error ? error.cause : error
  const { expected, actual } = cause as { expected?: unknown; actual?: unknown }
  const compared = expected !== undefined || actual !== undefined
  const stack = (cause.stack ?? '')
    .split('\n')
    .filter((line) => /^\s+at /.test(line) && !line.includes('node:'))
  const at = stack.map((line) => /((?:file:|\/|[A-Za-z]:\\)\S*?):(\d+):\d+\)?$/.exec(line))
  const here = at.find((match) => match && pathOf(match[1] ?? '') === file)
  return {
    message: whole ? 'The file could not be run; its output says why.' : messageOf(cause).trim(),
    stack: stack.length === 0 ? null : stack.map((line) => line.trim()).join('\n'),
    line: here ? Number(here[2]) : null,
    expected: compared ? shown(expected) : null,
    actual: compared ? shown(actual) : null,
  }
}

function pathOf(place: string): string {
  return place.startsWith('file:') ? fileURLToPath(place) : place
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : inspect(value, { depth: 10 })
}

/** `unittest`, whose tests print to stderr: stdout is for the reports. */
const RUNNER = `
import json, os, sys, time, traceback, unittest
out, sys.stdout = sys.stdout, sys.stderr
module = sys.argv[1]

class Result(unittest.TestResult):
    def startTest(self, test):
        super().startTest(test)
        self.begun = time.monotonic()
    def tell(self, test, state, error=None):
        kept = isinstance(test, unittest.TestCase) and not type(test).__module__.startswith("unittest.")
        name = test.id().split(".")[1:] if kept else []
        failure = None
        if error:
            kind, value, trace = error
            frames = traceback.extract_tb(trace)
            here = [f.lineno for f in frames if os.path.abspath(f.filename) == file]
            own = [f for f in frames if "unittest" not in f.filename.split(os.sep)]
            failure = {"message": "".join(traceback.format_exception_only(kind, value)).strip(),
                       "stack": "".join(traceback.format_list(own)).strip() or None,
                       "line": here[-1] if here else None, "expected": None, "actual": None}
        took = (time.monotonic() - getattr(self, "begun", time.monotonic())) * 1000
        print(json.dumps({"file": file, "name": name, "state": state, "duration": took, "failure": failure}), file=out, flush=True)
    def addSuccess(self, test):
        self.tell(test, "passed")
    def addSkip(self, test, reason):
        self.tell(test, "skipped")
    def addExpectedFailure(self, test, error):
        self.tell(test, "passed")
    def addUnexpectedSuccess(self, test):
        self.tell(test, "failed", (AssertionError, AssertionError("It passed, and was expected to fail."), None))
    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.tell(test, "failed", error)
    def addError(self, test, error):
        super().addError(test, error)
        self.tell(test, "failed", error)
    def addSubTest(self, test, subtest, error):
        if error:
            self.tell(test, "failed", error)

file = os.path.abspath(module + ".py")
sys.path.insert(0, os.getcwd())
unittest.defaultTestLoader.loadTestsFromName(module).run(Result())
`

/** Runs a test file with Python's \`unittest\`, and tells of each test when it has ended. */
export async function* reportsOfPython(python: string, file: string): AsyncGenerator<TestReport> {
  const { ELECTRON_RUN_AS_NODE: _, ...env } = process.env
  const module = file.slice(dirname(file).length + 1, -'.py'.length)
  const child = spawn(python, ['-B', '-c', RUNNER, module], {
    cwd: dirname(file),
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    windowsHide: true,
  })
  const failed = new Promise<never>((_, reject) => {
    child.once('error', (error) =>
      reject(
        new Failure(
          `${python} could not be started (${messageOf(error)}); LOCI_PYTHON can name another Python.`,
        ),
      ),
    )
  })
  const printed: string[] = []
  child.stderr.setEncoding('utf8').on('data', (text: string) => printed.push(text))
  const closed = new Promise((resolve) => child.once('close', resolve))
  failed.catch(() => undefined)
  for await (const line of createInterface({ input: child.stdout })) yield parseReport(line)
  await Promise.race([closed, failed])
  if (printed.length > 0) yield { output: printed.join('') }
}
