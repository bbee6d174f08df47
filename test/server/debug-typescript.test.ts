import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { SourceMap, type SourceMapPayload } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { withDeadline } from '../support/cli-process.ts'
import { type Inspector, openInspector } from '../support/inspector.ts'
import { SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { withLociEach } from '../support/scripted-loci.ts'
import type { ScriptedModel } from '../support/scripted-model.ts'

const STORED = `/**
 * Adds.
 * @param a One.
 * @param b Another.
 */
export function add(a: number, b: number): string {
  const sum: number = a + b
  return \`stored: \${sum}\`
}
`
/** The same tool as its developer has it on disk. */
const OWN = `/**
 * Adds.
 * @param a One.
 * @param b Another.
 */
export function add(a: number, b: number): string {
  const sum: number = a + b
  console.log('adding')
  return \`own: \${sum}\`
}
`

interface DebugRun {
  state: string
  target: { protocol: string; host: string; port: number; url: string } | null
  agent_id: string | null
  outcome: string | null
  result: string | null
  warning: string
}

describe('debugging a TypeScript tool', () => {
  let model: ScriptedModel
  let t: TestLoci
  let folder: string
  let file: string
  let tool_id: string
  let agent_id: string
  withLociEach((started) => ({ model, t } = started))

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'loci-debug-'))
    file = join(folder, 'add.ts')
    await writeFile(file, OWN)
    tool_id = (await t.letta.tools.create({ source_code: STORED, source_type: 'typescript' })).id
    const agent = await t.letta.agents.create({
      model: SCRIPTED,
      tool_ids: [tool_id],
      include_base_tools: false,
    })
    agent_id = agent.id
  })
  afterEach(() => rm(folder, { recursive: true }))

  const path = () => `/v1/tools/${tool_id}/debug`
  const arm = (own = file) => t.http('POST', path(), { path: own })
  const read = async (query = '') => (await t.http('GET', path() + query)).body as DebugRun
  const calls = () =>
    model.add(
      { reply: { tool_calls: [{ id: 'call-1', name: 'add', arguments: { a: 40, b: 2 } }] } },
      {
        expect: (body) => assert.match(JSON.stringify(body.messages.at(-1)), /: 42/),
        reply: { text: 'It is 42.' },
      },
    )
  const turn = () => t.letta.agents.messages.create(agent_id, { input: 'Add.' })

  it('stops at a breakpoint in the file while an agent calls the tool, once', async () => {
    const armed = (await arm()).body as DebugRun
    assert.equal(armed.state, 'armed')
    assert.match(armed.warning, /without the wall/)
    calls()
    const answer = turn()
    const { target } = await read('?state=armed&wait_seconds=30')
    const waiting = target ? { target } : await untilTarget()
    assert.deepEqual([waiting.target?.protocol, waiting.target?.host], ['inspector', '127.0.0.1'])
    const inspector = await openInspector(waiting.target?.url ?? '')
    try {
      assert.deepEqual(await stopIn(inspector), { line: 7, sum: 42 })
      assert.equal((await read()).state, 'running')
      await inspector.send('Debugger.resume')
      const { messages } = await withDeadline(answer, 'the turn')
      const returned = messages.find((message) => message.message_type === 'tool_return_message')
      assert.ok(returned && 'tool_return' in returned)
      assert.deepEqual([returned.tool_return, returned.stdout, returned.stderr], ['own: 42', ['adding'], []])
      assert.match(JSON.stringify(messages.at(-1)), /It is 42/)
    } finally {
      inspector.close()
    }
    const ended = await read()
    assert.deepEqual(
      [ended.state, ended.outcome, ended.result, ended.agent_id, ended.target],
      ['ended', 'success', 'own: 42', agent_id, null],
    )
    calls()
    assert.match(JSON.stringify((await turn()).messages), /stored: 42/)
  })

  async function untilTarget(): Promise<DebugRun> {
    const { promise, resolve } = Promise.withResolvers<DebugRun>()
    const look = async () => {
      const run = await read()
      if (run.target) resolve(run)
      else setTimeout(() => void look(), 20)
    }
    void look()
    return withDeadline(promise, 'a debugger’s target')
  }

  interface Paused {
    callFrames: { callFrameId: string; location: { lineNumber: number } }[]
    data?: { url: string; sourceMapURL: string }
  }

  /** Sets a breakpoint at the `console.log`, lets the process go on, and says where it stopped and what it saw. */
  async function stopIn(inspector: Inspector, mapped = false): Promise<{ line: number; sum: unknown }> {
    const own = (await readFile(file, 'utf8')).split('\n').findIndex((line) => line.includes('console.log'))
    const url = pathToFileURL(file).href
    const paused = () => inspector.event('Debugger.paused') as unknown as Promise<Paused>
    await inspector.send('Runtime.enable')
    await inspector.send('Debugger.enable')
    if (mapped)
      await inspector.send('Debugger.setInstrumentationBreakpoint', {
        instrumentation: 'beforeScriptWithSourceMapExecution',
      })
    else await inspector.send('Debugger.setBreakpointByUrl', { lineNumber: own, url })
    await inspector.send('Runtime.runIfWaitingForDebugger')
    let lines: number[] | null = null
    for (;;) {
      const { callFrames, data } = await paused()
      const [frame] = callFrames
      if (data?.url === url) {
        const [, base64 = ''] = data.sourceMapURL.split('base64,')
        lines = linesOf(JSON.parse(Buffer.from(base64, 'base64').toString()) as SourceMapPayload, url)
        await inspector.send('Debugger.setBreakpointByUrl', { lineNumber: lines.indexOf(own), url })
      }
      const sum = frame && (await valueOf(inspector, frame.callFrameId, 'sum'))
      if (frame && sum !== undefined) {
        const { lineNumber } = frame.location
        return { line: lines?.[lineNumber] ?? lineNumber, sum }
      }
      await inspector.send('Debugger.resume')
    }
  }

  /** Of a variable where the process stands; undefined: there is none of the name. */
  async function valueOf(inspector: Inspector, callFrameId: string, expression: string): Promise<unknown> {
    const { result } = (await inspector.send('Debugger.evaluateOnCallFrame', {
      callFrameId,
      expression: `typeof ${expression} === 'undefined' ? undefined : ${expression}`,
    })) as { result: { value?: unknown } }
    return result.value
  }

  /** The lines of the file that the lines of the code come from. */
  function linesOf(payload: SourceMapPayload, url: string): number[] {
    assert.deepEqual(payload.sources, [url])
    const map = new SourceMap(payload)
    return payload.mappings.split(';').map((_, line) => {
      const entry = map.findEntry(line, 80)
      return 'originalLine' in entry && entry.generatedLine === line ? entry.originalLine : -1
    })
  }

  it('stops in the lines of the file, too, where an enum makes its code another one', async () => {
    const enums = OWN.replace('/**', "enum Word {\n  Sum = 'own',\n}\n\n/**")
    await writeFile(file, enums.replace('own: ', '${Word.Sum}: '))
    await arm()
    calls()
    const answer = turn()
    const { target } = await untilTarget()
    const inspector = await openInspector(target?.url ?? '')
    try {
      assert.deepEqual(await stopIn(inspector, true), { line: 11, sum: 42 })
      await inspector.send('Debugger.resume')
      await withDeadline(answer, 'the turn')
    } finally {
      inspector.close()
    }
    assert.equal((await read()).result, 'own: 42')
  })

  it('can be ended while it is armed, and while a debugger stands in it', async () => {
    await arm()
    assert.equal((await t.http('DELETE', path())).status, 200)
    assert.deepEqual([(await read()).state, (await read()).outcome], ['ended', 'cancelled'])
    assert.equal((await t.http('DELETE', path())).status, 404)
    await arm()
    model.add(
      { reply: { tool_calls: [{ id: 'call-1', name: 'add', arguments: { a: 1, b: 2 } }] } },
      {
        expect: (body) => assert.match(JSON.stringify(body.messages.at(-1)), /ended by the developer/),
        reply: { text: 'Well.' },
      },
    )
    const answer = turn()
    await untilTarget()
    assert.equal((await t.http('DELETE', path())).status, 200)
    await withDeadline(answer, 'the turn')
  })

  it('says what is wrong before anybody waits', async () => {
    const other = join(folder, 'other.ts')
    await writeFile(other, STORED.replace('add(', 'subtract('))
    for (const [own, expected] of [
      ['add.ts', /not an absolute path/],
      [join(folder, 'none.ts'), /cannot be read/],
      [folder, /no file of a typescript tool/],
      ['/etc/passwd', /no file of a typescript tool/],
      [other, /holds the tool 'subtract', not 'add'/],
    ] as const) {
      const { status, body } = await arm(own)
      assert.equal(status, 400, own)
      assert.match((body as { detail: string }).detail, expected)
    }
    assert.equal((await t.http('GET', path())).status, 404)
    assert.equal((await arm()).status, 200)
    const { status, body } = await arm()
    assert.equal(status, 409)
    assert.match((body as { detail: string }).detail, /armed for a debugger already/)
    const builtin = (await t.letta.tools.list({ name: 'send_message' })).items[0]
    assert.equal((await t.http('POST', `/v1/tools/${builtin?.id}/debug`, { path: file })).status, 400)
  })

  it('is refused where others can reach the server', async () => {
    const exposed = await startLoci({ serve: { host: '0.0.0.0', key: 'k' } })
    try {
      const headers = { authorization: 'Bearer k', 'content-type': 'application/json' }
      const url = exposed.url.replace('0.0.0.0', '127.0.0.1')
      const send = (where: string, body: object) =>
        fetch(url + where, { method: 'POST', headers, body: JSON.stringify(body) })
      const made = await send('/v1/tools/', { source_code: STORED, source_type: 'typescript' })
      const { id } = (await made.json()) as { id: string }
      const refused = await send(`/v1/tools/${id}/debug`, { path: file })
      assert.equal(refused.status, 403)
      assert.match(((await refused.json()) as { detail: string }).detail, /others can reach/)
    } finally {
      await exposed.close()
    }
  })
})
