import assert from 'node:assert/strict'
import type { BlockFilter } from '../../../shared/core/ports/block-store.ts'
import type { ToolFilter } from '../../../shared/core/ports/tool-store.ts'
import { newId } from '../../../shared/schema/ids.ts'
import { MAX_NAME } from '../../../shared/schema/names.ts'
import type { Subject } from '../store.contract.ts'
import { aBlock, aBuiltin, aCommit, ADA, anAgent, aRun, DONE, EVE } from './samples.ts'

const page = { limit: 50, order: 'asc' } as const

export function describeBlocks(subject: Subject): void {
  describe('blocks', () => {
    it('keeps a block as it was made, at version 1', async () => {
      const { store } = subject
      const input = aBlock('human', 'Ada\n"quoted" 東京', {
        metadata: { a: [1] },
        tags: ['t'],
        read_only: true,
      })
      const block = await store.blocks.create(ADA, input)
      assert.equal(block.version, 1)
      assert.equal(block.value, input.value)
      assert.deepEqual(block.metadata, { a: [1] })
      assert.deepEqual([block.tags, block.read_only, block.created_by_id], [['t'], true, ADA.user_id])
      assert.deepEqual(await store.blocks.get(ADA, block.id), block)
      assert.equal(await store.blocks.get(ADA, newId('block')), null)
    })

    it('counts a version for each change, and none for a change of nothing', async () => {
      const { store } = subject
      const block = await store.blocks.create(ADA, aBlock('human', 'a', { description: 'd' }))
      const described = await store.blocks.update(ADA, block.id, { description: null, tags: ['n'] })
      assert.deepEqual(described, { ...block, description: null, tags: ['n'], version: 2 })
      assert.deepEqual(await store.blocks.get(ADA, block.id), described)
      const same = await store.blocks.update(ADA, block.id, { value: 'a' })
      assert.equal(same?.version, 2)
      const changed = await store.blocks.update(ADA, block.id, { value: 'b' })
      assert.deepEqual([changed?.version, changed?.value, changed?.tags], [3, 'b', ['n']])
      assert.equal(await store.blocks.update(ADA, newId('block'), { value: 'x' }), null)
    })

    it('refuses a change of another version and answers with the present block', async () => {
      const { store } = subject
      const block = await store.blocks.create(ADA, aBlock('human', 'a'))
      const present = await store.blocks.update(ADA, block.id, { value: 'b' }, { if_version: 1 })
      await assert.rejects(store.blocks.update(ADA, block.id, { value: 'c' }, { if_version: 1 }), {
        code: 'conflict',
        data: { block: present },
      })
      assert.deepEqual(await store.blocks.get(ADA, block.id), present)
    })

    it('edits the value as it is: of many edits at once none is lost or refused', async () => {
      const { store } = subject
      const block = await store.blocks.create(ADA, aBlock('human', ''))
      const texts = Array.from({ length: 100 }, (_, i) => `line ${i}`)
      await Promise.all(texts.map((text) => store.blocks.edit(ADA, block.id, { mode: 'append', text })))
      const present = await store.blocks.get(ADA, block.id)
      assert.equal(present?.version, 101)
      assert.deepEqual(present.value.split('\n').sort(), texts.toSorted())
      const [last] = (await store.blocks.history(ADA, block.id, { limit: 1, order: 'desc' })) ?? []
      assert.deepEqual([last?.version, last?.after], [101, present.value])

      const edited = await store.blocks.edit(ADA, block.id, {
        mode: 'replace',
        old_text: 'line 7\n',
        text: '',
      })
      assert.equal(edited?.value, present.value.replace('line 7\n', ''))
      assert.equal(await store.blocks.edit(ADA, newId('block'), { mode: 'append', text: 'x' }), null)
      assert.equal(await store.blocks.edit(EVE, block.id, { mode: 'append', text: 'x' }), null)
    })

    it('refuses an edit that does not fit, of a read-only block, and beyond the limit, and changes nothing', async () => {
      const { store } = subject
      const block = await store.blocks.create(ADA, aBlock('human', 'a, a', { limit: 6 }))
      const present = { code: 'conflict', data: { block } }
      for (const [edit, refusal] of [
        [{ mode: 'replace', old_text: 'b', text: '' }, present],
        [{ mode: 'replace', old_text: 'a', text: '' }, present],
        [{ mode: 'set', old_text: 'a', text: '' }, present],
        [
          { mode: 'append', text: 'bc' },
          { code: 'invalid_argument', message: /7 characters.*limit is 6.*has 4/ },
        ],
      ] as const)
        await assert.rejects(store.blocks.edit(ADA, block.id, edit), refusal)
      assert.deepEqual(await store.blocks.get(ADA, block.id), block)
      // The limit is advisory elsewhere: what is beyond it may get shorter.
      await store.blocks.update(ADA, block.id, { value: 'a'.repeat(20) })
      const shorter = await store.blocks.edit(ADA, block.id, { mode: 'set', text: 'a'.repeat(10) })
      assert.equal(shorter?.value.length, 10)
      await store.blocks.update(ADA, block.id, { read_only: true })
      await assert.rejects(store.blocks.edit(ADA, block.id, { mode: 'set', text: 'a' }), {
        code: 'forbidden',
      })
    })

    it('renames a block unless one of its agents has that label already', async () => {
      const { store } = subject
      const agent = await store.agents.create(
        ADA,
        anAgent('ada', { new_blocks: [aBlock('human', ''), aBlock('persona', '')] }),
      )
      const [human] = agent.blocks
      await assert.rejects(store.blocks.update(ADA, human!.id, { label: 'persona', value: 'lost' }), {
        code: 'conflict',
      })
      assert.deepEqual(await store.blocks.get(ADA, human!.id), human)
      await store.blocks.update(ADA, human!.id, { label: 'user' })
      await store.agents.attachBlock(ADA, agent.id, (await store.blocks.create(ADA, aBlock('human', ''))).id)
    })

    it('filters by label, name, tags, text, agent and number of agents', async () => {
      const { store } = subject
      const lone = await store.blocks.create(
        ADA,
        aBlock('lone', '50% of x_y', {
          description: 'about Lone',
          template_name: 'tpl',
          is_template: true,
          tags: ['a', 'b'],
        }),
      )
      const both = await store.blocks.create(ADA, aBlock('both', 'value', { tags: ['a'], project_id: 'p' }))
      await store.blocks.create(ADA, aBlock('secret', '', { hidden: true }))
      const one = await store.agents.create(ADA, anAgent('one', { block_ids: [both.id] }))
      await store.agents.create(ADA, anAgent('two', { block_ids: [both.id] }))
      const cases: [BlockFilter, string[]][] = [
        [{}, ['lone', 'both']],
        [{ show_hidden: true }, ['lone', 'both', 'secret']],
        [{ label: 'lone' }, ['lone']],
        [{ name: 'tpl' }, ['lone']],
        [{ templates_only: true }, ['lone']],
        [{ project_id: 'p' }, ['both']],
        [{ tags: ['a', 'b'] }, ['lone', 'both']],
        [{ tags: ['a', 'b'], match_all_tags: true }, ['lone']],
        [{ label_search: 'ON' }, ['lone']],
        [{ description_search: 'about' }, ['lone']],
        [{ value_search: '50%' }, ['lone']],
        [{ value_search: 'xay' }, []],
        [{ value_search: 'x_y' }, ['lone']],
        [{ agent_id: one.id }, ['both']],
        [{ connected_to_agents_count_gt: 1 }, ['both']],
        [{ connected_to_agents_count_lt: 1 }, ['lone']],
        [{ connected_to_agents_count_eq: [0, 2] }, ['lone', 'both']],
      ]
      for (const [filter, labels] of cases) {
        const found = await store.blocks.list(ADA, filter, page)
        const got = found.map((block) => block.label ?? '')
        assert.deepEqual(got.sort(), labels.toSorted(), JSON.stringify(filter))
        assert.equal(await store.blocks.count(ADA, filter), labels.length)
      }
      assert.deepEqual(
        (await store.blocks.list(ADA, {}, { ...page, after: lone.id, before: lone.id })).length,
        0,
      )
      await assert.rejects(store.blocks.list(ADA, {}, { ...page, after: newId('block') }), {
        code: 'not_found',
      })
    })

    it('keep every change with who made it, newest first or last, and restore any of them', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada', { new_blocks: [aBlock('human', 'a')] }))
      const { id } = agent.blocks[0]!
      const run = aRun(agent.id)
      const opened = await store.turns.open(ADA, { run, conversation_id: agent.id, messages: [] })
      const block_edits = [{ block_id: id, base_version: 1, value: 'b', label: 'user' }]
      await store.turns.commit(ADA, aCommit(opened, run, { block_edits, finish: DONE }))
      await store.blocks.update(ADA, id, { description: 'who' })
      const restored = await store.blocks.restore(ADA, id, 1, { if_version: 3 })
      assert.deepEqual([restored?.value, restored?.version, restored?.label], ['a', 4, 'user'])
      assert.deepEqual(await store.blocks.get(ADA, id), restored)

      const user = { user_id: ADA.user_id, agent_id: null, run_id: null, block_id: id, created_at: '' }
      const history = await store.blocks.history(ADA, id, { limit: 10, order: 'desc' })
      assert.ok(history)
      assert.deepEqual(
        history.map((row) => ({ ...row, created_at: '' })),
        [
          { ...user, version: 4, before: 'b', after: 'a', changes: {} },
          {
            ...user,
            version: 3,
            before: 'b',
            after: 'b',
            changes: { description: { before: null, after: 'who' } },
          },
          {
            ...user,
            version: 2,
            before: 'a',
            after: 'b',
            changes: { label: { before: 'human', after: 'user' } },
            agent_id: agent.id,
            run_id: run.id,
          },
          { ...user, version: 1, before: null, after: 'a', changes: {} },
        ],
      )
      assert.ok(history.every((row) => Number.isFinite(Date.parse(row.created_at))))
      const versions = async (cursor: { after?: string; before?: string }, order: 'asc' | 'desc') =>
        (await store.blocks.history(ADA, id, { limit: 2, order, ...cursor }))?.map((row) => row.version)
      assert.deepEqual(await versions({}, 'desc'), [4, 3])
      assert.deepEqual(await versions({ after: '3' }, 'desc'), [2, 1])
      assert.deepEqual(await versions({ after: '1' }, 'desc'), [])
      assert.deepEqual(await versions({ before: '1' }, 'desc'), [3, 2])
      assert.deepEqual(await versions({}, 'asc'), [1, 2])
      assert.deepEqual(await versions({ after: '2' }, 'asc'), [3, 4])
      assert.deepEqual(await versions({ before: '4' }, 'asc'), [2, 3])
      for (const after of ['9', 'x', newId('block')])
        await assert.rejects(versions({ after }, 'asc'), { code: 'not_found' })

      await assert.rejects(store.blocks.restore(ADA, id, 9), { code: 'not_found', message: /version 9/ })
      const stale = store.blocks.restore(ADA, id, 1, { if_version: 3 })
      await assert.rejects(stale, { code: 'conflict', data: { block: restored } })
      assert.equal(await store.blocks.restore(ADA, newId('block'), 1), null)
      assert.equal(await store.blocks.history(ADA, newId('block'), page), null)
    })

    it('list blocks that were made in one go in the order they were given', async () => {
      const { store } = subject
      const labels = Array.from({ length: 12 }, (_, i) => `b${i}`)
      const new_blocks = labels.map((label) => aBlock(label, ''))
      const { id } = await store.agents.create(ADA, anAgent('ada', { new_blocks }))
      const listed: (string | null)[] = []
      for (let after: string | undefined; ;) {
        const some = await store.blocks.list(ADA, { agent_id: id }, { limit: 5, order: 'asc', after })
        if (some.length === 0) break
        listed.push(...some.map((block) => block.label))
        after = some.at(-1)?.id
      }
      assert.deepEqual(listed, labels)
    })

    it('keep labels, tags and values of any characters, and long ones', async () => {
      const { store } = subject
      for (const name of ['a/b', '100%', '%2F', '🧠', "quote's", '"', 'x'.repeat(MAX_NAME), 'ﬀ é', '...']) {
        const block = await store.blocks.create(ADA, aBlock(name, name.repeat(3), { tags: [name] }))
        assert.deepEqual(await store.blocks.get(ADA, block.id), block)
        assert.deepEqual(await store.blocks.list(ADA, { label: name, tags: [name] }, page), [block])
      }
      const value = 'x🧠'.repeat(2_000_000)
      const huge = await store.blocks.create(ADA, aBlock('huge', value))
      assert.ok((await store.blocks.get(ADA, huge.id))?.value === value)
    })

    it('edits the blocks of an agent outside of a turn, all of them or none', async () => {
      const { store } = subject
      const { id, blocks } = await store.agents.create(
        ADA,
        anAgent('ada', { new_blocks: [aBlock('human', 'a'), aBlock('persona', 'b')] }),
      )
      const [human, persona] = blocks
      const edit = (block_id = '', value = '', base_version = 1) => ({ block_id, base_version, value })
      const made = aBlock('new', 'c')
      const edits = [edit(human?.id, 'A'), { block_id: newId('block'), create: made }]
      assert.deepEqual(await store.agents.editBlocks(ADA, id, edits), { status: 'committed' })
      const present = (await store.agents.get(ADA, id, ['agent.blocks']))?.blocks ?? []
      assert.deepEqual(
        present.map(({ label, value, version }) => [label, value, version]),
        [
          ['human', 'A', 2],
          ['persona', 'b', 1],
          ['new', 'c', 1],
        ],
      )
      const stale = await store.agents.editBlocks(ADA, id, [edit(persona?.id, 'B'), edit(human?.id, 'lost')])
      assert.deepEqual(stale, { status: 'conflict', blocks: present })
      assert.deepEqual((await store.agents.get(ADA, id, ['agent.blocks']))?.blocks, present)
      const [newest] = (await store.blocks.history(ADA, human?.id ?? '', { limit: 1, order: 'desc' })) ?? []
      assert.deepEqual([newest?.agent_id, newest?.run_id], [id, null])
      await assert.rejects(store.agents.editBlocks(EVE, id, [edit(persona?.id, 'stolen')]), {
        code: 'not_found',
      })
      await assert.rejects(store.agents.editBlocks(ADA, newId('agent'), []), { code: 'not_found' })
    })

    it('deletes a block, also from the agents that have it', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada', { new_blocks: [aBlock('human', '')] }))
      const id = agent.blocks[0]!.id
      await store.blocks.update(ADA, id, { value: 'so that there is history' })
      assert.equal(await store.blocks.delete(ADA, id), true)
      assert.equal(await store.blocks.delete(ADA, id), false)
      assert.deepEqual((await store.agents.get(ADA, agent.id, ['agent.blocks']))?.blocks, [])
    })
  })
}

export function describeTools(subject: Subject): void {
  describe('tools', () => {
    it('seeds the built-in tools once, keeps their ids, and follows a changed schema', async () => {
      const { store } = subject
      await store.tools.seed(ADA, [aBuiltin('look'), aBuiltin('say')])
      const before = await store.tools.list(ADA, {}, page)
      const [look] = await store.tools.list(ADA, { name: 'look' }, page)
      assert.deepEqual(
        [look?.tool_type, look?.source_code, look?.json_schema?.['name']],
        ['letta_core', null, 'look'],
      )
      const event = await store.events.lastId()
      await store.tools.seed(ADA, [aBuiltin('look'), aBuiltin('say')])
      assert.deepEqual(await store.tools.list(ADA, {}, page), before)
      assert.equal(await store.events.lastId(), event, 'nothing changed, so nothing is told')
      await store.tools.seed(ADA, [aBuiltin('look', 'Looks twice.'), aBuiltin('say')])
      const changed = await store.tools.get(ADA, look!.id)
      assert.equal(changed?.description, 'Looks twice.')
    })

    it('removes a built-in that is no longer one, unless an agent has it', async () => {
      const { store } = subject
      await store.tools.seed(ADA, [aBuiltin('used'), aBuiltin('unused')])
      const [used] = await store.tools.list(ADA, { name: 'used' }, page)
      await store.agents.create(ADA, anAgent('ada', { tool_ids: [used!.id] }))
      await store.tools.seed(ADA, [aBuiltin('new')])
      const names = (await store.tools.list(ADA, {}, page)).map((tool) => tool.name)
      assert.deepEqual(names.sort(), ['new', 'used'])
    })

    it('filters by name, names, ids, text, type and agent', async () => {
      const { store } = subject
      const memory = { ...aBuiltin('memory_insert'), tool_type: 'letta_sleeptime_core' as const }
      await store.tools.seed(ADA, [aBuiltin('look'), memory])
      const [insert] = await store.tools.list(ADA, { name: 'memory_insert' }, page)
      const agent = await store.agents.create(ADA, anAgent('ada', { tool_ids: [insert!.id] }))
      const cases: [ToolFilter, string[]][] = [
        [{}, ['look', 'memory_insert']],
        [{ names: ['look', 'gone'] }, ['look']],
        [{ names: [] }, []],
        [{ tool_ids: [insert!.id] }, ['memory_insert']],
        [{ search: 'MEMORY' }, ['memory_insert']],
        [{ tool_types: ['letta_core'] }, ['look']],
        [{ exclude_tool_types: ['letta_core'] }, ['memory_insert']],
        [{ agent_id: agent.id }, ['memory_insert']],
      ]
      for (const [filter, names] of cases) {
        const found = (await store.tools.list(ADA, filter, page)).map((tool) => tool.name)
        assert.deepEqual(found.sort(), names, JSON.stringify(filter))
        assert.equal(await store.tools.count(ADA, filter), names.length)
      }
      assert.equal(await store.tools.get(ADA, newId('tool')), null)
      await assert.rejects(store.tools.list(ADA, {}, { ...page, after: newId('tool') }), {
        code: 'not_found',
      })
    })
  })
}
