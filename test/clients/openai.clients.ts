/** The official clients of OpenAI and Anthropic for Python against agents; those for TypeScript are tested in test/server. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { cleanEnvironment, start, temporaryFolder } from '../support/cli-process.ts'
import { SCRIPTED, type TestLoci } from '../support/loci.ts'
import { withLoci } from '../support/scripted-loci.ts'
import { pythonOf } from './python-client.ts'

/** As a model that does what it is told: says things again, remembers, and asks for the weather. */
function reply({ messages, tools = [] }: { messages: Message[]; tools?: { function: { name: string } }[] }) {
  const last = messages.at(-1)
  if (last?.role === 'tool') {
    const asked = messages.findLast((message) => message.tool_calls?.length)?.tool_calls ?? []
    return { text: ['Done: ', asked[0]?.function.name ?? ''] }
  }
  const text = textOf(messages.findLast(({ role }) => role === 'user')?.content)
  if (text.startsWith('Remember: '))
    return call('memory_insert', { label: 'human', new_string: text.slice('Remember: '.length) })
  if (text === 'Weather?' && tools.some((tool) => tool.function.name === 'get_weather'))
    return call('get_weather', { city: 'Rome' })
  if (text === 'Count')
    return { text: `Messages of users: ${messages.filter(({ role }) => role === 'user').length}` }
  return { text: ['You said: ', text] }
}

interface Message {
  role: string
  content?: unknown
  tool_calls?: { function: { name: string } }[]
}

const call = (name: string, args: Record<string, unknown>) => ({ tool_calls: [{ name, arguments: args }] })

function textOf(content: unknown): string {
  return Array.isArray(content) ? (content[0] as { text: string }).text : String(content)
}

const CLIENTS = [
  { name: 'openai', version: '3.54.0', program: 'openai_chat.py', path: '/openai/v1', oks: 14 },
  { name: 'anthropic', version: '2.12.0', program: 'anthropic_messages.py', path: '/anthropic', oks: 7 },
] as const

for (const { name, version, program, path, oks } of CLIENTS)
  describe(`${name} of Python`, function () {
    this.timeout(300_000)
    let t: TestLoci
    withLoci((started) => ({ t } = started), {
      models: [{ id: 'test-model', context_length: 128_000 }],
      loop: reply,
    })

    it('speaks to an agent as to a model', async () => {
      const python = pythonOf(`python-${name}-${version}`, `${name}==${version}`)
      const memory_blocks = [{ label: 'human', value: '' }]
      const sam = await t.letta.agents.create({ name: 'sam', model: SCRIPTED, memory_blocks })
      const folder = await temporaryFolder()
      try {
        const file = join(import.meta.dirname, 'python', program)
        const running = start(python, ['-B', file, `${t.url}${path}`, 'sam'], cleanEnvironment(folder.path))
        const { code } = await running.exited
        assert.equal(code, 0, `${running.stderr}\n${running.stdout}`)
        assert.equal(running.stdout.match(/^ok: /gm)?.length, oks)
      } finally {
        await folder.remove()
      }
      const human = await t.letta.agents.blocks.retrieve('human', { agent_id: sam.id })
      assert.match(human.value, /I like tea\./)
      // Who spoke is an identity, made when there was none; the messages carry it.
      const found = await t.http('GET', '/v1/identities/?identifier_key=grace')
      const [grace] = found.body as { id: string; agent_ids: string[] }[]
      assert.deepEqual(grace?.agent_ids, [sam.id])
      const { items } = await t.letta.agents.messages.list(sam.id, { limit: 100 })
      assert.ok(items.some((message) => 'sender_id' in message && message.sender_id === grace.id))
    })
  })
