/**
 * schemathesis asks a real `loci server` everything that its own OpenAPI document says, and much that it forbids: all
 * checks, on every operation, seeded. `LOCI_API_TEST_SECONDS` is how long (180), `LOCI_SEED` repeats a run.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { cleanEnvironment, LOCI, type Running, start, temporaryFolder } from '../support/cli-process.ts'
import { pythonOf } from './python-client.ts'

const VERSION = '4.32.5'
const CONFIG = join(import.meta.dirname, 'schemathesis', 'schemathesis.toml')
const NO_NETWORK = import.meta.resolve('../support/no-network.mjs')

/** With one worker: Python 3.11 compiles in two threads at once only by luck. Its schemas nest deeper than Python's usual stack. */
const RUN =
  'import sys; sys.setrecursionlimit(20000); from schemathesis.cli import schemathesis; schemathesis()'

const seconds = Number(process.env['LOCI_API_TEST_SECONDS'] ?? 180)
const seed = Number(process.env['LOCI_SEED'] ?? 271_828)
/** What part of the time each kind of test has, and what it is told beside that. */
const PHASES: Record<string, { part: number; more?: string[] }> = {
  coverage: { part: 0.5 },
  fuzzing: { part: 0.4 },
  // One after another what is made, read, changed and deleted: links between all operations would be ten thousand. Ids are
  // the server's and never the same, so a seed does not repeat a run: what no operation may take is asked in the others.
  stateful: {
    part: 0.1,
    more: [
      '--mode',
      'positive',
      '--include-path-regex',
      '^/v1/(agents|blocks|tools|archives|identities|groups|folders|providers)/?(\\{\\w+\\}/?)?$',
    ],
  },
}

describe('schemathesis', function () {
  this.timeout((seconds * 2 + 300) * 1000)
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let server: Running
  let url: string
  before(async () => {
    pythonOf(`schemathesis-${VERSION}`, `schemathesis==${VERSION}`)
    folder = await temporaryFolder()
    const env = {
      ...cleanEnvironment(folder.path),
      // What a request names elsewhere is not asked: not by the server, and not by what installs packages for tools.
      NODE_OPTIONS: `--import=${NO_NETWORK}`,
      PIP_NO_INDEX: '1',
      npm_config_registry: 'http://127.0.0.1:1',
    }
    server = start(process.execPath, [LOCI, 'server', '--port', '0', '--docs'], env, { cwd: folder.path })
    url = (await server.waitFor(/http:\/\/127\.0\.0\.1:\d+/))[0]
  })
  after(async () => {
    const { code } = await server.stop()
    await folder.remove()
    assert.equal(code, 0)
  })

  for (const [phase, { part, more = [] }] of Object.entries(PHASES))
    it(`finds nothing in its phase "${phase}"`, async () => {
      const python = pythonOf(`schemathesis-${VERSION}`, `schemathesis==${VERSION}`)
      const args = ['-c', RUN, '--config-file', CONFIG, 'run', `${url}/openapi.json`]
      const limits = ['--phases', phase, '--seed', String(seed), '--workers', '1', '--no-shrink', ...more]
      const time = String(Math.max(10, Math.round(seconds * part)))
      // Its caches and replays go where it runs.
      const program = start(python, [...args, ...limits, '--max-time', time], cleanEnvironment(folder.path), {
        cwd: folder.path,
      })
      const { code } = await program.exited
      // Long texts are its habit.
      const said = program.stdout.replaceAll(/^.{1000,}$/gm, (line) => `${line.slice(0, 1000)}…`)
      assert.equal(code, 0, `${said}\n${program.stderr}\n${failuresOf(server.stderr)}`)
      const summary = /^ +(\d+ generated.*)$/m.exec(said)?.[1]
      assert.ok(summary !== undefined, said)
      console.log(`      ${summary}, seed ${seed}`)
      assert.equal((await fetch(`${url}/v1/ready/`)).status, 200, 'the server is well afterwards')
      assert.equal(failuresOf(server.stderr), '', 'no failure was its own')
    })
})

/** Lines of the log about failures of ours. */
function failuresOf(log: string): string {
  return log
    .split('\n')
    .filter((line) => /"level":50.*"where":/.test(line))
    .slice(0, 5)
    .join('\n')
}
