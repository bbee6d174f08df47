import assert from 'node:assert/strict'
import type { ContextCompaction } from '../../../shared/core/ports/compaction-store.ts'
import type { CompactionDetail } from '../../../shared/schema/compaction.ts'
import { newId } from '../../../shared/schema/ids.ts'
import type { StoredMessage } from '../../../shared/schema/message.ts'
import type { Subject } from '../store.contract.ts'
import { aCommit, ADA, aMessage, anAgent, aRun, at, DONE, EVE, text } from './samples.ts'

const page = { limit: 50, order: 'desc' } as const
const USAGE = { model: 'loci/demo', ratio: 1.1, compared: 900, tokens: 1000 }

function aRecord(agent_id: string, evicted: readonly string[], more: Partial<CompactionDetail> = {}) {
  const record: CompactionDetail = {
    id: `compaction-${crypto.randomUUID()}`,
    agent_id,
    conversation_id: agent_id,
    run_id: null,
    step_id: null,
    trigger: 'manual',
    mode: 'sliding_window',
    mode_used: 'sliding_window',
    model: null,
    fallback: true,
    problems: [],
    context_tokens_before: 10,
    context_tokens_after: 5,
    context_window: 8000,
    messages_count_before: evicted.length + 1,
    messages_count_after: 2,
    summary_message_id: newId('message'),
    evicted_count: evicted.length,
    first_evicted_id: evicted[0] ?? '',
    last_evicted_id: evicted.at(-1) ?? '',
    first_kept_id: null,
    duration_ms: 3,
    created_at: at(1),
    evicted_message_ids: [...evicted],
    ...more,
  }
  return record
}

export function describeCompactions(subject: Subject): void {
  const begin = async (agent_id: string, ...words: string[]) => {
    const run = aRun(agent_id)
    const messages = words.map((word) => aMessage(agent_id, 'user', word, { run_id: run.id }))
    return { run, opened: await subject.store.turns.open(ADA, { run, conversation_id: agent_id, messages }) }
  }
  const aTurn = async (agent_id: string, question: string, answer: string) => {
    const { run, opened } = await begin(agent_id, question)
    const messages = [aMessage(agent_id, 'assistant', answer, { run_id: run.id })]
    await subject.store.turns.commit(ADA, aCommit(opened, run, { messages, finish: DONE }))
  }
  /** An agent whose context is: system, a, A, b, B. */
  const talked = async () => {
    const agent = await subject.store.agents.create(ADA, anAgent('ada'))
    await aTurn(agent.id, 'a', 'A')
    await aTurn(agent.id, 'b', 'B')
    return agent.id
  }
  const contextOf = async (agent_id: string): Promise<StoredMessage[]> =>
    (await subject.store.turns.getContext(ADA, agent_id, agent_id))?.context ?? []
  const aCompaction = (
    agent_id: string,
    evicted: readonly StoredMessage[],
    more: Partial<CompactionDetail> = {},
  ): ContextCompaction => {
    const ids = evicted.map((message) => message.id)
    const summary = aMessage(agent_id, 'summary', 'what was')
    return { summary, through: ids.at(-1) ?? '', record: aRecord(agent_id, ids, more) }
  }

  describe('compactions', () => {
    it('put a summary between the system message and what stays; the history keeps everything', async () => {
      const { store } = subject
      const agent_id = await talked()
      const before = await contextOf(agent_id)
      const compaction = aCompaction(agent_id, before.slice(1, 3))
      await store.compactions.compact(ADA, {
        agent_id,
        conversation_id: agent_id,
        compaction,
        system: { message_id: before[0]!.id, text: 'Anew.' },
        context_usage: USAGE,
      })
      assert.deepEqual((await contextOf(agent_id)).map(text), ['Anew.', 'what was', 'b', 'B'])
      const stored = await store.messages.list(ADA, { agent_id }, { limit: 50, order: 'asc' })
      assert.deepEqual(stored.map(text), ['Anew.', 'a', 'A', 'b', 'B', 'what was'])
      assert.deepEqual(await store.compactions.get(ADA, compaction.record.id), compaction.record)
      const { evicted_message_ids: _, ...listed } = compaction.record
      assert.deepEqual(await store.compactions.list(ADA, { agent_id }, page), [listed])
      assert.deepEqual(
        await store.compactions.list(ADA, { agent_id, conversation_id: newId('conv') }, page),
        [],
      )
      const { opened } = await begin(agent_id, 'c')
      assert.deepEqual(opened.context.map(text), ['Anew.', 'what was', 'b', 'B', 'c'])
      assert.deepEqual([opened.recall_count, opened.added], [2, 1])
      assert.deepEqual(opened.context_usage, USAGE)
    })

    it('take everything, and an earlier summary too', async () => {
      const { store } = subject
      const agent_id = await talked()
      const compact = async (from: number) => {
        const context = await contextOf(agent_id)
        await store.compactions.compact(ADA, {
          agent_id,
          conversation_id: agent_id,
          compaction: aCompaction(agent_id, context.slice(1, from), { created_at: at(from) }),
          system: { message_id: context[0]!.id, text: 'You remember.' },
          context_usage: USAGE,
        })
      }
      await compact(3)
      await aTurn(agent_id, 'c', 'C')
      await compact(6)
      assert.deepEqual((await contextOf(agent_id)).map(text), ['You remember.', 'what was'])
      await aTurn(agent_id, 'd', 'D')
      assert.deepEqual((await contextOf(agent_id)).map(text), ['You remember.', 'what was', 'd', 'D'])
      const records = await store.compactions.list(ADA, { agent_id }, page)
      assert.deepEqual(
        records.map((record) => record.evicted_count),
        [5, 2],
      )
      const [newest, oldest] = records
      const after = await store.compactions.list(ADA, { agent_id }, { ...page, after: newest!.id })
      assert.deepEqual(after, [oldest])
      await assert.rejects(store.compactions.list(ADA, { agent_id }, { ...page, after: 'compaction-none' }), {
        code: 'not_found',
      })
    })

    it('leave alone what came while the summary was written, and refuse what has gone already', async () => {
      const { store } = subject
      const agent_id = await talked()
      const [system, ...rest] = await contextOf(agent_id)
      const change = () => ({
        agent_id,
        conversation_id: agent_id,
        compaction: aCompaction(agent_id, rest),
        system: { message_id: system!.id, text: 'You remember.' },
        context_usage: USAGE,
      })
      await aTurn(agent_id, 'c', 'C')
      await store.compactions.compact(ADA, change())
      assert.deepEqual((await contextOf(agent_id)).map(text), ['You remember.', 'what was', 'c', 'C'])
      await assert.rejects(store.compactions.compact(ADA, change()), { code: 'conflict' })
      assert.equal((await store.compactions.list(ADA, { agent_id }, page)).length, 1)
    })

    it('are refused from outside while a turn runs, and made by its own step', async () => {
      const { store } = subject
      const agent_id = await talked()
      const { run, opened } = await begin(agent_id, 'c')
      const evicted = opened.context.slice(1, 5)
      const system = { message_id: opened.context[0]!.id, text: 'Anew.' }
      await assert.rejects(
        store.compactions.compact(ADA, {
          agent_id,
          conversation_id: agent_id,
          compaction: aCompaction(agent_id, evicted),
          system,
          context_usage: USAGE,
        }),
        { code: 'conversation_busy', data: { run_id: run.id } },
      )
      const compaction = aCompaction(agent_id, evicted)
      await store.turns.commit(ADA, aCommit(opened, run, { compaction, system, context_usage: USAGE }))
      const messages = [aMessage(agent_id, 'assistant', 'C')]
      await store.turns.commit(ADA, aCommit(opened, run, { messages, finish: DONE }))
      assert.deepEqual((await contextOf(agent_id)).map(text), ['Anew.', 'what was', 'c', 'C'])
      const next = await begin(agent_id, 'd')
      assert.deepEqual(next.opened.context.map(text), ['Anew.', 'what was', 'c', 'C', 'd'])
      assert.deepEqual(next.opened.context_usage, { ...USAGE, tokens: null }, 'another step has come since')
      await assert.rejects(store.turns.commit(ADA, aCommit(opened, run, { compaction, system })), {
        code: 'lease_lost',
      })
    })

    it('can begin with the messages of their own step, and end the run', async () => {
      const { store } = subject
      const agent_id = await talked()
      const { run, opened } = await begin(agent_id, 'c')
      const answer = aMessage(agent_id, 'assistant', 'C')
      const compaction = aCompaction(agent_id, [...opened.context.slice(1), answer])
      await store.turns.commit(
        ADA,
        aCommit(opened, run, { messages: [answer], compaction, context_usage: USAGE, finish: DONE }),
      )
      const next = await begin(agent_id, 'd')
      assert.deepEqual(next.opened.context.map(text), ['You remember.', 'what was', 'd'])
      assert.deepEqual(next.opened.context_usage, USAGE)
    })

    it('input that no model can be shown leaves the context and stays in the history', async () => {
      const { store } = subject
      const agent_id = await talked()
      const { run, opened } = await begin(agent_id, 'far too long')
      const drop = [opened.context.at(-1)!.id, newId('message')]
      await store.turns.commit(ADA, aCommit(opened, run, { drop, finish: DONE }))
      const next = await begin(agent_id, 'short')
      assert.deepEqual(next.opened.context.map(text), ['You remember.', 'a', 'A', 'b', 'B', 'short'])
      assert.equal(next.opened.recall_count, 1)
      const stored = await store.messages.list(ADA, { agent_id }, { limit: 50, order: 'asc' })
      assert.ok(stored.map(text).includes('far too long'))
    })

    it('belong to their organisation, and go with their agent', async () => {
      const { store } = subject
      const agent_id = await talked()
      const [system, ...rest] = await contextOf(agent_id)
      const change = {
        agent_id,
        conversation_id: agent_id,
        compaction: aCompaction(agent_id, rest),
        system: { message_id: system!.id, text: 'You remember.' },
        context_usage: USAGE,
      }
      await assert.rejects(store.compactions.compact(EVE, change), { code: 'not_found' })
      await store.compactions.compact(ADA, change)
      const { id } = change.compaction.record
      assert.deepEqual(await store.compactions.list(EVE, { agent_id }, page), [])
      assert.equal(await store.compactions.get(EVE, id), null)
      await store.agents.delete(ADA, agent_id)
      assert.deepEqual(await store.compactions.list(ADA, { agent_id }, page), [])
      assert.equal(await store.compactions.get(ADA, id), null)
    })
  })
}
