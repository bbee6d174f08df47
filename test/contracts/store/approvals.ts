import assert from 'node:assert/strict'
import { newId } from '../../../shared/schema/ids.ts'
import type { StoredApproval, StoredMessage } from '../../../shared/schema/message.ts'
import type { Subject } from '../store.contract.ts'
import { aBuiltin, aCommit, ADA, aMessage, anAgent, aRun, aStep, DONE, EVE } from './samples.ts'

const page = { limit: 50, order: 'asc' } as const
const WAITS = { ...DONE, stop_reason: 'requires_approval' } as const

export function describeApprovals(subject: Subject): void {
  /** A conversation that ends with a request for approval of `call-2`, beside `call-1` which may run at once. */
  async function waiting(): Promise<{ agent_id: string; request: StoredMessage; asked: StoredMessage }> {
    const { store } = subject
    const { id } = await store.agents.create(ADA, anAgent('ada'))
    const run = aRun(id)
    const opened = await store.turns.open(ADA, {
      run,
      conversation_id: id,
      messages: [aMessage(id, 'user', 'go', { run_id: run.id })],
    })
    const step = aStep(run, { stop_reason: 'requires_approval' })
    const place = { run_id: run.id, step_id: step.id }
    const called = (call_id: string) => ({
      tool_calls: [{ id: call_id, type: 'function' as const, function: { name: 'look', arguments: '{}' } }],
    })
    const asked = aMessage(id, 'assistant', 'Well', { ...place, ...called('call-1') })
    const request = aMessage(id, 'approval', '', { ...place, ...called('call-2') })
    await store.turns.commit(ADA, aCommit(opened, run, { step, messages: [asked, request], finish: WAITS }))
    return { agent_id: id, request, asked }
  }
  const decided = (agent_id: string, request_id: string, ...decisions: StoredApproval[]): StoredMessage =>
    aMessage(agent_id, 'approval', '', { approval: { request_id, decisions } })
  const yes: StoredApproval = { type: 'approval', tool_call_id: 'call-2', approve: true, reason: null }
  const no: StoredApproval = { ...yes, approve: false, reason: 'not now' }
  const open = (agent_id: string, messages: StoredMessage[], approval?: string) =>
    subject.store.turns.open(ADA, {
      run: aRun(agent_id),
      conversation_id: agent_id,
      messages,
      ...(approval === undefined ? {} : { approval }),
    })

  describe('approvals', () => {
    it('that wait are kept as they are, and refuse other input, of which nothing is stored', async () => {
      const { store } = subject
      const { agent_id, request, asked } = await waiting()
      await assert.rejects(open(agent_id, [aMessage(agent_id, 'user', 'hello?')]), {
        code: 'pending_approval',
        data: { pending_request_id: request.id },
      })
      const stored = await store.messages.list(ADA, { agent_id }, page)
      assert.deepEqual(stored.slice(2), [asked, request])
      const runs = await store.turns.listRuns(ADA, { agent_id }, page)
      assert.deepEqual(
        runs.map((run) => run.status),
        ['completed'],
      )
    })

    it('are answered by a turn, whose context ends with request and answer', async () => {
      const { agent_id, request, asked } = await waiting()
      const answer = decided(agent_id, request.id, yes)
      const opened = await open(agent_id, [answer], request.id)
      assert.deepEqual(opened.context.slice(2), [asked, request, answer])
    })

    it('are answered once: a second answer, and one to another request, are refused', async () => {
      const { agent_id, request } = await waiting()
      const other = newId('message')
      await assert.rejects(open(agent_id, [decided(agent_id, other, yes)], other), {
        code: 'pending_approval',
      })
      const many = await Promise.allSettled(
        [1, 2, 3].map(() => open(agent_id, [decided(agent_id, request.id, yes)], request.id)),
      )
      assert.equal(many.filter((one) => one.status === 'fulfilled').length, 1)
      const fresh = await subject.store.agents.create(ADA, anAgent('bob'))
      await assert.rejects(open(fresh.id, [decided(fresh.id, other, yes)], other), { code: 'conflict' })
    })

    it('that were answered and not carried out get returns at the next turn: denials theirs, others an error', async function () {
      const { store, reopen } = subject
      if (!reopen) return this.skip()
      const { agent_id, request } = await waiting()
      const dying = await reopen()
      const run = aRun(agent_id)
      const messages = [decided(agent_id, request.id, no)]
      const opened = await dying.turns.open(ADA, {
        run,
        conversation_id: agent_id,
        messages,
        approval: request.id,
      })
      await dying.turns.commit(ADA, aCommit(opened, run, { finish: { ...DONE, status: 'failed' } }))
      await dying.close()
      const next = await open(agent_id, [aMessage(agent_id, 'user', 'and?')])
      const healed = next.context.at(-2)
      assert.equal(healed?.role, 'tool')
      assert.deepEqual(
        healed.tool_returns.map(({ tool_call_id, status, func_response }) => [
          tool_call_id,
          status,
          /not now|interrupted/.exec(JSON.stringify(func_response))?.[0],
        ]),
        [
          ['call-1', 'error', 'interrupted'],
          ['call-2', 'error', 'not now'],
        ],
      )
      assert.equal(healed.approval, undefined)
      assert.equal((await store.messages.list(ADA, { agent_id }, page)).at(-1)?.role, 'user')
    })

    it('can be answered without a turn', async () => {
      const { store } = subject
      const { agent_id, request } = await waiting()
      const target = { agent_id, conversation_id: agent_id, approval: request.id }
      const answer = decided(agent_id, request.id, no)
      await assert.rejects(store.turns.answerApproval(EVE, target, [answer]), { code: 'not_found' })
      await store.turns.answerApproval(ADA, target, [answer])
      await assert.rejects(store.turns.answerApproval(ADA, target, [answer]), { code: 'conflict' })
      const context = await store.turns.getContext(ADA, agent_id, agent_id)
      assert.deepEqual(context?.context.at(-1), answer)
    })

    it('cannot be answered without a turn while one runs', async () => {
      const { agent_id, request } = await waiting()
      await open(agent_id, [decided(agent_id, request.id, yes)], request.id)
      const target = { agent_id, conversation_id: agent_id, approval: request.id }
      await assert.rejects(subject.store.turns.answerApproval(ADA, target, []), { code: 'conversation_busy' })
    })

    it('are part of their agent when a read asks for it', async () => {
      const { store } = subject
      const { agent_id, request } = await waiting()
      const read = async () =>
        (await store.agents.get(ADA, agent_id, ['agent.pending_approval']))?.pending_approval
      assert.deepEqual(await read(), request)
      assert.equal((await store.agents.get(ADA, agent_id, []))?.pending_approval, undefined)
      const listed = await store.agents.list(ADA, {}, page, ['agent.pending_approval'])
      assert.deepEqual(listed.find((agent) => agent.id === agent_id)?.pending_approval, request)
      assert.deepEqual((await store.agents.update(ADA, agent_id, { name: 'b' }))?.pending_approval, request)
      await open(agent_id, [decided(agent_id, request.id, yes)], request.id)
      assert.equal(await read(), null)
    })

    it('are found in whichever conversation of their agent', async () => {
      const { store } = subject
      const { agent_id, request } = await waiting()
      assert.deepEqual(await store.conversations.waiting(ADA, agent_id), [agent_id])
      assert.deepEqual(await store.conversations.waiting(EVE, agent_id), [])
      assert.equal((await store.conversations.get(ADA, agent_id))?.pending_request_id, request.id)
      const other = await store.agents.create(ADA, anAgent('bo'))
      assert.deepEqual(await store.conversations.waiting(ADA, other.id), [])
    })

    it('keep the context of an agent that forgets it with every turn, until they are answered', async () => {
      const { store } = subject
      const { agent_id, request } = await waiting()
      await store.agents.update(ADA, agent_id, { message_buffer_autoclear: true })
      const opened = await open(agent_id, [decided(agent_id, request.id, yes)], request.id)
      assert.equal(opened.context.length, 5)
    })

    it('of a tool are switched on and off', async () => {
      const { store } = subject
      await store.tools.seed(ADA, [aBuiltin('look')])
      const [tool] = await store.tools.list(ADA, { name: 'look' }, page)
      const own = { type: 'exit_loop' as const, tool_name: 'look' }
      const { id } = await store.agents.create(
        ADA,
        anAgent('ada', { tool_ids: [tool!.id], fields: { tool_rules: [own] } }),
      )
      const rules = async () => (await store.agents.get(ADA, id, []))?.tool_rules
      const rule = { type: 'requires_approval', tool_name: 'look' }
      for (const _ of [1, 2]) await store.agents.setToolApproval(ADA, id, 'look', true)
      assert.deepEqual(await rules(), [own, rule])
      for (const _ of [1, 2]) await store.agents.setToolApproval(ADA, id, 'look', false)
      assert.deepEqual(await rules(), [own])
      await assert.rejects(store.agents.setToolApproval(ADA, id, 'other', true), { code: 'not_found' })
      await assert.rejects(store.agents.setToolApproval(EVE, id, 'look', true), { code: 'not_found' })
    })
  })
}
