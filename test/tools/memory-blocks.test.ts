import assert from 'node:assert/strict'
import { LINE_NUMBER_WARNING } from '../../shared/core/prompt.ts'
import { SCRIPTED, type TestLoci } from '../support/loci.ts'
import { withLoci } from '../support/scripted-loci.ts'
import type { ScriptedModel } from '../support/scripted-model.ts'

type Blocks = Record<string, string>
const READ_ONLY = { value: 'fixed', read_only: true }
const TOOLS = [
  'memory',
  'memory_apply_patch',
  'memory_rethink',
  'memory_finish_edits',
  'core_memory_append',
  'core_memory_replace',
]

describe('tools that make, rename and remove blocks, as a model calls them', () => {
  let t: TestLoci
  let model: ScriptedModel
  withLoci((started) => ({ t, model } = started))

  const newAgent = (blocks: Blocks) =>
    t.letta.agents.create({
      model: SCRIPTED,
      tools: TOOLS,
      memory_blocks: [
        ...Object.entries(blocks).map(([label, value]) => ({ label, value })),
        { label: 'law', ...READ_ONLY },
      ],
    })

  async function blocksOf(agent_id: string): Promise<Blocks> {
    const { items } = await t.letta.agents.blocks.list(agent_id, { order: 'asc' })
    return Object.fromEntries(items.map((block) => [block.label, block.value]))
  }

  /** One turn in which the model makes these calls one after another; answers the returns and the blocks afterwards. */
  async function calls(blocks: Blocks, ...made: [name: string, args: unknown][]) {
    const agent = await newAgent(blocks)
    for (const [name, args] of made)
      model.add({ reply: { tool_calls: [{ name, arguments: args as never }] } })
    model.add({ reply: { text: 'ok' } })
    const { messages } = await t.letta.agents.messages.create(agent.id, { input: 'go' })
    const returns = messages.flatMap((m) => (m.message_type === 'tool_return_message' ? [m] : []))
    const { law, ...left } = await blocksOf(agent.id)
    assert.equal(law, READ_ONLY.value)
    return {
      agent,
      status: returns.map((r) => r.status),
      text: returns.map((r) => r.tool_return).join('\n'),
      blocks: left,
    }
  }

  const start: Blocks = { human: 'one\ntwo\nthree\ntwo', plan: '' }
  const good: [name: string, args: object, text: RegExp | string, after: Blocks][] = [
    ['memory_rethink', { label: 'plan', new_memory: 'a\nb' }, 'a\nb', { ...start, plan: 'a\nb' }],
    ['memory_rethink', { label: 'fresh', new_memory: 'x' }, 'x', { ...start, fresh: 'x' }],
    ['memory_finish_edits', {}, 'None', start],
    ['core_memory_append', { label: 'plan', content: 'a' }, 'a', { ...start, plan: 'a' }],
    [
      'core_memory_append',
      { label: 'human', content: 'a' },
      'one\ntwo\nthree\ntwo\na',
      { ...start, human: 'one\ntwo\nthree\ntwo\na' },
    ],
    [
      'core_memory_append',
      { label: 'plan', content: 'no \0 NUL, no \ud83e half' },
      'no  NUL, no \ufffd half',
      { ...start, plan: 'no  NUL, no \ufffd half' },
    ],
    [
      'core_memory_replace',
      { label: 'human', old_content: 'two', new_content: '$&' },
      'one\n$&\nthree\n$&',
      { ...start, human: 'one\n$&\nthree\n$&' },
    ],
    [
      'memory',
      { command: 'create', path: '/memories/projects/loci', description: 'what we do', file_text: 'x' },
      /'projects_loci' was created.*system prompt is recompiled/,
      { ...start, projects_loci: 'x' },
    ],
    [
      'memory',
      { command: 'str_replace', path: '/memories/human', old_str: 'three', new_str: '3' },
      /'human' was edited.*recompiled[^]*one\ntwo\n3\ntwo$/,
      { ...start, human: 'one\ntwo\n3\ntwo' },
    ],
    [
      'memory',
      { command: 'insert', path: '/memories/human', insert_line: 0, insert_text: 'zero' },
      /edited/,
      { ...start, human: 'zero\none\ntwo\nthree\ntwo' },
    ],
    [
      'memory',
      { command: 'delete', path: '/memories/plan' },
      /'plan' was removed/,
      { human: start['human']! },
    ],
    [
      'memory',
      { command: 'rename', old_path: '/memories/plan', new_path: '/memories/goals/2026' },
      /'plan' was renamed to 'goals_2026'/,
      { human: start['human']!, goals_2026: '' },
    ],
    [
      'memory',
      { command: 'delete', path: 'memories/plan/' },
      /'plan' was removed/,
      { human: start['human']! },
    ],
    [
      'memory_apply_patch',
      { label: 'human', patch: ' one\n-two\n+2\n three' },
      'one\n2\nthree\ntwo',
      { ...start, human: 'one\n2\nthree\ntwo' },
    ],
    [
      'memory_apply_patch',
      { label: 'human', patch: '--- a/human\n+++ b/human\n@@ -1 +1 @@\n-one\n+1\n@@\n three\n-two\n+2\n' },
      '1\ntwo\nthree\n2',
      { ...start, human: '1\ntwo\nthree\n2' },
    ],
    ['memory_apply_patch', { label: 'plan', patch: '+a\n+b' }, 'a\nb', { ...start, plan: 'a\nb' }],
    [
      'memory_apply_patch',
      {
        label: 'human',
        patch: [
          '*** Begin Patch',
          '*** Add Block: goals',
          'Description: what to reach',
          '+first',
          '+second',
          '*** Update Block: human',
          '*** Move to: person',
          '@@',
          '-three',
          '+3',
          '*** Delete Block: plan',
          '*** End Patch',
        ].join('\n'),
      },
      "Added memory block 'goals'.\nUpdated memory block 'human', which is now 'person'.\nDeleted memory block 'plan'.",
      { person: 'one\ntwo\n3\ntwo', goals: 'first\nsecond' },
    ],
    [
      'memory_apply_patch',
      { label: 'x', patch: 'Add Block: note\nplain text\n\nUpdate Block: plan\nMove to: later' },
      /Added memory block 'note'/,
      { human: start['human']!, later: '', note: 'plain text' },
    ],
  ]
  for (const [name, args, text, after] of good)
    it(`${name} ${JSON.stringify(args)}`, async () => {
      const result = await calls(start, [name, args])
      assert.deepEqual(result.status, ['success'], result.text)
      if (typeof text === 'string') assert.equal(result.text, text)
      else assert.match(result.text, text)
      assert.deepEqual(result.blocks, after)
    })

  const bad: [name: string, args: object, text: RegExp][] = [
    ['core_memory_append', { label: 'nobody', content: 'x' }, /KeyError: there is no memory block 'nobody'/],
    ['core_memory_append', { label: 'law', content: 'x' }, /ValueError: memory block 'law' is read-only/],
    ['core_memory_append', { label: 'plan' }, /TypeError: argument 'content' is missing/],
    ['core_memory_replace', { label: 'human', old_content: 'nine', new_content: '' }, /does not occur/],
    ['core_memory_replace', { label: 'human', old_content: '', new_content: 'x' }, /old_content is empty/],
    ['memory_rethink', { label: 'law', new_memory: 'x' }, /read-only/],
    ['memory_rethink', { label: 'plan', new_memory: '1→ a' }, /line number prefixes/],
    ['memory_rethink', { label: 'plan', new_memory: `a\n${LINE_NUMBER_WARNING}` }, /line number prefixes/],
    ['memory_rethink', { label: '', new_memory: 'x' }, /needs a label/],
    ['memory', { command: 'view', path: '/memories/human' }, /command 'view' is unknown; use create/],
    ['memory', { command: 'create', path: '/memories/human', description: 'd' }, /'human' already/],
    ['memory', { command: 'create', path: '/memories/new' }, /argument 'description' is missing/],
    ['memory', { command: 'create', path: '/memories/', description: 'd' }, /names no memory block/],
    ['memory', { command: 'delete', path: '/memories/law' }, /read-only/],
    ['memory', { command: 'delete', path: '/memories/nobody' }, /there is no memory block 'nobody'/],
    ['memory', { command: 'rename', old_path: '/memories/law', new_path: '/memories/x' }, /read-only/],
    ['memory', { command: 'rename', old_path: '/memories/human', new_path: '/memories/plan' }, /already/],
    ['memory', { command: 'rename', path: '/memories/law', description: 'x' }, /read-only/],
    ['memory', { command: 'rename', path: '/memories/human' }, /needs old_path and new_path, or/],
    ['memory', { command: 'str_replace', path: '/memories/human', old_str: 'two' }, /lines 2, 4/],
    ['memory', { command: 'insert', path: '/memories/human', insert_line: 9, insert_text: 'x' }, /0 to 4/],
    ['memory_apply_patch', { label: 'human', patch: '-nine' }, /'nine' are not there/],
    ['memory_apply_patch', { label: 'human', patch: '-two' }, /in 2 places \(lines 2, 4\)/],
    ['memory_apply_patch', { label: 'human', patch: '+x' }, /only adds lines/],
    ['memory_apply_patch', { label: 'human', patch: ' one' }, /no line with '\+' or '-'/],
    ['memory_apply_patch', { label: 'human', patch: 'hello' }, /line 1 of the patch, 'hello'/],
    ['memory_apply_patch', { label: 'human', patch: '+1→ x\n one' }, /line number prefixes/],
    ['memory_apply_patch', { label: 'law', patch: '-fixed' }, /read-only/],
    ['memory_apply_patch', { label: '', patch: '*** Add Block: human\n+x' }, /'human' already/],
    ['memory_apply_patch', { label: '', patch: '*** Move to: x' }, /belongs under/],
    ['memory_apply_patch', { label: '', patch: '*** Update Block: human' }, /says nothing to change/],
    [
      'memory_apply_patch',
      { label: '', patch: '*** Add Block: a\n+x\n*** Delete Block: plan\n*** Update Block: human\n-nine' },
      /'nine' are not there/,
    ],
  ]
  for (const [name, args, text] of bad)
    it(`${name} ${JSON.stringify(args)} is an error, and nothing is changed`, async () => {
      const result = await calls(start, [name, args])
      assert.deepEqual(result.status, ['error'])
      assert.match(result.text, new RegExp(`^Error executing function ${name}: [A-Za-z]+Error: `))
      assert.match(result.text, text)
      assert.deepEqual(result.blocks, start)
    })

  it('a later step, and a later call of one step, work on what an earlier one made', async () => {
    const result = await calls(
      start,
      ['memory', { command: 'create', path: '/memories/a', description: 'd', file_text: 'x' }],
      ['core_memory_append', { label: 'a', content: 'y' }],
      ['memory', { command: 'rename', old_path: '/memories/a', new_path: '/memories/b' }],
      ['memory', { command: 'rename', path: '/memories/b', description: 'new' }],
      ['memory', { command: 'create', path: '/memories/a', description: 'd', file_text: 'second' }],
      ['memory', { command: 'delete', path: '/memories/a' }],
    )
    assert.deepEqual(result.status, Array(6).fill('success'), result.text)
    assert.deepEqual(result.blocks, { ...start, b: 'x\ny' })
    const { description, id } = await t.letta.agents.blocks.retrieve('b', { agent_id: result.agent.id })
    assert.equal(description, 'new')
    const { body } = await t.http('GET', `/v1/blocks/${id}/history`)
    assert.deepEqual(
      (body as { version: number; changes: object }[]).map((v) => [v.version, Object.keys(v.changes)]),
      [
        [4, ['description']],
        [3, ['label']],
        [2, []],
        [1, []],
      ],
    )

    const agent = await newAgent(start)
    const args = (label: string) => ({ label, content: 'z' })
    model.add(
      {
        reply: {
          tool_calls: [
            { name: 'memory', arguments: { command: 'create', path: 'n', description: 'd' } },
            { name: 'core_memory_append', arguments: args('n') },
            { name: 'core_memory_append', arguments: args('nobody') },
            { name: 'memory', arguments: { command: 'rename', old_path: 'n', new_path: 'm' } },
          ],
        },
      },
      { reply: { text: 'ok' } },
    )
    await t.letta.agents.messages.create(agent.id, { input: 'go' })
    const { law: _, ...blocks } = await blocksOf(agent.id)
    assert.deepEqual(blocks, { ...start, m: 'z' })
  })

  it('a new block is in the next prompt, and a removed one is not', async () => {
    const agent = await newAgent(start)
    const from = model.requests.length
    const command = (args: object) => ({
      reply: { tool_calls: [{ name: 'memory', arguments: args as never }] },
    })
    model.add(
      command({ command: 'create', path: '/memories/cats', description: 'Cats.', file_text: 'Byron' }),
      command({ command: 'delete', path: '/memories/plan' }),
      { reply: { text: 'ok' } },
      { reply: { text: 'ok' } },
    )
    for (const input of ['go', 'and?']) await t.letta.agents.messages.create(agent.id, { input })
    const systems = model.requests.slice(from).map((r) => String(r.body.messages[0]?.content))
    assert.equal(systems[2], systems[0], 'the same to the byte within the turn')
    assert.match(systems[3] ?? '', /<cats>\n<description>\nCats\.[^]*<value>\nByron\n/)
    assert.ok(systems[0]?.includes('<plan>') && !systems[3]?.includes('<plan>'))
  })

  it('applies its calls again when a label is taken or a block goes while the model thinks', async () => {
    const agent = await newAgent(start)
    let release: () => void = () => undefined
    const hold = new Promise<void>((resolve) => {
      release = resolve
    })
    const index = model.requests.length
    const create = { command: 'create', path: '/memories/cats', description: 'd', file_text: 'mine' }
    model.add(
      {
        reply: {
          hold,
          tool_calls: [
            { name: 'memory', arguments: create },
            { name: 'core_memory_append', arguments: { label: 'plan', content: 'x' } },
            { name: 'core_memory_append', arguments: { label: 'human', content: 'x' } },
          ],
        },
      },
      { reply: { text: 'ok' } },
    )
    const sent = t.letta.agents.messages.create(agent.id, { input: 'go' })
    await model.request(index)
    const rival = await t.letta.blocks.create({ label: 'cats', value: 'theirs' })
    await t.letta.agents.blocks.attach(rival.id, { agent_id: agent.id })
    const plan = await t.letta.agents.blocks.retrieve('plan', { agent_id: agent.id })
    await t.letta.agents.blocks.detach(plan.id, { agent_id: agent.id })
    release()
    const { messages } = await sent
    const returns = messages.flatMap((m) =>
      m.message_type === 'tool_return_message' ? (m.tool_returns ?? []) : [],
    )
    assert.deepEqual(
      returns.map((r) => r.status),
      ['error', 'error', 'success'],
    )
    const { law: _, ...blocks } = await blocksOf(agent.id)
    assert.deepEqual(blocks, { human: `${start['human']}\nx`, cats: 'theirs' })
  })

  it('tells the model when a shared block cannot have a label', async () => {
    const agent = await newAgent(start)
    const { id } = await t.letta.agents.blocks.retrieve('plan', { agent_id: agent.id })
    await t.letta.agents.create({
      model: SCRIPTED,
      block_ids: [id],
      memory_blocks: [{ label: 'goals', value: 'theirs' }],
    })
    model.add(
      {
        reply: {
          tool_calls: [
            { name: 'memory', arguments: { command: 'rename', old_path: 'plan', new_path: 'goals' } },
          ],
        },
      },
      {
        expect: (body) =>
          assert.match(String(body.messages.at(-1)?.content), /cannot be renamed to 'goals': another agent/),
        reply: { text: 'ok' },
      },
    )
    await t.letta.agents.messages.create(agent.id, { input: 'go' })
    assert.equal((await t.letta.blocks.retrieve(id)).label, 'plan')
  })

  it('clips what a failing call says to a thousand characters', async () => {
    const result = await calls(start, ['core_memory_append', { label: 'x'.repeat(5000), content: '' }])
    assert.ok(result.text.length <= 1000, String(result.text.length))
    assert.match(
      result.text,
      /^Error executing function core_memory_append: KeyError: .*truncated \d+ chars\]$/,
    )
  })
})
