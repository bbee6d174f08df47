import assert from 'node:assert/strict'
import type { FinishRun } from '../../../shared/core/ports/turn-store.ts'
import { newId } from '../../../shared/schema/ids.ts'
import type { Subject } from '../store.contract.ts'
import {
  aBlock,
  aCall,
  aCommit,
  ADA,
  aMessage,
  anAgent,
  aReturn,
  aRun,
  aStep,
  at,
  DONE,
  EVE,
  text,
} from './samples.ts'

const page = { limit: 50, order: 'asc' } as const

export function describeTurns(subject: Subject): void {
  const begin = async (agent_id: string, ...words: string[]) => {
    const run = aRun(agent_id)
    const messages = words.map((word) => aMessage(agent_id, 'user', word, { run_id: run.id }))
    return { run, opened: await subject.store.turns.open(ADA, { run, conversation_id: agent_id, messages }) }
  }
  const aTurn = async (agent_id: string, question: string, answer: string) => {
    const { run, opened } = await begin(agent_id, question)
    const messages = [aMessage(agent_id, 'assistant', answer, { run_id: run.id })]
    await subject.store.turns.commit(ADA, aCommit(opened, run, { messages, step: aStep(run), finish: DONE }))
    return run
  }

  describe('turns', () => {
    it('store the input before anything else, and answer with the agent and its context', async () => {
      const { store } = subject
      const agent = await store.agents.create(
        ADA,
        anAgent('ada', { new_blocks: [aBlock('human', 'Ada')], tags: ['t'] }),
      )
      const { run, opened } = await begin(agent.id, 'hello')
      assert.deepEqual(opened.context.map(text), ['You remember.', 'hello'])
      assert.equal(opened.recall_count, 0)
      const stored = await store.messages.list(ADA, { agent_id: agent.id }, page)
      assert.deepEqual(stored, opened.context)
      // A turn needs no list of folders: their files are in the context.
      const { sources: _, ...seen } = agent
      assert.deepEqual(opened.agent, { ...seen, message_ids: stored.map((message) => message.id) })
      const present = await store.turns.getRun(ADA, run.id)
      assert.deepEqual(present, { ...run, status: 'running' })
    })

    it('commit messages, context, step, block edits and the outcome together', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada', { new_blocks: [aBlock('human', '')] }))
      const { run, opened } = await begin(agent.id, 'I am Ada')
      const call = aCall(agent.id, 'c')
      const done = aReturn(agent.id, 'c', 'ok')
      const system = { message_id: opened.context[0]!.id, text: 'You remember Ada.' }
      const edit = { block_id: agent.blocks[0]!.id, base_version: 1, value: 'Ada' }
      const first = aStep(run)
      const committed = await store.turns.commit(
        ADA,
        aCommit(opened, run, { messages: [call, done], step: first, system, block_edits: [edit] }),
      )
      assert.deepEqual(committed, { status: 'committed' })
      const second = aStep(run, { created_at: at(2), stop_reason: 'end_turn' })
      const answer = aMessage(agent.id, 'assistant', 'Hello Ada')
      const finish = { ...DONE, metadata: { note: 'n' } }
      await store.turns.commit(ADA, aCommit(opened, run, { messages: [answer], step: second, finish }))

      assert.deepEqual(await store.turns.getRun(ADA, run.id), { ...run, ...finish })
      assert.deepEqual(await store.turns.listSteps(ADA, { run_id: run.id }, page), [first, second])
      const after = await store.agents.get(ADA, agent.id, ['agent.blocks'])
      assert.deepEqual([after?.blocks[0]?.value, after?.blocks[0]?.version], ['Ada', 2])
      assert.deepEqual(
        [after?.last_run_completion, after?.last_run_duration_ms, after?.last_stop_reason],
        [finish.completed_at, 7, 'end_turn'],
      )
      const next = await begin(agent.id, 'and?')
      const whole = await store.messages.list(ADA, { agent_id: agent.id }, page)
      assert.deepEqual(next.opened.context, whole)
      assert.deepEqual(whole.map(text), ['You remember Ada.', 'I am Ada', '', '', 'Hello Ada', 'and?'])
      assert.deepEqual(
        next.opened.agent.message_ids,
        whole.map((message) => message.id),
      )
    })

    it('are committed before they are on disk when that is wanted, but for their end', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada'))
      const run = aRun(agent.id)
      const messages = [aMessage(agent.id, 'user', 'hello')]
      const turn = { run, conversation_id: agent.id, messages, early: true }
      const opened = await store.turns.open(ADA, turn)
      assert.equal(await opened.durable, undefined)
      assert.ok(opened.durable instanceof Promise)
      const step = aCommit(opened, run, {
        messages: [aMessage(agent.id, 'assistant', 'so')],
        step: aStep(run),
      })
      const committed = await store.turns.commit(ADA, { ...step, early: true })
      assert.ok(committed.status === 'committed' && committed.durable instanceof Promise)
      const last = aCommit(opened, run, { messages: [], step: null, finish: DONE })
      assert.deepEqual(await store.turns.commit(ADA, { ...last, early: true }), { status: 'committed' })
      await committed.durable
      const stored = await store.messages.list(ADA, { agent_id: agent.id }, page)
      assert.deepEqual(stored.map(text), ['You remember.', 'hello', 'so'])
      await assert.rejects(store.turns.commit(ADA, { ...step, early: true }), { code: 'lease_lost' })
    })

    it('read the same context through another process, before and after it changed there', async function () {
      const { store, reopen } = subject
      if (!reopen) return this.skip()
      const other = await reopen()
      try {
        const agent = await store.agents.create(ADA, anAgent('ada'))
        await aTurn(agent.id, 'one', '1')
        const run = aRun(agent.id)
        const messages = [aMessage(agent.id, 'user', 'two')]
        const opened = await other.turns.open(ADA, { run, conversation_id: agent.id, messages })
        assert.deepEqual(opened.context.map(text), ['You remember.', 'one', '1', 'two'])
        const system = { message_id: opened.context[0]!.id, text: 'Changed.' }
        await other.turns.commit(ADA, aCommit(opened, run, { system, finish: DONE }))
        const { opened: next } = await begin(agent.id, 'three')
        assert.deepEqual(next.context.map(text), ['Changed.', 'one', '1', 'two', 'three'])
      } finally {
        await other.close()
      }
    })

    it('are called back for when their process has died, however many others are being called for', async function () {
      const { store, reopen } = subject
      if (!reopen) return this.skip()
      const other = await reopen()
      const agent = await store.agents.create(ADA, anAgent('ada'))
      const end = async (through: typeof store) => {
        const run = aRun(agent.id, { callback_url: 'http://127.0.0.1/done' })
        const opened = await through.turns.open(ADA, { run, conversation_id: agent.id, messages: [] })
        const finish = { ...DONE, completed_at: new Date().toISOString() }
        await through.turns.commit(ADA, aCommit(opened, run, { step: null, finish }))
        return run.id
      }
      for (let i = 0; i < 101; i++) await end(store)
      const left = await end(other)
      await other.close()
      assert.deepEqual(
        (await store.turns.takeUncalled()).map(({ run }) => run.id),
        [left],
      )
      assert.deepEqual(await store.turns.takeUncalled(), [])
    })

    it('refuse a second turn in the conversation and name the run that holds it', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada'))
      const { run, opened } = await begin(agent.id, 'one')
      await assert.rejects(begin(agent.id, 'two'), { code: 'conversation_busy', data: { run_id: run.id } })
      assert.equal((await store.messages.list(ADA, { agent_id: agent.id }, page)).length, 2)
      await store.turns.commit(ADA, aCommit(opened, run, { finish: DONE }))
      const next = await begin(agent.id, 'two')
      assert.ok(next.opened.epoch > opened.epoch)
    })

    it('let only one of many that begin at once', async () => {
      const agent = await subject.store.agents.create(ADA, anAgent('ada'))
      const outcomes = await Promise.allSettled(Array.from({ length: 5 }, (_, i) => begin(agent.id, `${i}`)))
      assert.equal(outcomes.filter((outcome) => outcome.status === 'fulfilled').length, 1)
    })

    it('are refused for an agent or conversation that does not exist', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada'))
      await assert.rejects(begin(newId('agent'), 'x'), { code: 'not_found' })
      const elsewhere = store.turns.open(ADA, {
        run: aRun(agent.id),
        conversation_id: newId('conv'),
        messages: [],
      })
      await assert.rejects(elsewhere, { code: 'not_found' })
      const crossed = store.turns.open(ADA, {
        run: aRun(newId('agent')),
        conversation_id: agent.id,
        messages: [],
      })
      await assert.rejects(crossed, { code: 'not_found' })
    })

    it('write nothing with a stale epoch, another run, or after the end', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada', { new_blocks: [aBlock('human', 'a')] }))
      const { run, opened } = await begin(agent.id, 'one')
      const late = {
        messages: [aMessage(agent.id, 'assistant', 'late')],
        block_edits: [{ block_id: agent.blocks[0]!.id, base_version: 1, value: 'late' }],
      }
      for (const wrong of [
        { epoch: opened.epoch - 1 },
        { epoch: opened.epoch + 1 },
        { run_id: newId('run') },
      ]) {
        const commit = store.turns.commit(ADA, aCommit(opened, run, { ...late, ...wrong }))
        await assert.rejects(commit, { code: 'lease_lost' })
      }
      await store.turns.commit(ADA, aCommit(opened, run, { finish: DONE }))
      await assert.rejects(store.turns.commit(ADA, aCommit(opened, run, late)), { code: 'lease_lost' })
      assert.deepEqual((await store.messages.list(ADA, { agent_id: agent.id }, page)).map(text), [
        'You remember.',
        'one',
      ])
      assert.equal((await store.blocks.get(ADA, agent.blocks[0]!.id))?.value, 'a')
    })

    it('refuse the whole step when a block was changed meanwhile, and take it when it is made again', async () => {
      const { store } = subject
      const agent = await store.agents.create(
        ADA,
        anAgent('ada', { new_blocks: [aBlock('human', 'a'), aBlock('persona', 'p')] }),
      )
      const [human, persona] = agent.blocks
      const { run, opened } = await begin(agent.id, 'one')
      await store.blocks.update(ADA, human!.id, { value: 'theirs' })
      const step = aCommit(opened, run, {
        messages: [aMessage(agent.id, 'assistant', 'answer')],
        step: aStep(run),
        block_edits: [
          { block_id: persona!.id, base_version: 1, value: 'mine' },
          { block_id: human!.id, base_version: 1, value: 'mine' },
        ],
        finish: DONE,
      })
      const refused = await store.turns.commit(ADA, step)
      assert.equal(refused.status, 'conflict')
      assert.deepEqual(refused, {
        status: 'conflict',
        blocks: (await store.agents.get(ADA, agent.id, ['agent.blocks']))?.blocks,
      })
      assert.equal((await store.blocks.get(ADA, persona!.id))?.value, 'p')
      assert.equal((await store.messages.list(ADA, { agent_id: agent.id }, page)).length, 2)
      assert.equal((await store.turns.getRun(ADA, run.id))?.status, 'running')
      assert.deepEqual(await store.turns.listSteps(ADA, { run_id: run.id }, page), [])

      step.block_edits[1] = { block_id: human!.id, base_version: 2, value: 'mine' }
      assert.deepEqual(await store.turns.commit(ADA, step), { status: 'committed' })
      assert.equal((await store.blocks.get(ADA, human!.id))?.version, 3)
    })

    it('refuse the edit of a block that was detached or deleted meanwhile', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada', { new_blocks: [aBlock('human', 'a')] }))
      const { run, opened } = await begin(agent.id, 'one')
      const edit = { block_id: agent.blocks[0]!.id, base_version: 1, value: 'b' }
      await store.agents.detachBlock(ADA, agent.id, edit.block_id)
      const refused = await store.turns.commit(ADA, aCommit(opened, run, { block_edits: [edit] }))
      assert.deepEqual(refused, { status: 'conflict', blocks: [] })
    })

    it('make, attach, rename, describe and detach blocks with the step, each with its history', async () => {
      const { store } = subject
      const agent = await store.agents.create(
        ADA,
        anAgent('ada', { new_blocks: [aBlock('a', '1'), aBlock('b', '2'), aBlock('c', '3')] }),
      )
      const [a, b, c] = agent.blocks
      const { run, opened } = await begin(agent.id, 'one')
      const id = newId('block')
      const last = await store.events.lastId()
      const outcome = await store.turns.commit(
        ADA,
        aCommit(opened, run, {
          block_edits: [
            { block_id: a!.id, base_version: 1, label: 'b' },
            { block_id: b!.id, base_version: 1, label: 'a', value: 'two', description: 'second' },
            { block_id: c!.id, base_version: 1, detach: true },
            { block_id: id, create: aBlock('c', 'new') },
          ],
        }),
      )
      assert.deepEqual(outcome, { status: 'committed' })
      const after = await store.agents.get(ADA, agent.id, ['agent.blocks'])
      assert.deepEqual(
        after?.blocks.map((block) => [block.id, block.label, block.value, block.description, block.version]),
        [
          [a!.id, 'b', '1', null, 2],
          [b!.id, 'a', 'two', 'second', 2],
          [id, 'c', 'new', null, 1],
        ],
      )
      assert.ok(await store.blocks.get(ADA, c!.id), 'a detached block still exists')
      const [made] = (await store.blocks.history(ADA, id, page)) ?? []
      assert.deepEqual([made?.before, made?.agent_id, made?.run_id], [null, agent.id, run.id])
      const types: string[] = []
      const stop = new AbortController()
      for await (const event of store.events.watch(ADA, last, { signal: stop.signal })) {
        types.push(event.type)
        if (types.length === 4) stop.abort()
      }
      assert.deepEqual(types, ['block.detached', 'block.updated', 'block.updated', 'block.created'])
    })

    it('refuse a step whose new label was taken meanwhile', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada', { new_blocks: [aBlock('a', '1')] }))
      const { run, opened } = await begin(agent.id, 'one')
      const rival = await store.blocks.create(ADA, aBlock('plan', ''))
      await store.agents.attachBlock(ADA, agent.id, rival.id)
      const present = [agent.blocks[0], rival]
      for (const edit of [
        { block_id: newId('block'), create: aBlock('plan', 'mine') },
        { block_id: agent.blocks[0]!.id, base_version: 1, label: 'plan' },
      ]) {
        const refused = await store.turns.commit(ADA, aCommit(opened, run, { block_edits: [edit] }))
        assert.deepEqual(refused, { status: 'conflict', blocks: present })
      }
      assert.equal(await store.blocks.count(ADA, {}), 2)
    })

    it('refuse a label that another agent with the same block uses for another one', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada', { new_blocks: [aBlock('a', '1')] }))
      const shared = agent.blocks[0]!
      await store.agents.create(
        ADA,
        anAgent('b', { block_ids: [shared.id], new_blocks: [aBlock('plan', '')] }),
      )
      const { run, opened } = await begin(agent.id, 'one')
      const edit = { block_id: shared.id, base_version: 1, label: 'plan' }
      assert.deepEqual(await store.turns.commit(ADA, aCommit(opened, run, { block_edits: [edit] })), {
        status: 'conflict',
        blocks: [shared],
        refused_labels: [{ block_id: shared.id, label: 'plan' }],
      })
      const other = { block_id: shared.id, base_version: 1, label: 'goal' }
      await store.turns.commit(ADA, aCommit(opened, run, { block_edits: [other] }))
      assert.equal((await store.blocks.get(ADA, shared.id))?.label, 'goal')
    })

    it('that fail are closed with the reason, and leave the conversation free', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada'))
      const { run, opened } = await begin(agent.id, 'one')
      const finish = {
        ...DONE,
        status: 'failed',
        stop_reason: 'llm_api_error',
        metadata: { error: 'down' },
      } as const
      await store.turns.commit(ADA, aCommit(opened, run, { finish }))
      assert.deepEqual(await store.turns.getRun(ADA, run.id), { ...run, ...finish })
      const { opened: next } = await begin(agent.id, 'two')
      assert.deepEqual(next.context.map(text), ['You remember.', 'one', 'two'])
    })

    it('whose closing could not be written do not hold the conversation for ever', async () => {
      const { store } = subject
      const metadata = { error: { message: 'It was so.' } }
      const finish: FinishRun = { ...DONE, status: 'failed', stop_reason: 'error', metadata }
      for (const takenOver of ['by the next turn', 'by the recovery']) {
        const agent = await store.agents.create(ADA, anAgent('ada'))
        const { run, opened } = await begin(agent.id, 'one')
        const twice = opened.context.slice(-1)
        await assert.rejects(store.turns.commit(ADA, aCommit(opened, run, { messages: twice, finish })))
        assert.equal((await store.turns.getRun(ADA, run.id))?.status, 'running', 'nothing was written')
        if (takenOver === 'by the recovery') assert.deepEqual(await store.turns.recover(), [run.id])
        const { opened: next } = await begin(agent.id, 'two')
        assert.deepEqual(next.context.map(text), ['You remember.', 'one', 'two'])
        const ended = await store.turns.getRun(ADA, run.id)
        assert.deepEqual([ended?.status, ended?.metadata], ['failed', metadata], 'as it was to end')
        await assert.rejects(store.turns.commit(ADA, aCommit(opened, run, { finish: DONE })), {
          code: 'lease_lost',
        })
      }
    })

    it('are cancelled without their process, which can write nothing of them any more', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada'))
      const { run, opened } = await begin(agent.id, 'one')
      const lease = { conversation_id: agent.id, run_id: run.id, epoch: opened.epoch }
      await store.turns.checkLease(ADA, lease)
      assert.equal(await store.turns.cancelUnheard(EVE, run.id), false, 'it is not of her organisation')
      assert.equal(await store.turns.cancelUnheard(ADA, run.id), true)
      const ended = await store.turns.getRun(ADA, run.id)
      assert.deepEqual([ended?.status, ended?.stop_reason], ['cancelled', 'cancelled'])
      await assert.rejects(store.turns.checkLease(ADA, lease), { code: 'lease_lost' })
      await begin(agent.id, 'two')
      await assert.rejects(store.turns.commit(ADA, aCommit(opened, run, { finish: DONE })), {
        code: 'lease_lost',
      })
      assert.equal(await store.turns.cancelUnheard(ADA, run.id), false)
    })

    it('may be closed again when the first try was refused', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada'))
      const { run, opened } = await begin(agent.id, 'one')
      const twice = opened.context.slice(-1)
      await assert.rejects(store.turns.commit(ADA, aCommit(opened, run, { messages: twice, finish: DONE })))
      await store.turns.commit(ADA, aCommit(opened, run, { finish: DONE }))
      assert.equal((await store.turns.getRun(ADA, run.id))?.status, 'completed')
    })

    it('heal tool calls that were left without a return', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada'))
      const { run, opened } = await begin(agent.id, 'look')
      const messages = [aCall(agent.id, 'a', 'b', 'c'), aReturn(agent.id, 'b', 'seen')]
      await store.turns.commit(ADA, aCommit(opened, run, { messages, finish: DONE }))
      const { opened: next, run: nextRun } = await begin(agent.id, 'go on')
      const roles = next.context.map((message) => message.role)
      assert.deepEqual(roles, ['system', 'user', 'assistant', 'tool', 'tool', 'user'])
      const healed = next.context[4]!.tool_returns
      assert.deepEqual(
        healed.map((r) => [r.tool_call_id, r.name, r.status]),
        [
          ['a', 'look', 'error'],
          ['c', 'look', 'error'],
        ],
      )
      assert.match(JSON.stringify(healed[0]!.func_response), /interrupted before it finished/)
      assert.deepEqual(await store.messages.list(ADA, { agent_id: agent.id }, page), next.context)
      await store.turns.commit(ADA, aCommit(next, nextRun, { finish: DONE }))
      assert.equal((await begin(agent.id, 'again')).opened.context.length, 7, 'healed once')
    })

    it('list runs by agent, state, background and reason, and steps by agent', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada'))
      const other = await store.agents.create(ADA, anAgent('other'))
      const done = await aTurn(agent.id, 'a', 'b')
      const elsewhere = await aTurn(other.id, 'a', 'b')
      const live = aRun(agent.id, { background: true, created_at: at(3) })
      await store.turns.open(ADA, { run: live, conversation_id: agent.id, messages: [] })
      const ids = async (filter: Parameters<typeof store.turns.listRuns>[1]) =>
        (await store.turns.listRuns(ADA, filter, page)).map((run) => run.id)
      assert.deepEqual((await ids({})).toSorted(), [done.id, elsewhere.id, live.id].toSorted())
      assert.deepEqual(await ids({ agent_id: agent.id }), [done.id, live.id])
      assert.deepEqual(await ids({ conversation_id: agent.id }), [done.id, live.id])
      assert.deepEqual(await ids({ statuses: ['created', 'running'] }), [live.id])
      assert.deepEqual(await ids({ background: true }), [live.id])
      assert.deepEqual(await ids({ agent_id: agent.id, stop_reason: 'end_turn' }), [done.id])
      const after = await store.turns.listRuns(ADA, { agent_id: agent.id }, { ...page, after: done.id })
      assert.deepEqual(
        after.map((run) => run.id),
        [live.id],
      )
      await assert.rejects(store.turns.listRuns(ADA, {}, { ...page, after: newId('run') }), {
        code: 'not_found',
      })
      const steps = await store.turns.listSteps(ADA, { agent_id: agent.id }, page)
      assert.deepEqual(
        steps.map((step) => step.run_id),
        [done.id],
      )
      await assert.rejects(store.turns.listSteps(ADA, {}, { ...page, before: newId('step') }), {
        code: 'not_found',
      })
      assert.equal(await store.turns.getRun(ADA, newId('run')), null)
    })

    it('of a closed instance are failed by the next one that looks, and leave the conversation free', async function () {
      const { store, reopen } = subject
      if (!reopen) return this.skip()
      const agent = await store.agents.create(ADA, anAgent('ada'))
      const gone = await reopen()
      const run = aRun(agent.id, { metadata: { kept: 1 } })
      const opened = await gone.turns.open(ADA, {
        run,
        conversation_id: agent.id,
        messages: [aMessage(agent.id, 'user', 'stored')],
      })
      await assert.rejects(begin(agent.id, 'not yet'), {
        code: 'conversation_busy',
        data: { run_id: run.id },
      })
      assert.deepEqual(await store.turns.recover(), [])
      await gone.close()
      const { opened: next } = await begin(agent.id, 'at once')
      assert.deepEqual(next.context.map(text), ['You remember.', 'stored', 'at once'])
      assert.ok(next.epoch > opened.epoch)
      const failed = await store.turns.getRun(ADA, run.id)
      assert.deepEqual(
        [failed?.status, failed?.stop_reason, failed?.metadata?.['kept']],
        ['failed', 'error', 1],
      )
      assert.match(String(failed?.metadata?.['error']), /stopped before the turn was finished/)
    })

    it('recover all that dead instances left, once', async function () {
      const { store, reopen } = subject
      if (!reopen) return this.skip()
      const gone = await reopen()
      const runs: string[] = []
      for (const name of ['a', 'b']) {
        const agent = await store.agents.create(ADA, anAgent(name))
        const run = aRun(agent.id)
        await gone.turns.open(ADA, { run, conversation_id: agent.id, messages: [] })
        runs.push(run.id)
      }
      const mine = await begin((await store.agents.create(ADA, anAgent('mine'))).id, 'x')
      await gone.close()
      assert.deepEqual((await store.turns.recover()).toSorted(), runs.toSorted())
      assert.deepEqual(await store.turns.recover(), [])
      const running = await store.turns.listRuns(ADA, { statuses: ['created', 'running'] }, page)
      assert.deepEqual(
        running.map((run) => run.id),
        [mine.run.id],
      )
    })
  })
}
