import assert from 'node:assert/strict'
import { assistantMessage, inputMessage } from '../../shared/core/messages.ts'
import { runTurn } from '../../shared/core/turn/turn.ts'
import type { AgentEvent, TurnResult } from '../../shared/core/events.ts'
import type { StoredMessage } from '../../shared/schema/message.ts'
import { aCommit, aRun } from '../contracts/store/samples.ts'
import { actor, ALONE, openTurnTest, says, type TurnTest } from '../support/turn-test.ts'

describe('a run whose process died between its answer and its end', () => {
  let t: TurnTest
  beforeEach(async () => {
    t = await openTurnTest()
  })
  afterEach(() => t.close())

  /** A turn that answered and did not get to its end, gone on with. */
  const goOn = async (agent_id: string, answer: StoredMessage | null): Promise<TurnResult> => {
    const run = aRun(agent_id)
    const place = { agent_id, conversation_id: agent_id, run_id: run.id, step_id: null }
    const now = new Date()
    const messages = [inputMessage({ role: 'user', content: 'Hello?' }, place, now)]
    const opened = await t.deps.store.turns.open(actor, { run, conversation_id: agent_id, messages })
    const said = answer ? [{ ...answer, run_id: run.id }] : []
    await t.deps.store.turns.commit(actor, aCommit(opened, run, { messages: said }))
    const events = runTurn(
      {
        actor,
        run,
        conversation_id: agent_id,
        opened: { ...opened, context: [...opened.context, ...said], context_usage: null, added: 0 },
        max_steps: 5,
        stream_tokens: false,
        override_model: null,
        override_system: null,
        logprobs: null,
        client_tools: [],
        client_skills: [],
        follow_ups: [],
        messaging: ALONE,
      },
      t.deps,
      { signal: new AbortController().signal },
    )
    for (;;) {
      const next: IteratorResult<AgentEvent, TurnResult> = await events.next()
      if (next.done) return next.value
    }
  }

  it('is ended, and the model is not asked again', async () => {
    const agent = await t.newAgent()
    const place = { agent_id: agent.id, conversation_id: agent.id, run_id: null, step_id: null }
    const content = [{ type: 'text' as const, text: 'Hello.' }]
    const answer = assistantMessage(`message-${crypto.randomUUID()}`, content, [], 'm', place, new Date())
    t.script = []
    const result = await goOn(agent.id, answer)
    assert.deepEqual([result.status, result.stop_reason], ['completed', 'end_turn'])
    await t.closed(agent.id, result)
  })

  it('is answered when there was no answer yet', async () => {
    const agent = await t.newAgent()
    t.script = [says('Hello.')]
    const result = await goOn(agent.id, null)
    assert.deepEqual([result.stop_reason, result.usage.step_count], ['end_turn', 1])
    assert.deepEqual(await t.roles(agent.id), ['system', 'user', 'assistant'])
  })
})
