import assert from 'node:assert/strict'
import { isAppError } from '../../../shared/schema/errors.ts'
import { newId } from '../../../shared/schema/ids.ts'
import type { Subject } from '../store.contract.ts'
import { aBlock, aCommit, ADA, aMessage, anAgent, aRun, aStep, at, DONE, EVE, text } from './samples.ts'

const page = { limit: 50, order: 'asc' } as const

/** What is done to runs, steps and conversations beside the turns themselves. */
export function describeRuns(subject: Subject): void {
  const begin = async (agent_id: string, word: string) => {
    const run = aRun(agent_id)
    const messages = [aMessage(agent_id, 'user', word, { run_id: run.id })]
    return { run, opened: await subject.store.turns.open(ADA, { run, conversation_id: agent_id, messages }) }
  }
  const aTurn = async (agent_id: string, word: string, step = {}) => {
    const { run, opened } = await begin(agent_id, word)
    const first = aStep(run, step)
    const messages = [aMessage(agent_id, 'assistant', `re ${word}`, { run_id: run.id })]
    await subject.store.turns.commit(ADA, aCommit(opened, run, { messages, step: first, finish: DONE }))
    return { run, step: first }
  }
  const context = async (agent_id: string) =>
    (await subject.store.turns.getContext(ADA, agent_id, agent_id))?.context.map(text)

  describe('runs and steps', () => {
    it('are deleted together once the run has ended, and the messages stay', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada'))
      const { run, step } = await aTurn(agent.id, 'a')
      const other = await aTurn(agent.id, 'b')
      assert.equal(await store.turns.deleteRun(EVE, run.id), false)
      assert.equal(await store.turns.deleteRun(ADA, run.id), true)
      assert.equal(await store.turns.getRun(ADA, run.id), null)
      assert.equal(await store.turns.getStep(ADA, step.id), null)
      assert.ok(await store.turns.getStep(ADA, other.step.id))
      assert.equal((await store.messages.list(ADA, { run_id: run.id }, page)).length, 2)
      assert.equal(await store.turns.deleteRun(ADA, run.id), false)
      const open = await begin(agent.id, 'c')
      await assert.rejects(store.turns.deleteRun(ADA, open.run.id), (e) => isAppError(e, 'conflict'))
    })

    it('keep how a callback went', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada'))
      const { run } = await aTurn(agent.id, 'a')
      const outcome = { callback_sent_at: at(9), callback_status_code: 204, callback_error: null }
      await store.turns.saveCallback(EVE, run.id, { ...outcome, callback_status_code: 500 })
      await store.turns.saveCallback(ADA, run.id, outcome)
      const kept = await store.turns.getRun(ADA, run.id)
      assert.deepEqual(kept, { ...kept, ...outcome })
      await store.turns.saveCallback(ADA, newId('run'), outcome)
    })

    it('are asked to be cancelled in the process that holds them, until they end', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada'))
      const { run, opened } = await begin(agent.id, 'a')
      const before = await store.turns.getRun(ADA, run.id)
      assert.deepEqual(await store.turns.cancelRequests(), [])
      assert.equal(await store.turns.requestCancel(EVE, run.id), false)
      assert.deepEqual(await store.turns.cancelRequests(), [])
      const asking = (await subject.reopen?.()) ?? store
      try {
        assert.equal(await asking.turns.requestCancel(ADA, run.id), true)
        if (asking !== store) assert.deepEqual(await asking.turns.cancelRequests(), [])
      } finally {
        if (asking !== store) await asking.close()
      }
      assert.deepEqual(await store.turns.cancelRequests(), [run.id])
      assert.deepEqual(await store.turns.getRun(ADA, run.id), before, 'nothing of it shows')
      await store.turns.commit(ADA, aCommit(opened, run, { finish: DONE }))
      assert.deepEqual(await store.turns.cancelRequests(), [])
      assert.equal(await store.turns.requestCancel(ADA, run.id), false)
    })

    it('are to stop when their agent is deleted, in the process that holds them', async () => {
      const { store } = subject
      const [agent, stays] = [
        await store.agents.create(ADA, anAgent('ada')),
        await store.agents.create(ADA, anAgent('eve')),
      ]
      const { run, opened } = await begin(agent.id, 'a')
      const other = await begin(stays.id, 'b')
      assert.deepEqual(await store.turns.cancelRequests(), [])
      const deleting = (await subject.reopen?.()) ?? store
      try {
        assert.equal(await deleting.agents.delete(ADA, agent.id), true)
        if (deleting !== store) assert.deepEqual(await deleting.turns.cancelRequests(), [])
      } finally {
        if (deleting !== store) await deleting.close()
      }
      assert.deepEqual(await store.turns.cancelRequests(), [run.id])
      const finish = store.turns.commit(ADA, aCommit(opened, run, { finish: DONE }))
      await assert.rejects(finish, (e) => isAppError(e, 'lease_lost'))
      assert.deepEqual(await store.turns.cancelRequests(), [])
      await store.turns.commit(ADA, aCommit(other.opened, other.run, { finish: DONE }))
    })

    it('are not to stop while they are only beginning', async () => {
      const { store } = subject
      const made = await Promise.all(
        ['a', 'b', 'c', 'd'].map((name) => store.agents.create(ADA, anAgent(name))),
      )
      const over = new AbortController()
      const asked: string[] = []
      const asking = (async () => {
        while (!over.signal.aborted) {
          asked.push(...(await store.turns.cancelRequests()))
          // A read of SQLite is done at once: others want a turn, too.
          await new Promise((resolve) => setImmediate(resolve))
        }
      })()
      for (let n = 0; n < 10; n++)
        await Promise.all(
          made.map(async ({ id }) => {
            const { run, opened } = await begin(id, String(n))
            await store.turns.commit(ADA, aCommit(opened, run, { finish: DONE }))
          }),
        )
      over.abort()
      await asking
      assert.deepEqual(asked, [])
    })

    it('of many agents are listed together', async () => {
      const { store } = subject
      const agents = await Promise.all(['a', 'b', 'c'].map((name) => store.agents.create(ADA, anAgent(name))))
      const runs = []
      for (const agent of agents) runs.push((await aTurn(agent.id, 'x')).run.id)
      const agent_ids = [agents[0]!.id, agents[2]!.id]
      const listed = await store.turns.listRuns(ADA, { agent_ids }, page)
      assert.deepEqual(listed.map((run) => run.id).toSorted(), [runs[0]!, runs[2]!].toSorted())
      assert.deepEqual(await store.turns.listRuns(ADA, { agent_ids: [] }, page), [])
    })

    it('have feedback and tags, by which steps are found', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada'))
      const first = (await aTurn(agent.id, 'a', { created_at: at(1), model: 'm1' })).step
      const second = (await aTurn(agent.id, 'b', { created_at: at(2), model: 'm2' })).step
      const { turns } = store
      assert.equal(await turns.updateStep(EVE, first.id, { feedback: 'negative' }), null)
      assert.deepEqual(await turns.updateStep(ADA, first.id, { feedback: 'positive' }), {
        ...first,
        feedback: 'positive',
      })
      const changed = await turns.updateStep(ADA, first.id, { tags: ["o'clock", '%'] })
      assert.deepEqual([changed?.feedback, changed?.tags], ['positive', ["o'clock", '%']])
      const ids = async (filter: Parameters<typeof turns.listSteps>[1]) =>
        (await turns.listSteps(ADA, filter, page)).map((step) => step.id)
      assert.deepEqual(await ids({ feedback: 'positive' }), [first.id])
      assert.deepEqual(await ids({ has_feedback: true }), [first.id])
      assert.deepEqual(await ids({ has_feedback: false }), [second.id])
      assert.deepEqual(await ids({ tags: ["o'clock", 'x'] }), [first.id])
      assert.deepEqual(await ids({ tags: ['x'] }), [])
      assert.deepEqual(await ids({ model: 'm2' }), [second.id])
      assert.deepEqual(await ids({ start_date: at(2) }), [second.id])
      assert.deepEqual(await ids({ end_date: at(2) }), [first.id])
      await turns.updateStep(ADA, first.id, { feedback: null })
      assert.deepEqual(await ids({ has_feedback: true }), [])
      assert.equal(await turns.getStep(EVE, first.id), null)
    })
  })

  describe('conversations', () => {
    it('show their context and how much is stored beside it', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada'))
      await aTurn(agent.id, 'a')
      assert.deepEqual(await context(agent.id), ['You remember.', 'a', 're a'])
      assert.equal(await store.turns.getContext(EVE, agent.id, agent.id), null)
      assert.equal(await store.turns.getContext(ADA, newId('agent'), agent.id), null)
    })

    it('take a new system text, also while a turn runs', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada'))
      const { run, opened } = await begin(agent.id, 'a')
      await assert.rejects(store.turns.setSystem(EVE, agent.id, agent.id, 'stolen'))
      await store.turns.setSystem(ADA, agent.id, agent.id, 'You know.')
      const messages = [aMessage(agent.id, 'assistant', 're a')]
      await store.turns.commit(ADA, aCommit(opened, run, { messages, finish: DONE }))
      assert.deepEqual(await context(agent.id), ['You know.', 'a', 're a'])
      const next = await begin(agent.id, 'b')
      assert.deepEqual(next.opened.context.map(text), ['You know.', 'a', 're a', 'b'])
    })

    it('begin anew: old messages are gone from lists and search, a running turn is refused', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada'))
      const neighbour = await store.agents.create(ADA, anAgent('bob'))
      await aTurn(neighbour.id, 'elephants')
      for (let i = 0; i < 300; i++) await aTurn(agent.id, `elephants ${i}`)
      const fresh = aMessage(agent.id, 'system', 'You are new.')
      const open = await begin(agent.id, 'now')
      await assert.rejects(
        store.turns.reset(ADA, agent.id, agent.id, fresh),
        (e) => isAppError(e, 'conversation_busy') && e.data['run_id'] === open.run.id,
      )
      await store.turns.commit(ADA, aCommit(open.opened, open.run, { finish: DONE }))
      await assert.rejects(store.turns.reset(EVE, agent.id, agent.id, fresh), (e) =>
        isAppError(e, 'not_found'),
      )
      await store.turns.reset(ADA, agent.id, agent.id, fresh)
      assert.deepEqual(await context(agent.id), ['You are new.'])
      const left = await store.messages.list(ADA, { agent_id: agent.id }, page)
      assert.deepEqual(left.map(text), ['You are new.'])
      const search = { query: 'elephants', roles: ['user' as const], limit: 5 }
      assert.deepEqual(await store.messages.search(ADA, { ...search, agent_id: agent.id }), [])
      assert.equal((await store.messages.search(ADA, { ...search, agent_id: neighbour.id })).length, 1)
      assert.equal(
        (await store.turns.listRuns(ADA, { agent_id: agent.id }, { ...page, limit: 1000 })).length,
        301,
      )
      const next = await begin(agent.id, 'hello')
      assert.deepEqual(next.opened.context.map(text), ['You are new.', 'hello'])
      assert.equal(next.opened.recall_count, 0)
    })

    it('begin, and begin anew, with the messages that are given, in order', async () => {
      const { store } = subject
      const sample = anAgent('ada')
      const { id } = sample.agent
      const more = () => [aMessage(id, 'assistant', 'I am here'), aMessage(id, 'user', 'hello')]
      const agent = await store.agents.create(ADA, { ...sample, first_messages: more() })
      assert.equal(agent.message_ids.length, 3)
      assert.deepEqual(await context(id), ['You remember.', 'I am here', 'hello'])
      await aTurn(id, 'a')
      assert.deepEqual((await context(id))?.slice(0, 4), ['You remember.', 'I am here', 'hello', 'a'])
      await store.turns.reset(ADA, id, id, aMessage(id, 'system', 'You are new.'), more())
      assert.deepEqual(await context(id), ['You are new.', 'I am here', 'hello'])
      const next = await begin(id, 'b')
      assert.deepEqual(next.opened.context.map(text), ['You are new.', 'I am here', 'hello', 'b'])
      assert.equal(next.opened.recall_count, 0)
    })

    it('are cleared before each turn of an agent that wants it, and keep their history', async () => {
      const { store } = subject
      const sample = anAgent('ada')
      const cleared = { ...sample, agent: { ...sample.agent, message_buffer_autoclear: true } }
      const agent = await store.agents.create(ADA, cleared)
      await aTurn(agent.id, 'a')
      await aTurn(agent.id, 'b')
      const { opened } = await begin(agent.id, 'c')
      assert.deepEqual(opened.context.map(text), ['You remember.', 'c'])
      assert.equal(opened.recall_count, 4)
      assert.equal((await store.messages.list(ADA, { agent_id: agent.id }, page)).length, 6)
    })
  })

  describe('tags', () => {
    it('of agents and blocks are one list, each once, by code point', async () => {
      const { store } = subject
      await store.agents.create(
        ADA,
        anAgent('ada', {
          tags: ['b', 'Z', 'ä', '100%'],
          new_blocks: [aBlock('x', '', { tags: ['b', 'c/d'] })],
        }),
      )
      await store.agents.create(EVE, anAgent('eve', { tags: ['hers'] }))
      const tags = (filter: Parameters<typeof store.agents.listTags>[1], more = {}) =>
        store.agents.listTags(ADA, filter, { ...page, ...more })
      const all = ['100%', 'Z', 'b', 'c/d', 'ä']
      assert.deepEqual(await tags({}), all)
      assert.deepEqual(await tags({}, { order: 'desc' }), all.toReversed())
      assert.deepEqual(await tags({}, { after: 'Z', limit: 2 }), ['b', 'c/d'])
      assert.deepEqual(await tags({}, { before: 'c/d', limit: 2 }), ['Z', 'b'])
      assert.deepEqual(await tags({}, { after: 'ä' }), [])
      assert.deepEqual(await tags({ query_text: '%' }), ['100%'])
      assert.deepEqual(await tags({ query_text: 'z' }), ['Z'])
      assert.deepEqual(await tags({ name: 'b' }), ['b'])
    })
  })
}
