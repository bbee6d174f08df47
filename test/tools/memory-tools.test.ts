import assert from 'node:assert/strict'
import { SCRIPTED, type TestLoci } from '../support/loci.ts'
import { withLoci } from '../support/scripted-loci.ts'
import type { ScriptedModel } from '../support/scripted-model.ts'

describe('memory and search tools, as a model calls them', () => {
  let t: TestLoci
  let model: ScriptedModel
  withLoci((started) => ({ t, model } = started))

  /** One turn in which the model makes this call; answers the return and the block's text afterwards. */
  async function call(name: string, args: unknown, value = 'one\ntwo', read_only = false) {
    const agent = await t.letta.agents.create({
      model: SCRIPTED,
      memory_blocks: [{ label: 'human', value, read_only }],
    })
    model.add({ reply: { tool_calls: [{ name, arguments: args as never }] } }, { reply: { text: 'ok' } })
    const { messages } = await t.letta.agents.messages.create(agent.id, { input: 'go' })
    const result = messages.find((m) => m.message_type === 'tool_return_message')
    assert.ok(result?.message_type === 'tool_return_message')
    const block = await t.letta.agents.blocks.retrieve('human', { agent_id: agent.id })
    return { status: result.status, text: result.tool_return, value: block.value }
  }

  const good: [string, object, string][] = [
    ['memory_insert', { label: 'human', new_string: 'three' }, 'one\ntwo\nthree'],
    ['memory_insert', { label: 'human', new_string: 'zero', insert_line: 0 }, 'zero\none\ntwo'],
    ['memory_insert', { label: 'human', new_string: 'half', insert_line: 1 }, 'one\nhalf\ntwo'],
    ['memory_insert', { label: 'human', new_string: 'half', insert_line: '1' }, 'one\nhalf\ntwo'],
    ['memory_replace', { label: 'human', old_string: 'two', new_string: '2' }, 'one\n2'],
    ['memory_replace', { label: 'human', old_string: '\ntwo', new_string: '' }, 'one'],
  ]
  for (const [name, args, value] of good)
    it(`${name} ${JSON.stringify(args)}`, async () => {
      assert.deepEqual(await call(name, args), { status: 'success', text: value, value })
    })

  const bad: [string, object, RegExp][] = [
    [
      'memory_insert',
      { label: 'nobody', new_string: 'x' },
      /no memory block 'nobody'; this agent's blocks are: human/,
    ],
    ['memory_insert', { label: 'human' }, /argument 'new_string' is missing/],
    ['memory_insert', { label: 'human', new_string: 'x', insert_line: 9 }, /insert_line 9 is outside 0 to 2/],
    ['memory_insert', { label: 'human', new_string: '1→ x' }, /line number prefixes/],
    ['memory_insert', { label: 5, new_string: 'x' }, /argument 'label' must be a string/],
    ['memory_replace', { label: 'human', old_string: 'nine', new_string: 'x' }, /does not occur/],
    [
      'memory_replace',
      { label: 'human', old_string: 'o', new_string: 'x' },
      /more than once .* \(lines 1, 2\)/,
    ],
    ['memory_replace', { label: 'human', old_string: '', new_string: 'x' }, /old_string is empty/],
    ['conversation_search', { query: 'x', start_date: 'tomorrow' }, /'tomorrow' is not a date/],
    ['conversation_search', { query: 'x', roles: ['king'] }, /roles holds "king"/],
  ]
  for (const [name, args, text] of bad)
    it(`${name} ${JSON.stringify(args)} is an error the model can read`, async () => {
      const result = await call(name, args)
      assert.equal(result.status, 'error')
      assert.match(result.text, new RegExp(`^Error executing function ${name}: `))
      assert.match(result.text, text)
      assert.equal(result.value, 'one\ntwo')
    })

  it('does not edit a read-only block', async () => {
    const result = await call('memory_insert', { label: 'human', new_string: 'x' }, 'fixed', true)
    assert.match(result.text, /read-only/)
    assert.equal(result.value, 'fixed')
  })

  it('finds what was said before, but not the question itself', async () => {
    const agent = await t.letta.agents.create({ model: SCRIPTED })
    model.add({ reply: { text: 'Blue it is.' } })
    await t.letta.agents.messages.create(agent.id, { input: 'My favourite colours are blue and 緑色.' })
    for (const query of ['colour', '緑色']) {
      model.add(
        { reply: { tool_calls: [{ name: 'conversation_search', arguments: { query } }] } },
        { reply: { text: 'ok' } },
      )
      const { messages } = await t.letta.agents.messages.create(agent.id, { input: `search ${query}` })
      const result = messages.find((m) => m.message_type === 'tool_return_message')
      assert.ok(result?.message_type === 'tool_return_message')
      const found = JSON.parse(result.tool_return) as { results: { content: string; role: string }[] }
      assert.equal(found.results[0]?.content, 'My favourite colours are blue and 緑色.', query)
      assert.ok(found.results.every((r) => !r.content.startsWith(`search ${query}`)))
    }
  })

  it('loses neither edit when another client changes the block while the tool runs', async () => {
    const agent = await t.letta.agents.create({
      model: SCRIPTED,
      memory_blocks: [{ label: 'human', value: 'start' }],
    })
    let release: () => void = () => undefined
    const hold = new Promise<void>((resolve) => {
      release = resolve
    })
    const index = model.requests.length
    model.add(
      {
        reply: {
          hold,
          tool_calls: [{ name: 'memory_insert', arguments: { label: 'human', new_string: 'by agent' } }],
        },
      },
      {
        expect: (body) => assert.match(String(body.messages.at(-1)?.content), /start\\nby person\\nby agent/),
        reply: { text: 'ok' },
      },
    )
    const sent = t.letta.agents.messages.create(agent.id, { input: 'go' })
    await model.request(index)
    await t.letta.agents.blocks.update('human', { agent_id: agent.id, value: 'start\nby person' })
    release()
    await sent
    const block = await t.letta.agents.blocks.retrieve('human', { agent_id: agent.id })
    assert.equal(block.value, 'start\nby person\nby agent')
  })
})
