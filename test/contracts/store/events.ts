import assert from 'node:assert/strict'
import type { Actor } from '../../../shared/core/ports/actor.ts'
import type { Store } from '../../../shared/core/ports/store.ts'
import type { Event } from '../../../shared/schema/event.ts'
import type { Subject } from '../store.contract.ts'
import { aFolder, aReadFile } from './files.ts'
import { aServer } from './mcp-servers.ts'
import { aBlock, aBuiltin, aCommit, ADA, anAgent, aRun, DONE, EVE } from './samples.ts'

/** The next `count` events; fails, naming what it has, when they do not come. */
async function take(
  store: Store,
  actor: Actor,
  after: number,
  count: number,
  began?: () => void,
): Promise<Event[]> {
  const abort = new AbortController()
  const events: Event[] = []
  const deadline = setTimeout(() => abort.abort(), 10_000)
  try {
    const watching = store.events.watch(actor, after, { signal: abort.signal })[Symbol.asyncIterator]()
    while (events.length < count) {
      const pending = watching.next()
      began?.()
      const next = await pending
      if (next.done) break
      events.push(next.value)
    }
    await watching.return?.()
  } finally {
    clearTimeout(deadline)
  }
  assert.equal(events.length, count, `waited 10 s for ${count} events, got ${JSON.stringify(events)}`)
  return events
}

export function describeEvents(subject: Subject): void {
  describe('events', () => {
    it('tell every change once, in order, with the agent concerned', async () => {
      const { store } = subject
      assert.equal(await store.events.lastId(), 0)
      await store.tools.seed(ADA, [aBuiltin('look')])
      const [tool] = await store.tools.list(ADA, {}, { limit: 1, order: 'asc' })
      const shared = await store.blocks.create(ADA, aBlock('shared', ''))
      const agent = await store.agents.create(
        ADA,
        anAgent('ada', { new_blocks: [aBlock('human', '')], block_ids: [shared.id] }),
      )
      const human = agent.blocks[0]!.id
      await store.agents.update(ADA, agent.id, { name: 'eva', block_ids: [human] })
      await store.agents.attachTool(ADA, agent.id, tool!.id)
      await store.agents.attachTool(ADA, agent.id, tool!.id)
      const run = aRun(agent.id)
      const opened = await store.turns.open(ADA, { run, conversation_id: agent.id, messages: [] })
      const block_edits = [{ block_id: human, base_version: 1, value: 'Ada' }]
      await store.turns.commit(ADA, aCommit(opened, run, { block_edits, finish: DONE }))
      await store.blocks.update(ADA, shared.id, { value: 'x' })
      await store.agents.detachTool(ADA, agent.id, tool!.id)
      await store.blocks.delete(ADA, human)
      await store.agents.delete(ADA, agent.id)
      const expected: [string, string, string | null][] = [
        ['tool.created', tool!.id, null],
        ['block.created', shared.id, null],
        ['agent.created', agent.id, agent.id],
        ['block.created', human, agent.id],
        ['block.attached', shared.id, agent.id],
        ['block.detached', shared.id, agent.id],
        ['agent.updated', agent.id, agent.id],
        ['tool.attached', tool!.id, agent.id],
        ['run.created', run.id, agent.id],
        ['block.updated', human, agent.id],
        ['run.updated', run.id, agent.id],
        ['block.updated', shared.id, null],
        ['tool.detached', tool!.id, agent.id],
        ['block.deleted', human, agent.id],
        ['agent.deleted', agent.id, agent.id],
      ]
      const events = await take(store, ADA, 0, expected.length)
      assert.deepEqual(
        events.map((e) => [e.type, e.object_id, e.agent_id]),
        expected,
      )
      assert.deepEqual(
        events.map((e) => e.id),
        events.map((e) => e.id).toSorted((a, b) => a - b),
      )
      const last = events.at(-1)?.id ?? 0
      assert.equal(await store.events.lastId(), last)
      assert.equal(await store.events.reaches(0), true)
      assert.equal(await store.events.reaches(last), true)
      assert.equal(await store.events.reaches(last + 1), false)
      const rest = await take(store, ADA, events[9]!.id, 5)
      assert.deepEqual(rest, events.slice(10))
    })

    it('tell of MCP servers, folders and files, too', async () => {
      const { folders, files, mcp_servers, events } = subject.store
      const server = await mcp_servers.create(ADA, aServer('one'))
      await mcp_servers.update(ADA, server.id, { server_name: 'uno' })
      await mcp_servers.delete(ADA, server.id)
      const folder = await folders.create(ADA, aFolder())
      await folders.update(ADA, folder.id, { description: 'Notes' })
      const file = await aReadFile(subject, folder.id, 'a.txt', 'one')
      await files.delete(ADA, folder.id, file)
      await files.delete(ADA, folder.id, file)
      await folders.delete(ADA, folder.id)
      const told = await take(subject.store, ADA, 0, 9)
      assert.deepEqual(
        told.map((e) => [e.type, e.object_id, e.agent_id]),
        [
          ['mcp_server.created', server.id, null],
          ['mcp_server.updated', server.id, null],
          ['mcp_server.deleted', server.id, null],
          ['folder.created', folder.id, null],
          ['folder.updated', folder.id, null],
          ['file.created', file, null],
          ['file.updated', file, null],
          ['file.deleted', file, null],
          ['folder.deleted', folder.id, null],
        ],
      )
      assert.equal(await events.lastId(), told.at(-1)?.id)
    })

    it('come to who watches already, from this process and from another', async function () {
      const { store, reopen } = subject
      if (!reopen) return this.skip()
      const other = await reopen()
      try {
        const waiting = take(store, ADA, 0, 2)
        const mine = await store.blocks.create(ADA, aBlock('mine', ''))
        const theirs = await other.blocks.create(ADA, aBlock('theirs', ''))
        assert.deepEqual(
          (await waiting).map((e) => e.object_id),
          [mine.id, theirs.id],
        )
        const { promise: began, resolve } = Promise.withResolvers<void>()
        const later = take(store, ADA, await store.events.lastId(), 1, resolve)
        await began
        await other.blocks.update(ADA, mine.id, { value: 'theirs now' })
        assert.deepEqual(
          (await later).map((e) => [e.type, e.object_id]),
          [['block.updated', mine.id]],
        )
      } finally {
        await other.close()
      }
    })

    it('are more than one page when there are many', async () => {
      const { store } = subject
      for (let i = 0; i < 5; i++) {
        const agent = anAgent(`a${i}`, {
          new_blocks: Array.from({ length: 120 }, (_, b) => aBlock(`b${b}`, '')),
        })
        await store.agents.create(ADA, agent)
      }
      const events = await take(store, ADA, 0, 605)
      assert.equal(new Set(events.map((e) => e.id)).size, 605)
    })

    it('reach everybody of many watchers, those too that come while others are told', async () => {
      const { store } = subject
      const heard = Array.from({ length: 350 }, () => take(store, ADA, 0, 3))
      for (const label of ['one', 'two', 'three']) await store.blocks.create(ADA, aBlock(label, ''))
      const [first, ...others] = await Promise.all(heard)
      for (const other of others) assert.deepEqual(other, first)
    })

    it('end at the abort, at once when nothing happens', async () => {
      const abort = new AbortController()
      const watching = subject.store.events.watch(ADA, 0, { signal: abort.signal })[Symbol.asyncIterator]()
      const pending = watching.next()
      abort.abort()
      assert.deepEqual(await pending, { value: undefined, done: true })
    })

    it('end when the store is closed', async () => {
      const abort = new AbortController()
      const watching = subject.store.events.watch(ADA, 0, { signal: abort.signal })[Symbol.asyncIterator]()
      const pending = watching.next()
      await subject.store.close()
      assert.equal((await pending).done, true)
    })

    it('of another organisation are not shown', async () => {
      const { store } = subject
      await store.blocks.create(ADA, aBlock('secret', ''))
      const theirs = await store.blocks.create(EVE, aBlock('theirs', ''))
      const events = await take(store, EVE, 0, 1)
      assert.deepEqual(
        events.map((e) => e.object_id),
        [theirs.id],
      )
    })
  })
}
