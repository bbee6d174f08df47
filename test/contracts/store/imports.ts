import assert from 'node:assert/strict'
import type { ImportedAgent, NewImport, StagedMessage } from '../../../shared/core/ports/import-store.ts'
import { newId } from '../../../shared/schema/ids.ts'
import type { Tool } from '../../../shared/schema/tool.ts'
import type { Subject } from '../store.contract.ts'
import { aBlock, aBuiltin, ADA, aMessage, anAgent, EVE, text } from './samples.ts'

const page = { limit: 1000, order: 'asc' } as const

export function describeImports(subject: Subject): void {
  describe('imports', () => {
    it('stores an agent with its history, its context in its own order, and what is kept with it', async () => {
      const { store } = subject
      const made = anImport({ messages: 300, context: [0, 250, 7] })
      await store.imports.begin(ADA, [made.id])
      await store.imports.addMessages(ADA, made.staged)
      await store.imports.complete(ADA, made.whole)
      const agent = await store.agents.get(ADA, made.id, ['agent.blocks', 'agent.tools', 'agent.tags'])
      assert.deepEqual(
        [agent?.blocks.map((b) => b.label), agent?.tools.map((t) => t.source_code), agent?.tags],
        [['human'], ['code'], ['t']],
      )
      const ids = made.staged.map(({ message }) => message.id)
      assert.deepEqual(agent?.message_ids, [ids[0], ids[250], ids[7]])
      const messages = await store.messages.list(ADA, { agent_id: made.id }, page)
      assert.deepEqual(
        messages,
        made.staged.map(({ message }) => message),
      )
      assert.deepEqual(await store.imports.kept(ADA, made.id), { note: 'kept' })
      const found = await store.messages.search(ADA, {
        agent_id: made.id,
        query: 'word77',
        roles: ['user'],
        limit: 5,
      })
      assert.deepEqual(found.map(text), ['word77'])
    })

    it('shows nothing of it before it is complete, and leaves nothing when it is given up', async () => {
      const { store } = subject
      const made = anImport({ messages: 120, context: [0, 1] })
      const [first] = made.staged
      const nothing = async (when: string) => {
        assert.equal(await store.agents.get(ADA, made.id, []), null, when)
        assert.deepEqual(await store.agents.list(ADA, {}, page, []), [], when)
        assert.deepEqual(await store.messages.list(ADA, {}, page), [], when)
        assert.deepEqual(await store.messages.list(ADA, { ids: [first!.message.id] }, page), [], when)
        const everywhere = { query: 'word77', roles: ['user' as const], limit: 5 }
        assert.deepEqual(await store.messages.search(ADA, everywhere), [], when)
        assert.deepEqual(await store.conversations.list(ADA, {}, page), [], when)
        assert.deepEqual(await store.blocks.list(ADA, {}, page), [], when)
        assert.deepEqual(await store.tools.list(ADA, {}, page), [], when)
      }
      await store.imports.begin(ADA, [made.id])
      await store.imports.addMessages(ADA, made.staged)
      await store.turns.recover()
      await nothing('an import under way is not taken for one that died')
      const twoOfOneLabel = {
        ...made.whole,
        blocks: [...made.whole.blocks, { id: newId('block'), block: aBlock('human', ''), agent_id: made.id }],
      }
      twoOfOneLabel.agents = made.whole.agents.map((agent) => ({
        ...agent,
        block_ids: twoOfOneLabel.blocks.map(({ id }) => id),
      }))
      await assert.rejects(store.imports.complete(ADA, twoOfOneLabel), { code: 'conflict' })
      await nothing('a refused import')
      await store.imports.abandon(ADA, [made.id])
      await nothing('an abandoned import')
      assert.deepEqual(await store.messages.list(ADA, { agent_id: made.id }, page), [])
      await assert.rejects(store.imports.complete(ADA, made.whole), { code: 'conflict' }, 'it is over')
      await assert.rejects(store.imports.addMessages(ADA, made.staged), { code: 'conflict' })
      await nothing('after all')
    })

    it('goes on with an import of which another process has seen nothing', async function () {
      const { store, reopen } = subject
      if (!reopen) this.skip()
      const made = anImport({ messages: 10, context: [0] })
      await store.imports.begin(ADA, [made.id])
      await store.imports.addMessages(ADA, made.staged)
      const other = await reopen()
      try {
        await other.turns.recover()
        assert.deepEqual(await other.messages.list(ADA, {}, page), [])
        await store.imports.complete(ADA, made.whole)
        assert.equal((await other.agents.get(ADA, made.id, []))?.name, 'imported')
      } finally {
        await other.close()
      }
    })

    it('is removed when its process is gone', async function () {
      const { store, reopen } = subject
      if (!reopen) this.skip()
      const made = anImport({ messages: 50, context: [0, 1, 2] })
      const other = await reopen()
      await other.imports.begin(ADA, [made.id])
      await other.imports.addMessages(ADA, made.staged)
      await other.close()
      assert.equal((await store.messages.list(ADA, { agent_id: made.id }, page)).length, 50)
      await store.turns.recover()
      assert.deepEqual(await store.messages.list(ADA, { agent_id: made.id }, page), [])
      assert.deepEqual(await store.agents.list(ADA, {}, page, []), [])
    })

    it('changes tools that are there, never those of another organisation', async () => {
      const { store } = subject
      await store.tools.seed(EVE, [aBuiltin('mine')])
      const first = anImport({ messages: 1, context: [0] })
      await store.imports.begin(ADA, [first.id])
      await store.imports.addMessages(ADA, first.staged)
      await store.imports.complete(ADA, first.whole)
      const [tool] = await store.tools.list(ADA, { name: 'mine' }, page)
      const [hers] = await store.tools.list(EVE, { name: 'mine' }, page)
      const again = anImport({ messages: 1, context: [0] })
      await store.imports.begin(ADA, [again.id])
      await store.imports.addMessages(ADA, again.staged)
      await assert.rejects(
        store.imports.complete(ADA, again.whole),
        { code: 'conflict' },
        'the name is taken',
      )
      const changed = { ...tool!, source_code: 'new code' }
      const agents = again.whole.agents.map((agent) => ({ ...agent, tool_ids: [tool!.id] }))
      await assert.rejects(store.imports.addMessages(EVE, again.staged), { code: 'conflict' })
      await assert.rejects(store.imports.complete(EVE, again.whole), { code: 'conflict' })
      await store.imports.complete(ADA, { ...again.whole, agents, new_tools: [], changed_tools: [changed] })
      assert.equal((await store.tools.get(ADA, tool!.id))?.source_code, 'new code')
      assert.deepEqual(await store.tools.get(EVE, hers!.id), hers)
      assert.equal(await store.imports.kept(EVE, again.id), null)
      assert.equal(await store.imports.kept(ADA, newId('agent')), null)
    })
  })
}

/** An agent with so many messages, of which these are its context, in this order. */
function anImport(given: { messages: number; context: number[] }): {
  id: string
  staged: StagedMessage[]
  whole: NewImport
} {
  const { agent } = anAgent('imported')
  const staged = Array.from({ length: given.messages }, (_, i): StagedMessage => {
    const place = given.context.indexOf(i)
    const message = aMessage(agent.id, i === 0 ? 'system' : 'user', `word${i}`, {
      file_fields: { mystery: { file: i } },
    })
    return { message, position: place < 0 ? null : place }
  })
  const block = { id: newId('block'), block: aBlock('human', 'Ada'), agent_id: agent.id }
  const tool: Tool = {
    id: newId('tool'),
    tool_type: 'custom',
    name: 'mine',
    description: null,
    source_type: 'python',
    source_code: 'code',
    json_schema: { name: 'mine' },
    args_json_schema: null,
    tags: [],
    return_char_limit: 1000,
    pip_requirements: null,
    npm_requirements: null,
    default_requires_approval: null,
    enable_parallel_execution: null,
    metadata_: null,
    project_id: null,
    created_by_id: ADA.user_id,
    last_updated_by_id: ADA.user_id,
  }
  const imported: ImportedAgent = {
    agent,
    tags: ['t'],
    block_ids: [block.id],
    tool_ids: [tool.id],
    message_count: given.messages,
    context_length: given.context.length,
    kept: { note: 'kept' },
  }
  return {
    id: agent.id,
    staged,
    whole: { agents: [imported], blocks: [block], new_tools: [tool], changed_tools: [], groups: [] },
  }
}
