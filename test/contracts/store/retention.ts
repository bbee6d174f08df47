import assert from 'node:assert/strict'
import { newId } from '../../../shared/schema/ids.ts'
import type { RetentionKind } from '../../../shared/schema/retention.ts'
import type { Subject } from '../store.contract.ts'
import { aCommit, ADA, aMessage, anAgent, aRun, aStep, at, DONE, EVE, text } from './samples.ts'

const page = { limit: 1000, order: 'asc' } as const
const going = { signal: new AbortController().signal }
/** After what samples are dated with, and before the tests run. */
const OLD = new Date(at(60))
const tomorrow = () => new Date(Date.now() + 86_400_000)

export function describeRetention(subject: Subject): void {
  /** A turn whose messages leave the context at its end, when `drop` is set. */
  const aTurn = async (agent_id: string, word: string, more: { drop?: boolean; at?: string } = {}) => {
    const { turns } = subject.store
    const created_at = more.at ?? at(1)
    const run = { ...aRun(agent_id), created_at }
    const asked = aMessage(agent_id, 'user', word, { run_id: run.id, created_at })
    const opened = await turns.open(ADA, { run, conversation_id: agent_id, messages: [asked] })
    const answer = aMessage(agent_id, 'assistant', `re ${word}`, { run_id: run.id, created_at })
    const drop = more.drop ? { drop: [asked.id, answer.id] } : {}
    const finish = { ...DONE, completed_at: more.at ?? DONE.completed_at }
    await turns.commit(
      ADA,
      aCommit(opened, run, { messages: [answer], step: aStep(run, { created_at }), finish, ...drop }),
    )
    return run
  }
  const history = async (agent_id: string) =>
    (await subject.store.messages.list(ADA, { agent_id, include_err: true }, page)).map(text)
  const context = async (agent_id: string) =>
    (await subject.store.turns.getContext(ADA, agent_id, agent_id))?.context.map(text)
  const find = (agent_id: string) =>
    subject.store.messages.search(ADA, { agent_id, query: 'gone', roles: ['user', 'assistant'], limit: 9 })
  /** Deletes, and holds what went against what was to go. */
  const prune = async (kind: RetentionKind, before: Date) => {
    const { retention } = subject.store
    const counted = await retention.countOlder(kind, before)
    assert.equal(await retention.deleteOlder(kind, before, going), counted)
    assert.equal(await retention.countOlder(kind, before), 0)
    return counted
  }

  describe('retention', () => {
    it('deletes old messages that are in no context, with what finds them; the others stay', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada'))
      await aTurn(agent.id, 'gone', { drop: true })
      await aTurn(agent.id, 'used')
      await aTurn(agent.id, 'new', { drop: true, at: new Date().toISOString() })
      const seen = await context(agent.id)
      assert.equal((await find(agent.id)).length, 2)
      assert.equal(await prune('messages', OLD), 2)
      assert.deepEqual(await context(agent.id), seen)
      assert.deepEqual(await history(agent.id), [...(seen ?? []), 'new', 're new'])
      assert.deepEqual(await find(agent.id), [])
      const found = await store.turns.getContext(ADA, agent.id, agent.id)
      assert.equal(found?.recall_count, 2)
      // And the agent goes on.
      await aTurn(agent.id, 'later')
      assert.deepEqual((await context(agent.id))?.slice(-2), ['later', 're later'])
    })

    it('keeps what a conversation can go back to for as long as it can', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada'))
      for (const word of ['a', 'b', 'c']) await aTurn(agent.id, word)
      const all = await history(agent.id)
      const messages = await store.messages.list(ADA, { agent_id: agent.id }, page)
      await store.conversations.rewind(ADA, agent.id, messages[2]!.id)
      assert.equal(await prune('messages', OLD), 0)
      assert.deepEqual(await history(agent.id), all)
      await store.conversations.rewind(ADA, agent.id, messages.at(-1)!.id)
      assert.deepEqual(await context(agent.id), all)
      await store.conversations.rewind(ADA, agent.id, messages[2]!.id)
      assert.equal(await prune('messages', tomorrow()), 4)
      assert.deepEqual(await history(agent.id), all.slice(0, 3))
      assert.deepEqual(await context(agent.id), all.slice(0, 3))
    })

    it('keeps messages that a fork has in its context', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada'))
      await aTurn(agent.id, 'a')
      const id = newId('conv')
      const fork = await store.conversations.fork(ADA, agent.id, {
        id,
        created_at: at(30),
        hidden: false,
        message_id: null,
        system_message: aMessage(agent.id, 'system', 'Forked.', { conversation_id: id }),
      })
      const forked = async () => (await store.turns.getContext(ADA, agent.id, fork.id))?.context.map(text)
      const before = await forked()
      const run = aRun(agent.id)
      const opened = await store.turns.open(ADA, { run, conversation_id: agent.id, messages: [] })
      const drop = opened.context.slice(1).map((message) => message.id)
      await store.turns.commit(ADA, aCommit(opened, run, { drop, finish: DONE }))
      await prune('messages', tomorrow())
      assert.deepEqual(await forked(), before)
    })

    it('goes through much in many short transactions, and stops when it is told to', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada'))
      for (let i = 0; i < 8; i++) {
        const run = aRun(agent.id)
        const many = Array.from({ length: 300 }, (_, n) => aMessage(agent.id, 'user', `word ${i} ${n}`))
        const opened = await store.turns.open(ADA, { run, conversation_id: agent.id, messages: many })
        const drop = many.map((message) => message.id)
        await store.turns.commit(ADA, aCommit(opened, run, { drop, finish: DONE }))
      }
      const stopped = { signal: AbortSignal.abort() }
      assert.equal(await store.retention.deleteOlder('messages', OLD, stopped), 0)
      assert.equal(await prune('messages', OLD), 2400)
      assert.equal((await history(agent.id)).length, (await context(agent.id))?.length)
    })

    it('deletes old runs that have ended, with their steps; messages stay', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada'))
      const old = await aTurn(agent.id, 'a')
      const recent = await aTurn(agent.id, 'b', { at: new Date().toISOString() })
      const other = await store.agents.create(ADA, anAgent('eve'))
      const run = aRun(other.id)
      await store.turns.open(ADA, { run, conversation_id: other.id, messages: [] })
      const said = await history(agent.id)
      assert.equal(await prune('runs', OLD), 1)
      assert.equal(await store.turns.getRun(ADA, old.id), null)
      assert.deepEqual(
        (await store.turns.listSteps(ADA, {}, page)).map((step) => step.run_id),
        [recent.id],
      )
      assert.ok(await store.turns.getRun(ADA, run.id), 'it has not ended')
      assert.deepEqual(await history(agent.id), said)
    })

    it('deletes old batches that have ended, events but the newest, and usage by the hour', async () => {
      const { store } = subject
      const item = () => ({ id: newId('batch_item'), agent_id: newId('agent'), request: { input: 'Hi' } })
      const make = (actor: typeof ADA) =>
        store.batches.create(actor, {
          id: newId('job'),
          callback_url: null,
          provider_batch: false,
          items: [item(), item()],
        })
      const [ended, running] = [await make(EVE), await make(ADA)]
      await store.batches.cancel(EVE, ended.id)
      assert.equal(await prune('batches', OLD), 0)
      assert.equal(await prune('batches', tomorrow()), 1)
      assert.equal(await store.batches.get(EVE, ended.id), null)
      assert.ok(await store.batches.get(ADA, running.id))

      const agent = await store.agents.create(ADA, anAgent('ada'))
      await store.agents.create(ADA, anAgent('eve'))
      const last = await store.events.lastId()
      assert.equal(await prune('events', OLD), 0)
      assert.ok((await prune('events', tomorrow())) > 0)
      assert.equal(await store.events.lastId(), last)
      assert.equal(await store.events.reaches(last), true)

      await aTurn(agent.id, 'a', { at: at(1) })
      await aTurn(agent.id, 'b', { at: at(61) })
      assert.equal(await prune('usage', OLD), 1)
      const hours = { from: 0, to: 1e6 }
      const left = await store.usage.read(ADA, { hours, group_by: [], interval: 'hour' })
      assert.deepEqual(
        left.map(({ hour }) => hour),
        [OLD.getTime() / 3_600_000],
      )
    })
  })
}
