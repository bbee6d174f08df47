import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ContractTest } from '../../support/contract.ts'
import type { Method } from './method.ts'
import type { PlainOperation } from './plain.ts'

/** A Python tool of this name that answers with its argument and a word. */
function python(name: string, word = 'heard'): string {
  return [
    `def ${name}(text: str) -> str:`,
    '    """Repeats what it is given.',
    '',
    '    Args:',
    '        text (str): What to repeat.',
    '    """',
    '    print("printed")',
    `    return f"${word} {text}"`,
    '',
  ].join('\n')
}

function typescript(name: string): string {
  return [
    '/**',
    ' * Adds two numbers.',
    ' * @param a The first.',
    ' * @param b The second.',
    ' */',
    `export function ${name}(a: number, b = 1): number {`,
    '  return a + b',
    '}',
    '',
  ].join('\n')
}

/** A tool whose next call waits for a debugger, in a file that is gone again. */
async function armed(t: ContractTest) {
  const { id, name, source_code } = await newTool(t)
  const folder = await mkdtemp(join(tmpdir(), 'loci-debug-'))
  try {
    const file = join(folder, `${name}.py`)
    await writeFile(file, source_code ?? '')
    const path = `/v1/tools/${id}/debug`
    const { status, body } = await t.http('POST', path, { path: file })
    assert.equal(status, 200, JSON.stringify(body))
    return { path, run: body as { state: string; target: unknown; outcome: unknown } }
  } finally {
    await rm(folder, { recursive: true })
  }
}

const aName = () => `tool_${crypto.randomUUID().slice(0, 8)}`

async function newTool(t: ContractTest, more: object = {}) {
  const name = aName()
  return t.letta.tools.create({ source_code: python(name), ...more })
}

export const ownToolMethods: Method[] = [
  {
    name: 'tools.create',
    shows: 'a tool with the schema of its source; again with its name the same tool, changed',
    async run(t) {
      const name = aName()
      const tool = await t.letta.tools.create({ source_code: python(name), tags: ['test'] })
      assert.deepEqual(
        [tool.name, tool.tool_type, tool.source_type, tool.tags],
        [name, 'custom', 'python', ['test']],
      )
      assert.equal(tool.description, 'Repeats what it is given.')
      assert.deepEqual(tool.json_schema?.['parameters'], {
        type: 'object',
        properties: { text: { type: 'string', description: 'What to repeat.' } },
        required: ['text'],
      })
      assert.deepEqual(await t.letta.tools.retrieve(tool.id), tool)
      const again = await t.letta.tools.create({ source_code: python(name, 'said') })
      assert.deepEqual([again.id, again.tags], [tool.id, ['test']])
      assert.match(again.source_code ?? '', /said/)
      await assert.rejects(t.letta.tools.create({ source_code: python('memory_insert') }), { status: 400 })
      await assert.rejects(t.letta.tools.create({ source_code: 'def broken(:' }), { status: 400 })
    },
  },
  {
    name: 'tools.upsert',
    shows: 'a TypeScript tool, made from its types; sent again, the same',
    async run(t) {
      const name = aName()
      const body = { source_code: typescript(name), source_type: 'typescript' }
      const tool = await t.letta.tools.upsert(body)
      assert.deepEqual([tool.name, tool.description], [name, 'Adds two numbers.'])
      const parameters = tool.json_schema?.['parameters'] as { required: string[] } | undefined
      assert.deepEqual(parameters?.required, ['a'])
      assert.deepEqual(await t.letta.tools.upsert(body), tool)
      const schema = { name: aName(), description: 'Given.', parameters: { type: 'object', properties: {} } }
      const given = await t.letta.tools.upsert({ source_code: '', source_type: 'json', json_schema: schema })
      assert.deepEqual([given.name, given.description, given.source_type], [schema.name, 'Given.', 'json'])
    },
  },
  {
    name: 'tools.update',
    shows: 'what was given, the rest as it was; a new source with its new name and schema',
    async run(t) {
      const tool = await newTool(t, { return_char_limit: 100 })
      const name = aName()
      const changed = await t.letta.tools.update(tool.id, {
        source_code: python(name, 'new'),
        default_requires_approval: true,
        tags: ['a', 'b'],
        metadata_: { mine: 1 },
      })
      assert.deepEqual(
        [changed.id, changed.name, changed.json_schema?.['name'], changed.return_char_limit],
        [tool.id, name, name, 100],
      )
      assert.deepEqual([changed.default_requires_approval, changed.tags], [true, ['a', 'b']])
      assert.equal(changed.metadata_?.['mine'], 1)
      assert.deepEqual(changed.metadata_?.['permissions'], tool.metadata_?.['permissions'])
      const bare = await t.letta.tools.update(tool.id, { tags: [], description: 'Says it again.' })
      assert.deepEqual([bare.tags, bare.json_schema?.['description']], [[], 'Says it again.'])
      const [builtin] = (await t.letta.tools.list({ name: 'memory_insert' })).items
      await assert.rejects(t.letta.tools.update(builtin?.id ?? '', { tags: ['x'] }), { status: 400 })
      const gone = `tool-${crypto.randomUUID()}`
      await assert.rejects(t.letta.tools.update(gone, { tags: [] }), { status: 404 })
    },
  },
  {
    name: 'tools.delete',
    shows: 'a tool that is gone, from its agents too; built-in ones stay',
    async run(t) {
      const tool = await newTool(t)
      const { id } = await t.newAgent({ tool_ids: [tool.id] })
      await t.letta.tools.delete(tool.id)
      await assert.rejects(t.letta.tools.retrieve(tool.id), { status: 404 })
      const { items } = await t.letta.agents.tools.list(id)
      assert.ok(!items.some((one) => one.id === tool.id))
      await assert.rejects(t.letta.tools.delete(tool.id), { status: 404 })
      const [builtin] = (await t.letta.tools.list({ name: 'memory_insert' })).items
      await assert.rejects(t.letta.tools.delete(builtin?.id ?? ''), { status: 400 })
    },
  },
  {
    name: 'agents.tools.run',
    shows: 'what a tool of the agent returns and prints, with its secrets; 404 for one that it does not have',
    async run(t) {
      const name = aName()
      const source_code = [
        'import os',
        '',
        `def ${name}(who: str) -> str:`,
        '    """Greets.',
        '',
        '    Args:',
        '        who (str): Whom.',
        '    """',
        '    print("printed")',
        '    return os.environ["GREETING"] + " " + who + " " + os.environ["LETTA_AGENT_ID"]',
        '',
      ].join('\n')
      const tool = await t.letta.tools.upsert({ source_code })
      const agent = await t.letta.agents.create({
        model: 'openai/test-model',
        secrets: { GREETING: 'Hello' },
        tool_ids: [tool.id],
      })
      assert.deepEqual(
        agent.secrets?.map(({ key, value, agent_id }) => [key, value, agent_id]),
        [['GREETING', 'Hello', agent.id]],
      )
      assert.deepEqual(agent.secrets, agent.tool_exec_environment_variables)
      const read = await t.letta.agents.retrieve(agent.id)
      assert.deepEqual(read.secrets, [])
      const withThem = await t.letta.agents.retrieve(agent.id, { include: ['agent.secrets'] })
      assert.deepEqual(withThem.secrets, agent.secrets)
      const done = await t.letta.agents.tools.run(name, { agent_id: agent.id, args: { who: 'Ada' } })
      assert.deepEqual(
        [done.status, done.func_return, done.stdout],
        ['success', `Hello Ada ${agent.id}`, ['printed']],
      )
      const failed = await t.letta.agents.tools.run(name, { agent_id: agent.id, args: {} })
      assert.deepEqual([failed.status, failed.func_return], ['error', null])
      assert.match((failed.stderr ?? []).join('\n'), /who/)
      await t.letta.agents.blocks.list(agent.id)
      const insert = await t.letta.agents.blocks.attach(
        (await t.letta.blocks.create({ label: 'notes', value: 'One.' })).id,
        { agent_id: agent.id },
      )
      assert.ok(insert)
      await t.letta.agents.tools.run('memory_insert', {
        agent_id: agent.id,
        args: { label: 'notes', new_string: 'Two.' },
      })
      const block = await t.letta.agents.blocks.retrieve('notes', { agent_id: agent.id })
      assert.equal(block.value, 'One.\nTwo.')
      const run = t.letta.agents.tools.run('web_search', { agent_id: agent.id, args: {} })
      await assert.rejects(run, { status: 404 })
      await t.letta.agents.update(agent.id, { secrets: { OTHER: 'x' } })
      const replaced = await t.letta.agents.retrieve(agent.id, { include: ['agent.secrets'] })
      assert.deepEqual(
        replaced.secrets?.map(({ key }) => key),
        ['OTHER'],
      )
    },
  },
]

export const ownToolOperations: PlainOperation[] = [
  {
    name: 'POST /v1/tools/run',
    shows: 'what a source returns and prints, stored nowhere; a failing one is an answer too',
    async run(t) {
      const run = async (body: object) => {
        const answer = await t.http('POST', '/v1/tools/run', body)
        assert.equal(answer.status, 200, JSON.stringify(answer.body))
        return answer.body as Record<string, unknown>
      }
      const name = aName()
      const said = await run({ source_code: python(name), args: { text: 'you' } })
      assert.deepEqual(
        [said['tool_return'], said['status'], said['stdout'], said['id'], said['tool_call_id']],
        ['heard you', 'success', ['printed'], 'null', 'null'],
      )
      const sum = await run({ source_code: typescript(name), source_type: 'typescript', args: { a: 41 } })
      assert.equal(sum['tool_return'], '42')
      const env = await run({
        source_code: `import os\n\ndef ${name}() -> str:\n    """Looks."""\n    return os.environ["WORD"]\n`,
        args: {},
        env_vars: { WORD: 'env' },
      })
      assert.equal(env['tool_return'], 'env')
      const failed = await run({
        source_code: `def ${name}():\n    """Fails."""\n    raise ValueError("no")\n`,
        args: {},
      })
      assert.equal(failed['status'], 'error')
      assert.match(
        String(failed['tool_return']),
        new RegExp(`^Error executing function ${name}: ValueError: no`),
      )
      const stored = await t.letta.tools.list({ name })
      assert.deepEqual(stored.items, [])
    },
  },
  {
    name: 'POST /v1/tools/generate-schema',
    shows: 'the schema of a source',
    async run(t) {
      const { status, body } = await t.http('POST', '/v1/tools/generate-schema', { code: python('say') })
      assert.deepEqual([status, (body as { name: string }).name], [200, 'say'])
      const wrong = await t.http('POST', '/v1/tools/generate-schema', { code: 'def say(x): pass' })
      assert.equal(wrong.status, 400)
    },
  },
  {
    name: 'POST /v1/tools/check',
    shows: 'the schema of a source, or all that is wrong with it, with lines',
    async run(t) {
      const check = async (source_code: string) => {
        const { status, body } = await t.http('POST', '/v1/tools/check', { source_code })
        assert.equal(status, 200, JSON.stringify(body))
        return body as { name: string | null; errors: { line: number | null; message: string }[] }
      }
      const fine = await check(python('say'))
      assert.deepEqual([fine.name, fine.errors], ['say', []])
      const wrong = await check(
        'def say(x):\n    """Says.\n\n    Args:\n        x: It.\n    """\n    return x\n',
      )
      assert.equal(wrong.errors[0]?.line, 1)
      const source_code =
        "import left from 'left'\nexport function pad(text: string): string { return left(text) }"
      const warnings = async (npm_requirements: object[]) => {
        const asked = { source_code, source_type: 'typescript', npm_requirements }
        return ((await t.http('POST', '/v1/tools/check', asked)).body as { warnings: { message: string }[] })
          .warnings
      }
      assert.match((await warnings([])).map(({ message }) => message).join(), /left/)
      assert.doesNotMatch((await warnings([{ name: 'left' }])).map(({ message }) => message).join(), /left/)
      const taken = await check(python('memory_insert'))
      assert.match(taken.errors[0]?.message ?? '', /built-in/)
    },
  },
  {
    name: 'POST /v1/tools/{tool_id}/debug',
    shows: 'the next call of a tool is armed for a debugger, in a file of its developer',
    async run(t) {
      const { run } = await armed(t)
      assert.deepEqual([run.state, run.target, run.outcome], ['armed', null, null])
    },
  },
  {
    name: 'GET /v1/tools/{tool_id}/debug',
    shows: 'the debug run of a tool, at once or when its state has changed',
    async run(t) {
      const { path, run } = await armed(t)
      assert.deepEqual((await t.http('GET', path)).body, run)
      const changed = t.http('GET', `${path}?state=armed&wait_seconds=30`)
      await t.http('DELETE', path)
      assert.equal(((await changed).body as { outcome: string }).outcome, 'cancelled')
    },
  },
  {
    name: 'DELETE /v1/tools/{tool_id}/debug',
    shows: 'a debug run that has ended',
    async run(t) {
      const { path } = await armed(t)
      assert.deepEqual(await t.http('DELETE', path).then(({ status, body }) => [status, body]), [200, null])
      assert.equal(((await t.http('GET', path)).body as { state: string }).state, 'ended')
    },
  },
]
