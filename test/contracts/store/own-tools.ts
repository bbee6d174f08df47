import assert from 'node:assert/strict'
import { newId } from '../../../shared/schema/ids.ts'
import type { Tool } from '../../../shared/schema/tool.ts'
import type { Subject } from '../store.contract.ts'
import { aBuiltin, aCommit, ADA, anAgent, aRun, DONE, EVE } from './samples.ts'

const page = { limit: 50, order: 'asc' } as const

export function aTool(name: string, more: Partial<Tool> = {}): Tool {
  return {
    id: newId('tool'),
    tool_type: 'custom',
    name,
    description: `Does ${name}.`,
    source_type: 'python',
    source_code: `def ${name}(): ...`,
    json_schema: { name, description: `Does ${name}.`, parameters: { type: 'object', properties: {} } },
    args_json_schema: null,
    tags: [],
    return_char_limit: 50_000,
    pip_requirements: null,
    npm_requirements: null,
    default_requires_approval: null,
    enable_parallel_execution: false,
    metadata_: {},
    project_id: null,
    created_by_id: ADA.user_id,
    last_updated_by_id: ADA.user_id,
    ...more,
  }
}

/** Tools that users make. */
export function describeOwnTools(subject: Subject): void {
  describe('tools of one’s own', () => {
    it('are stored once under a name, and changed by the next upsert of it', async () => {
      const { store } = subject
      const first = aTool('weather', { tags: ['w'], pip_requirements: [{ name: 'requests' }] })
      assert.deepEqual(await store.tools.upsert(ADA, first, {}), first)
      assert.deepEqual(await store.tools.get(ADA, first.id), first)
      const event = await store.events.lastId()
      const again = await store.tools.upsert(ADA, aTool('weather'), { source_code: first.source_code })
      assert.deepEqual(again, first)
      assert.equal(await store.events.lastId(), event, 'nothing changed, so nothing is told')
      const patch = { source_code: 'def weather(): return 1', tags: ['x'] }
      const changed = await store.tools.upsert(ADA, aTool('weather'), patch)
      assert.deepEqual(changed, { ...first, ...patch })
      assert.equal(await store.tools.count(ADA, { name: 'weather' }), 1)
      assert.ok((await store.events.lastId()) > event)
    })

    it('keep one name when two processes make a tool of it at once', async () => {
      const { store, reopen } = subject
      const other = reopen ? await reopen() : store
      try {
        const made = await Promise.all(
          [store, other, store, other].map((one) => one.tools.upsert(ADA, aTool('same'), { tags: ['t'] })),
        )
        assert.equal(new Set(made.map(({ id }) => id)).size, 1)
      } finally {
        if (reopen) await other.close()
      }
    })

    it('do not take the name of a built-in tool, nor of another', async () => {
      const { store } = subject
      await store.tools.seed(ADA, [aBuiltin('look')])
      const refusal = { code: 'invalid_argument', message: /built-in/ }
      await assert.rejects(store.tools.upsert(ADA, aTool('look'), {}), refusal)
      const one = await store.tools.upsert(ADA, aTool('one'), {})
      await store.tools.upsert(ADA, aTool('two'), {})
      await assert.rejects(store.tools.update(ADA, one.id, { name: 'two' }), { code: 'invalid_argument' })
      await assert.rejects(store.tools.update(ADA, one.id, { name: 'look' }), refusal)
      const remote = aTool('two', { tool_type: 'external_mcp' })
      await assert.rejects(store.tools.upsert(ADA, remote, {}), { code: 'invalid_argument' })
      assert.deepEqual(await store.tools.get(ADA, one.id), one)
    })

    it('are not lost to a built-in tool of their name that a newer Loci brings', async () => {
      const { store } = subject
      const mine = await store.tools.upsert(ADA, aTool('look'), {})
      await store.tools.seed(ADA, [aBuiltin('look'), aBuiltin('say')])
      assert.deepEqual(await store.tools.list(ADA, { name: 'look' }, page), [mine])
      await store.tools.seed(ADA, [aBuiltin('say')])
      assert.deepEqual(await store.tools.get(ADA, mine.id), mine)
    })

    it('take a new name into the rules of their agents', async () => {
      const { store } = subject
      const tool = await store.tools.upsert(ADA, aTool('old'), {})
      const { id } = await store.agents.create(
        ADA,
        anAgent('ada', {
          tool_ids: [tool.id],
          fields: {
            tool_rules: [
              { type: 'requires_approval', tool_name: 'old' },
              { type: 'constrain_child_tools', tool_name: 'x', children: ['old', 'y'] },
              {
                type: 'conditional',
                tool_name: 'x',
                child_output_mapping: { yes: 'old' },
                default_child: 'old',
                require_output_mapping: false,
              },
            ],
          },
        }),
      )
      await store.tools.update(ADA, tool.id, { name: 'new', json_schema: { name: 'new' } })
      assert.deepEqual((await store.agents.get(ADA, id, []))?.tool_rules, [
        { type: 'requires_approval', tool_name: 'new' },
        { type: 'constrain_child_tools', tool_name: 'x', children: ['new', 'y'] },
        {
          type: 'conditional',
          tool_name: 'x',
          child_output_mapping: { yes: 'new' },
          default_child: 'new',
          require_output_mapping: false,
        },
      ])
    })

    it('are what they are now at the next turn of an agent', async () => {
      const { store } = subject
      const tool = await store.tools.upsert(ADA, aTool('look'), {})
      const { id } = await store.agents.create(ADA, anAgent('ada', { tool_ids: [tool.id] }))
      const seen = async () => {
        const run = aRun(id)
        const opened = await store.turns.open(ADA, { run, conversation_id: id, messages: [] })
        await store.turns.commit(ADA, aCommit(opened, run, { finish: DONE }))
        return opened.agent.tools.map(({ name, source_code }) => [name, source_code])
      }
      assert.deepEqual(await seen(), [['look', tool.source_code]])
      await store.tools.update(ADA, tool.id, { source_code: 'changed' })
      assert.deepEqual(await seen(), [['look', 'changed']])
      await store.tools.delete(ADA, tool.id)
      assert.deepEqual(await seen(), [])
    })

    it('are deleted from their agents too, once', async () => {
      const { store } = subject
      const tool = await store.tools.upsert(ADA, aTool('gone'), {})
      const { id } = await store.agents.create(ADA, anAgent('ada', { tool_ids: [tool.id] }))
      const from = await store.events.lastId()
      assert.equal(await store.tools.delete(EVE, tool.id), false)
      assert.equal(await store.tools.delete(ADA, tool.id), true)
      assert.equal(await store.tools.delete(ADA, tool.id), false)
      assert.equal(await store.tools.get(ADA, tool.id), null)
      assert.deepEqual((await store.agents.get(ADA, id, ['agent.tools']))?.tools, [])
      const told: string[] = []
      for await (const event of store.events.watch(ADA, from, { signal: AbortSignal.timeout(20_000) })) {
        told.push(`${event.type} ${event.agent_id ?? ''}`)
        if (told.length === 2) break
      }
      assert.deepEqual(told, [`tool.detached ${id}`, 'tool.deleted '])
    })

    it('are nobody else’s', async () => {
      const { store } = subject
      const tool = await store.tools.upsert(ADA, aTool('hers'), {})
      assert.equal(await store.tools.update(EVE, tool.id, { source_code: 'stolen' }), null)
      const own = await store.tools.upsert(EVE, aTool('hers', { source_code: 'other' }), { tags: ['e'] })
      assert.notEqual(own.id, tool.id)
      assert.deepEqual(await store.tools.get(ADA, tool.id), tool)
    })
  })
}
