import assert from 'node:assert/strict'
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runToolTests } from '../../extension/host/tools/test-run.ts'
import { scaffold } from '../../shared/client/tool-templates.ts'
import { parseReport, type TestReport } from '../../shared/client/tool-tests.ts'
import { LOCI } from '../support/cli-process.ts'
import { isAlive } from '../e2e/code-server.ts'
import { eventually } from '../support/loci.ts'

describe('the unit tests of tools, run for the Test Explorer', () => {
  let folder: string
  let tools: string
  beforeEach(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), 'loci-tool-tests-')))
    tools = join(folder, '.loci', 'tools')
    await mkdir(tools, { recursive: true })
    await writeFile(join(tools, 'package.json'), '{ "type": "module" }')
    for (const { name, text } of scaffold('greet', 'function')) await writeFile(join(tools, name), text)
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  const command = () => ({ script: LOCI, env: { PATH: process.env['PATH'], HOME: folder }, cwd: folder })
  const { signal } = new AbortController()

  it('tell how each of them ended', async () => {
    const reports: TestReport[] = []
    for await (const report of runToolTests(command(), [join(tools, 'greet.ts')], signal))
      reports.push(report)
    const [outcome] = reports.filter((report) => 'state' in report)
    assert.deepEqual(
      [outcome?.file, outcome?.name, outcome?.state],
      [join(tools, 'greet.test.ts'), ['greet greets in the language that was asked for'], 'passed'],
    )
  })

  it('say why none could be run', async () => {
    await rm(join(tools, 'greet.test.ts'))
    const reports = runToolTests(command(), [join(tools, 'greet.ts')], signal)
    await assert.rejects(reports.next(), /There are no unit tests to run/)
  })

  it('end with all that they have started when they are cancelled', async () => {
    await writeFile(
      join(tools, 'greet.test.ts'),
      "console.log('pid', process.pid)\nsetInterval(() => {}, 1000)\n",
    )
    const abort = new AbortController()
    let pid = 0
    for await (const report of runToolTests(command(), [join(tools, 'greet.ts')], abort.signal)) {
      if (!('output' in report)) continue
      pid = Number(/pid (\d+)/.exec(report.output)?.[1] ?? pid)
      if (pid > 0) abort.abort()
    }
    assert.ok(pid > 0)
    await eventually('the process of the test is gone', () => (isAlive(pid) ? null : true))
  })

  it('may print what looks like no report', () => {
    assert.deepEqual(parseReport('[1'), { output: '[1\n' })
    assert.deepEqual(parseReport('{"a": 1}'), { output: '{"a": 1}\n' })
  })
})
