import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { AgentSecret } from '../../shared/schema/agent.ts'
import { eventually, SCRIPTED, type TestLoci } from '../support/loci.ts'
import { withLociEach } from '../support/scripted-loci.ts'
import type { ScriptedModel } from '../support/scripted-model.ts'

const SECRET = 'tok-0123456789-hush'

/** Appends to a block, prints its secret, and answers how long that is. */
const REMEMBER = `
/**
 * Remembers a fact.
 * @param fact What to remember.
 */
export function remember(fact: string, agent_state: any): string {
  const { memory } = agent_state
  memory.update_block_value('human', memory.get_block('human').value + ' ' + fact)
  console.log('the token is ' + process.env.TOKEN)
  console.error('careful')
  return 'remembered with ' + process.env.TOKEN
}
`

const WHOAMI = `
import os

def whoami(greeting: str, agent_state) -> dict:
    """Says who calls.

    Args:
        greeting (str): What to say first.
    """
    print("hello from python")
    return {
        "greeting": greeting,
        "agent": os.environ["LETTA_AGENT_ID"] == agent_state.id,
        "tool": os.environ["LETTA_TOOL_ID"],
        "human": agent_state.memory.get_block("human").value,
        "token": os.environ["TOKEN"],
    }
`

describe("tools of one's own", () => {
  let model: ScriptedModel
  let t: TestLoci
  withLociEach((started) => ({ model, t } = started))

  it('are told of a project that their agent has', async () => {
    const { id } = await upsert(
      'export function whose(): string {\n  return process.env.LETTA_PROJECT_ID ?? "nobody"\n}',
      { source_type: 'typescript' },
    )
    for (const [project_id, expected] of [
      ['project-7', 'project-7'],
      [null, 'nobody'],
    ] as const) {
      const agent = await t.letta.agents.create({ model: SCRIPTED, tool_ids: [id], project_id })
      const { func_return } = await t.letta.agents.tools.run('whose', { agent_id: agent.id })
      assert.equal(func_return, expected)
    }
  })

  it('keep the name that their source says: another is refused, the same is taken', async () => {
    const { id, name } = await upsert(python('first', 'return "1"'))
    const path = `/v1/tools/${id}`
    const refused = await t.http('PATCH', path, { name: 'second', description: 'New.' })
    assert.equal(refused.status, 400)
    assert.match(JSON.stringify(refused.body), /cannot be renamed to 'second' by itself: rename its function/)
    assert.equal((await t.letta.tools.retrieve(id)).description, 'Does it.')
    assert.equal((await t.http('PATCH', path, { name, description: 'New.' })).status, 200)
    const renamed = { name: 'second', source_code: python('second', 'return "2"') }
    assert.equal((await t.http('PATCH', path, renamed)).status, 200)
  })

  it('have no NUL in their source, arguments and secrets: it is refused, not left out', async () => {
    const source_code = python('nul', 'return "1"')
    const { id } = await upsert(source_code)
    const agent = await t.letta.agents.create({ model: SCRIPTED, tool_ids: [id] })
    for (const [method, path, body, place] of [
      ['POST', '/v1/tools', { source_code: `${source_code}\0` }, 'body.source_code'],
      ['PATCH', `/v1/tools/${id}`, { source_code: `${source_code}\0` }, 'body.source_code'],
      ['POST', '/v1/tools/run', { source_code, args: { a: ['b\0'] } }, 'body.args.a.0'],
      ['POST', '/v1/tools/run', { source_code, args: {}, env_vars: { A: 'a\0b' } }, 'body.env_vars.A'],
      ['POST', `/v1/agents/${agent.id}/tools/nul/run`, { args: { a: '\0' } }, 'body.args.a'],
      ['POST', '/v1/agents', { model: SCRIPTED, secrets: { A: 'a\0b' } }, 'body.secrets.A'],
      ['PATCH', `/v1/agents/${agent.id}`, { secrets: { A: 'a\0b' } }, 'body.secrets.A'],
    ] as const) {
      const answer = await t.http(method, path, body)
      assert.equal(answer.status, 422, path)
      assert.ok(JSON.stringify(answer.body).includes(`${place}: has a NUL character`), JSON.stringify(answer))
    }
  })

  const python = (name: string, body: string) => `def ${name}() -> str:\n    """Does it."""\n    ${body}\n`
  const upsert = (source_code: string, more: object = {}) => t.letta.tools.upsert({ source_code, ...more })
  const typescript = (source_code: string, more: object = {}) =>
    upsert(source_code, { source_type: 'typescript', ...more })
  const newAgent = (tool_ids: string[], more: object = {}) =>
    t.letta.agents.create({
      model: SCRIPTED,
      memory_blocks: [{ label: 'human', value: 'Ada' }],
      include_base_tools: false,
      tool_ids,
      ...more,
    })
  const calls = (name: string, args: object = {}, id = `call-${name}`) => ({
    reply: { tool_calls: [{ id, name, arguments: { ...args } }] },
  })
  const says = (text: string) => ({ reply: { text } })
  const human = async (agent_id: string) =>
    (await t.letta.agents.blocks.retrieve('human', { agent_id })).value
  const returns = (messages: readonly { message_type?: string | null }[]) =>
    messages.flatMap((message) =>
      message.message_type === 'tool_return_message' && 'tool_returns' in message
        ? ((message.tool_returns ?? []) as {
            tool_return: string
            status: string
            stdout: string[]
            stderr: string[]
          }[])
        : [],
    )

  describe('in a turn', () => {
    it('run in both languages, with a secret, memory and what they print', async () => {
      const remember = await typescript(REMEMBER)
      const whoami = await upsert(WHOAMI)
      const { id } = await newAgent([remember.id, whoami.id], { secrets: { TOKEN: SECRET } })
      model.add(calls('remember', { fact: 'likes tea' }), calls('whoami', { greeting: 'Hi' }), says('Done.'))
      const { messages, stop_reason } = await t.letta.agents.messages.create(id, { input: 'Go' })
      assert.equal(stop_reason.stop_reason, 'end_turn')
      const [first, second] = returns(messages)
      assert.deepEqual(
        [first?.status, first?.tool_return, first?.stdout, first?.stderr],
        ['success', 'remembered with ***TOKEN***', ['the token is ***TOKEN***'], ['careful']],
      )
      assert.deepEqual([second?.status, second?.stdout], ['success', ['hello from python']])
      assert.deepEqual(JSON.parse(second?.tool_return ?? ''), {
        greeting: 'Hi',
        agent: true,
        tool: whoami.id,
        human: 'Ada likes tea',
        token: '***TOKEN***',
      })
      assert.equal(await human(id), 'Ada likes tea')
      const block = await t.letta.agents.blocks.retrieve('human', { agent_id: id })
      const history = (await t.http('GET', `/v1/blocks/${block.id}/history`)).body as {
        run_id: string | null
      }[]
      assert.match(history[0]?.run_id ?? '', /^run-/)
      const stored = returns((await t.letta.agents.messages.list(id)).items)
      assert.deepEqual(stored.map(({ stdout }) => stdout).sort(), [first?.stdout, second?.stdout].sort())
    })

    it('tell their secrets nobody: no message, prompt, trace, event, list, export or file', async () => {
      const tool = await typescript(REMEMBER)
      const { id } = await newAgent([tool.id], { secrets: { TOKEN: SECRET } })
      model.add(calls('remember', { fact: 'x' }), says('Done.'))
      await t.letta.agents.messages.create(id, { input: 'Go' })
      for (const { bytes } of model.requests) assert.ok(!bytes.includes(SECRET))
      const [step] = (await t.letta.steps.list({ agent_id: id })).items
      const paths = [
        `/v1/agents/${id}/messages`,
        `/v1/agents/${id}/context`,
        `/v1/agents/${id}/export`,
        `/v1/agents/${id}/tools`,
        `/v1/steps/${step?.id}`,
        `/v1/steps/${step?.id}/trace`,
        '/v1/runs/',
      ]
      for (const path of paths) {
        const { status, body } = await t.http('GET', path)
        assert.equal(status, 200, path)
        assert.ok(!JSON.stringify(body).includes(SECRET), path)
      }
      const read = [await t.letta.agents.retrieve(id), (await t.letta.agents.list()).items]
      assert.ok(!JSON.stringify(read).includes(SECRET))
      const preview = { messages: [{ role: 'user', content: 'x' }] }
      const { body } = await t.http('POST', `/v1/agents/${id}/messages/preview-raw-payload`, preview)
      assert.ok(!JSON.stringify(body).includes(SECRET))
      for (const entry of await readdir(t.data, { recursive: true, withFileTypes: true }))
        if (entry.isFile())
          assert.ok(!(await readFile(join(entry.parentPath, entry.name))).includes(SECRET), entry.name)
    })

    it('tell nobody of secrets with lines and quotes, also where their output is cut', async () => {
      const secrets = {
        PEM: '-----BEGIN-----\nfirst-line-of-it\nsecond-line-of-it\n-----END-----',
        ODD: `p"ss'\\wörd-€-12345678`,
        PLAIN: 'plain-secret-0123456789abcdef',
      }
      const js = await typescript(`
        export function spill() {
          for (const name of ['PEM', 'ODD']) console.log(process.env[name], { v: process.env[name] })
          process.stderr.write(process.env.PEM + '\\n')
          process.stdout.write('w'.repeat(256 * 1024))
          const error = new Error(process.env.ODD + 'x'.repeat(900))
          error.stack = process.env.PEM + ' ' + process.env.ODD
          throw error
        }`)
      const python = await upsert(`
def leak():
    """Says what it must not."""
    import json, os
    for name in ("PEM", "ODD"):
        print(os.environ[name], repr(os.environ[name]), ascii(os.environ[name]))
    print(json.dumps({"all": [os.environ["PEM"], os.environ["ODD"]]}))
    print("w" * (256 * 1024 - 900))
    print((os.environ["PLAIN"] + "\\n") * 100)
    raise KeyError(os.environ["ODD"], os.environ["PEM"])
`)
      const { id } = await newAgent([js.id, python.id], { secrets })
      model.add(calls('spill'), calls('leak'), says('Done.'))
      const { messages } = await t.letta.agents.messages.create(id, { input: 'Go' })
      const all = returns(messages)
      assert.deepEqual(
        all.map(({ status }) => status),
        ['error', 'error'],
      )
      for (const { tool_return, stdout, stderr } of all) {
        const text = [tool_return, ...stdout, ...stderr].join('\n')
        assert.match(text, /\*\*\*ODD\*\*\*/)
        for (const piece of ['line-of-it', '12345678', 'wörd', 'w\\xf6rd', 'w\\u00f6rd', 'plain-'])
          assert.ok(!text.includes(piece), `${piece} in ${text.slice(-2000)}`)
      }
    })

    it('change memory once, on a block that was changed while they ran', async () => {
      const tool = await typescript(`
        declare const client: any
        /** Notes it, inside and outside. */
        export async function note(agent_state: any): Promise<string> {
          const { id, memory } = agent_state
          const before = memory.get_block('human').value
          await client.agents.passages.create(id, { text: 'one run' })
          await client.agents.blocks.update('human', { agent_id: id, value: before + ', changed outside' })
          memory.update_block_value('human', before + ', changed inside')
          return 'noted'
        }
      `)
      const { id } = await newAgent([tool.id])
      model.add(calls('note'), says('Done.'))
      const { messages } = await t.letta.agents.messages.create(id, { input: 'Go' })
      assert.deepEqual(
        returns(messages).map(({ tool_return, status }) => [tool_return, status]),
        [['noted', 'success']],
      )
      assert.equal(await human(id), 'Ada, changed outside, changed inside')
      assert.equal((await t.letta.agents.passages.list(id)).length, 1)
    })

    it('that fail, or may not change a block, tell the model so and the turn goes on', async () => {
      const fails = await upsert(python('fails', 'raise KeyError("no such thing")'))
      const edits = await upsert(
        'def edits(agent_state) -> str:\n    """Edits."""\n    agent_state.memory.update_block_value("fixed", "new")\n    return "ok"\n',
      )
      const { id } = await newAgent([fails.id, edits.id], {
        memory_blocks: [{ label: 'fixed', value: 'old', read_only: true }],
      })
      model.add(calls('fails'), calls('edits'), says('Sorry.'))
      const { messages } = await t.letta.agents.messages.create(id, { input: 'Go' })
      const [first, second] = returns(messages)
      assert.equal(first?.status, 'error')
      assert.match(first?.tool_return ?? '', /^Error executing function fails: KeyError: /)
      assert.equal(second?.status, 'error')
      assert.match(second?.tool_return ?? '', /tool ran, but .*read-only.*It returned: ok/)
      const block = await t.letta.agents.blocks.retrieve('fixed', { agent_id: id })
      assert.equal(block.value, 'old')
    })

    it('are seen as they are now at the next turn, and the prompt stays as it was otherwise', async () => {
      const tool = await upsert(python('look', 'return "one"'))
      const { id } = await newAgent([tool.id])
      model.add(says('a'), says('b'), says('c'), calls('gaze'), says('d'))
      const send = () => t.letta.agents.messages.create(id, { input: 'Go' })
      await send()
      await send()
      const prefix = (n: number) => {
        const { messages, tools } = model.requests[n]!.body
        return JSON.stringify([messages[0], tools])
      }
      assert.equal(prefix(0), prefix(1))
      await t.letta.tools.update(tool.id, { description: 'Looks closely.' })
      await send()
      const offered = model.requests[2]?.body.tools ?? []
      assert.match(JSON.stringify(offered), /Looks closely\./)
      await t.letta.tools.update(tool.id, { source_code: python('gaze', 'return "two"') })
      const { messages } = await send()
      assert.deepEqual(
        returns(messages).map(({ tool_return }) => tool_return),
        ['two'],
      )
    })

    it('ask for an approval by default where the tool says so', async () => {
      const tool = await upsert(python('careful', 'return "done"'), { default_requires_approval: true })
      const { id } = await newAgent([tool.id])
      model.add(calls('careful'), says('Good.'))
      const asked = await t.letta.agents.messages.create(id, { input: 'Go' })
      assert.equal(asked.stop_reason.stop_reason, 'requires_approval')
      const { messages } = await t.letta.agents.messages.create(id, {
        messages: [
          {
            type: 'approval',
            approvals: [{ type: 'approval', tool_call_id: 'call-careful', approve: true }],
          },
        ],
      })
      assert.deepEqual(
        returns(messages).map(({ tool_return }) => tool_return),
        ['done'],
      )
    })

    it('without code are run by the client', async () => {
      const json_schema = {
        name: 'open_door',
        description: 'Opens a door.',
        parameters: { type: 'object', properties: { door: { type: 'string' } }, required: ['door'] },
      }
      const tool = await upsert('', { source_type: 'json', json_schema })
      const { id } = await newAgent([tool.id])
      model.add(calls('open_door', { door: 'front' }), says('It is open.'))
      const asked = await t.letta.agents.messages.create(id, { input: 'Go' })
      assert.equal(asked.stop_reason.stop_reason, 'requires_approval')
      const tool_returns = [
        {
          type: 'tool' as const,
          tool_call_id: 'call-open_door',
          tool_return: 'creak',
          status: 'success' as const,
        },
      ]
      const done = await t.letta.agents.messages.create(id, {
        messages: [{ type: 'tool_return', tool_returns }],
      })
      assert.equal(done.stop_reason.stop_reason, 'end_turn')
      assert.match(JSON.stringify(model.requests[1]?.body.messages), /creak/)
      const run = t.letta.agents.tools.run('open_door', { agent_id: id, args: { door: 'x' } })
      await assert.rejects(run, { status: 400, message: /client/ })
    })

    it('return no more than they may, and run side by side when they say so', async () => {
      const long = await upsert(python('long', 'return "x" * 1000'), {
        return_char_limit: 100,
        enable_parallel_execution: true,
      })
      const { id } = await newAgent([long.id], {
        model_settings: { provider_type: 'openai', parallel_tool_calls: true },
      })
      model.add(
        {
          reply: {
            tool_calls: ['a', 'b', 'c'].map((call) => ({ id: call, name: 'long', arguments: {} })),
          },
        },
        says('Done.'),
      )
      const { messages } = await t.letta.agents.messages.create(id, { input: 'Go' })
      const all = returns(messages)
      assert.equal(all.length, 3)
      for (const { tool_return } of all) assert.match(tool_return, /^x{100}\.\.\. \[truncated 900 chars\]/)
    })
  })

  describe('as the API takes them', () => {
    const send = async (method: string, path: string, body: unknown) => {
      const answer = await t.http(method, path, body)
      const { detail } = (answer.body ?? {}) as { detail?: string }
      return { status: answer.status, detail: detail ?? '', body: answer.body }
    }

    it('refuse what cannot be a tool, and say what and where', async () => {
      const fine = python('fine', 'return ""')
      const cases: [string, object, number, RegExp][] = [
        ['no source', {}, 422, /source_code/],
        ['an empty source', { source_code: '  \n' }, 422, /source_code.*empty/],
        ['a huge source', { source_code: `# ${'x'.repeat(1024 * 1024)}` }, 422, /at most 524,288 characters/],
        ['another language', { source_code: fine, source_type: 'cobol' }, 422, /source_type/],
        ['a syntax error', { source_code: 'def x(:\n' }, 400, /Line 1/],
        ['no function', { source_code: 'x = 1\n' }, 400, /function/],
        ['no types', { source_code: 'def x(a):\n    """X."""\n    return a\n' }, 400, /Line 1.*type/],
        [
          'a syntax error of TypeScript',
          { source_code: 'export function x( {', source_type: 'typescript' },
          400,
          /Line 1/,
        ],
        ['json without a schema', { source_code: '', source_type: 'json' }, 422, /json_schema/],
        ['a built-in name', { source_code: python('memory_insert', 'pass') }, 400, /built-in/],
        ['a long name', { source_code: python('n'.repeat(49), 'pass') }, 400, /48/],
        ['a schema without a name', { source_code: fine, json_schema: { description: 'x' } }, 422, /name/],
        ['a bad name', { source_code: fine, json_schema: { name: 'a b' } }, 422, /json_schema\.name/],
        ['no return', { source_code: fine, return_char_limit: 0 }, 422, /return_char_limit/],
        [
          'a package by address',
          { source_code: fine, pip_requirements: [{ name: 'git+https://x' }] },
          422,
          /pip_requirements\.0\.name.*not an address/,
        ],
        [
          'an option as a package',
          { source_code: fine, npm_requirements: [{ name: '--registry=x' }] },
          422,
          /npm_requirements\.0\.name/,
        ],
        [
          'a version that is a path',
          { source_code: fine, pip_requirements: [{ name: 'requests', version: '@ file:///etc' }] },
          422,
          /version/,
        ],
        [
          'many packages',
          { source_code: fine, pip_requirements: Array.from({ length: 51 }, (_, i) => ({ name: `p${i}` })) },
          422,
          /at most 50/,
        ],
      ]
      for (const [what, body, status, said] of cases) {
        const { status: got, detail } = await send('POST', '/v1/tools/', body)
        assert.equal(got, status, `${what}: ${detail}`)
        assert.match(detail, said, what)
      }
      assert.deepEqual((await t.letta.tools.list({ tool_types: ['custom'] })).items, [])
    })

    it('are the same for the same source, and tell nothing then', async () => {
      const source_code = python('same', 'return ""')
      const tool = await upsert(source_code, { tags: ['a'], pip_requirements: [] })
      const events = await fetch(`${t.url}/v1/events?after=0`)
      const reader = events.body?.getReader()
      assert.deepEqual(await upsert(source_code), tool)
      assert.deepEqual(await upsert(source_code, { tags: [] }), tool, 'an upsert takes no tags away')
      const marked = await upsert(python('mark', 'return ""'))
      assert.ok(reader)
      let text = ''
      for (; !text.includes(marked.id);) text += new TextDecoder().decode((await reader.read()).value)
      await reader.cancel()
      assert.ok(
        !text.includes(`"tool.updated","object_id":"${tool.id}"`) && !/tool\.updated/.test(text),
        text,
      )
    })

    it('keep a schema and a description that were given', async () => {
      const source_code = 'def raw(a, b=1, **more):\n    return a\n'
      const json_schema = {
        name: 'raw',
        description: 'Given.',
        parameters: { type: 'object', properties: { a: {} } },
      }
      const tool = await upsert(source_code, { json_schema })
      assert.deepEqual(tool.json_schema, {
        ...json_schema,
        parameters: { ...json_schema.parameters, required: [] },
      })
      const args_json_schema = {
        type: 'object',
        properties: { a: { type: 'integer', description: 'A.' } },
        required: ['a'],
      }
      const other = await upsert(source_code.replace('raw', 'other'), {
        args_json_schema,
        description: 'Mine.',
      })
      assert.deepEqual([other.description, other.json_schema?.['description']], ['Mine.', 'Mine.'])
      assert.deepEqual(
        (other.json_schema?.['parameters'] as { properties: object } | undefined)?.properties,
        args_json_schema.properties,
      )
      const changed = await t.letta.tools.update(tool.id, { source_type: 'python', return_char_limit: 7 })
      assert.deepEqual([changed.json_schema, changed.return_char_limit], [tool.json_schema, 7])
    })

    it('show what their source declares, whatever is written into their metadata', async () => {
      const permissions = {
        network: true,
        read: ['/'],
        write: ['/'],
        timeout_ms: 1,
        memory_mb: 1,
        keep_state: true,
      }
      const tool = await upsert(python('meta', 'return ""'), { metadata_: { permissions, a: 1 } })
      const shown = tool.metadata_?.['permissions'] as typeof permissions
      assert.deepEqual([shown.network, shown.read, tool.metadata_?.['a']], [false, [], 1])
      const packages = { pip_requirements: [{ name: 'evil' }] }
      const again = await upsert(python('meta', 'return ""'), { metadata_: packages })
      assert.equal(again.metadata_?.['pip_requirements'], undefined)
      const patched = await t.letta.tools.update(tool.id, { metadata_: { permissions, b: 2 } })
      assert.deepEqual(patched.metadata_, { permissions: shown, b: 2 })
      const open = await upsert(`# loci: network\n${python('meta', 'return ""')}`)
      assert.equal((open.metadata_?.['permissions'] as typeof permissions | undefined)?.network, true)
    })

    it('do not take a name that another tool has, also by a change', async () => {
      const one = await upsert(python('one', 'return ""'))
      await upsert(python('two', 'return ""'))
      for (const name of ['two', 'memory_insert']) {
        const { status, detail } = await send('PATCH', `/v1/tools/${one.id}`, {
          source_code: python(name, 'pass'),
        })
        assert.equal(status, 400, detail)
      }
      assert.equal((await t.letta.tools.retrieve(one.id)).name, 'one')
    })

    it('end at once when a client hangs up that does not ask again', async () => {
      const tool = await typescript(`
        declare const client: any
        /** Notes that it runs, without an end. */
        export async function endless(agent_id: string): Promise<string> {
          for (let n = 0; ; n++) await client.agents.blocks.update('human', { agent_id, value: String(n) })
        }
      `)
      const { id } = await newAgent([tool.id])
      const client = new AbortController()
      const asked = fetch(`${t.url}/v1/agents/${id}/tools/endless/run`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"args":{}}',
        signal: client.signal,
      })
      await eventually('the tool runs', async () => (Number(await human(id)) > 2 ? true : null))
      client.abort()
      await assert.rejects(asked)
      let last = ''
      let same = 0
      await eventually(
        'the tool has ended',
        async () => {
          const now = await human(id)
          same = now === last ? same + 1 : 0
          last = now
          return same > 20 ? true : null
        },
        8000,
      )
    })

    it('run once for a client that gives up and asks again', async () => {
      const tool = await typescript(`
        declare const client: any
        /** Notes that it runs, and waits for the gate. */
        export async function waits(agent_id: string): Promise<string> {
          await client.agents.passages.create(agent_id, { text: 'run' })
          for (;;) {
            const { value } = await client.agents.blocks.retrieve('human', { agent_id })
            if (value === 'open') return 'done'
          }
        }
      `)
      const { id } = await newAgent([tool.id])
      const runs = async () => (await t.letta.agents.passages.list(id)).length
      const ask = async (attempt: number, signal?: AbortSignal) => {
        const response = await fetch(`${t.url}/v1/agents/${id}/tools/waits/run`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'x-stainless-retry-count': String(attempt) },
          body: '{"args":{}}',
          ...(signal ? { signal } : {}),
        })
        return ((await response.json()) as { func_return: unknown }).func_return
      }
      const client = new AbortController()
      const first = ask(0, client.signal)
      await eventually('the tool runs', async () => ((await runs()) === 1 ? true : null))
      client.abort()
      await assert.rejects(first)
      const second = ask(1)
      await t.letta.agents.blocks.update('human', { agent_id: id, value: 'open' })
      assert.equal(await second, 'done')
      assert.equal(await ask(2), 'done')
      assert.equal(await runs(), 1)
      assert.equal(await ask(0), 'done')
      assert.equal(await runs(), 2, 'asked anew it runs anew')
    })

    it('run from source without a trace, and fail in words', async () => {
      const run = (body: object) => send('POST', '/v1/tools/run', body)
      const wrong = await run({ source_code: 'def x(:', args: {} })
      assert.deepEqual([wrong.status, /Line 1/.test(wrong.detail)], [400, true])
      assert.equal((await run({ source_code: python('x', 'return ""') })).status, 422)
      const other = await run({ source_code: python('x', 'return ""'), args: {}, name: 'y' })
      assert.deepEqual([other.status, /'x', not 'y'/.test(other.detail)], [400, true])
      const json = await run({ source_code: '', source_type: 'json', args: {} })
      assert.equal(json.status, 400)
      const named = await run({ source_code: python('x', 'return ""'), args: {}, name: 'x' })
      assert.equal(named.status, 200)
      assert.deepEqual((await t.letta.tools.list({ tool_types: ['custom'] })).items, [])
    })
  })

  describe('and secrets of agents', () => {
    const keys = async (id: string) =>
      ((await t.letta.agents.retrieve(id, { include: ['agent.secrets'] })).secrets ?? []).map(
        ({ key, value }) => [key, value],
      )

    it('are set by either name, replaced as a whole, and left alone otherwise', async () => {
      const old = await newAgent([], { tool_exec_environment_variables: { A: '1' } })
      assert.deepEqual(await keys(old.id), [['A', '1']])
      const { id } = await newAgent([], {
        secrets: { A: '1', B: '2' },
        tool_exec_environment_variables: { C: '3' },
      })
      assert.deepEqual(await keys(id), [
        ['A', '1'],
        ['B', '2'],
      ])
      await t.letta.agents.update(id, { description: 'x' })
      assert.equal((await keys(id)).length, 2)
      const updated = await t.letta.agents.update(id, { tool_exec_environment_variables: { D: '4' } })
      assert.deepEqual(
        updated.secrets?.map(({ key }) => key),
        ['D'],
      )
      await t.letta.agents.update(id, { secrets: {} })
      assert.deepEqual(await keys(id), [])
    })

    it('come with every read of an older client', async () => {
      const { id } = await newAgent([], { secrets: { A: '1' } })
      const response = await fetch(`${t.url}/v1/agents/${id}`, {
        headers: { 'user-agent': 'letta-client/0.1.0' },
      })
      const { secrets } = (await response.json()) as { secrets: { key: string; value: string }[] }
      assert.deepEqual(
        secrets.map(({ key, value }) => [key, value]),
        [['A', '1']],
      )
    })

    it('that cannot be read stop only what needs them, and say what to do', async () => {
      const tool = await upsert(WHOAMI)
      const { id } = await newAgent([tool.id], { secrets: { TOKEN: SECRET } })
      const key = join(t.data, 'secrets.key')
      const right = await readFile(key, 'utf8')
      await writeFile(key, 'no key')
      try {
        const { status, body } = await t.http('GET', `/v1/agents/${id}?include=agent.secrets`)
        assert.equal(status, 503)
        assert.match((body as { detail: string }).detail, /secrets\.key cannot be used/)
        assert.equal((await t.letta.agents.retrieve(id)).id, id)
        const older = (await t.http('GET', '/v1/agents/')).body as { id: string; secrets: AgentSecret[] }[]
        assert.deepEqual(
          older.map((agent) => [agent.id, agent.secrets.map((one) => [one.key, one.value])]),
          [[id, [['TOKEN', '']]]],
        )
        assert.match(older[0]?.secrets[0]?.description ?? '', /its value cannot be read here/)
        assert.equal((await t.letta.agents.update(id, { name: 'Renamed' })).name, 'Renamed')
        model.add(calls('whoami', { greeting: 'Hi' }), says('It has no key.'))
        const { messages, stop_reason } = await t.letta.agents.messages.create(id, { input: 'Go' })
        assert.equal(stop_reason.stop_reason, 'end_turn')
        assert.match(returns(messages)[0]?.tool_return ?? '', /secrets\.key cannot be used/)
        assert.match(JSON.stringify((await t.http('GET', `/v1/agents/${id}/export`)).body), /"TOKEN":""/)
      } finally {
        await writeFile(key, right)
      }
      assert.deepEqual(await keys(id), [['TOKEN', SECRET]])
    })

    it('have names that an environment takes', async () => {
      for (const secrets of [{ 'A=B': 'x' }, { '': 'x' }, { A: 5 }, { A: 'x'.repeat(100_001) }]) {
        const { status } = await t.http('POST', '/v1/agents/', { model: SCRIPTED, secrets })
        assert.equal(status, 422, JSON.stringify(secrets).slice(0, 50))
      }
    })
  })
})
