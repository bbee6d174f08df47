import assert from 'node:assert/strict'
import { eventually } from '../support/loci.ts'
import {
  actor,
  call,
  finish,
  openTurnTest,
  type Said,
  SEARCH,
  text,
  type TurnTest,
  untilAborted,
} from '../support/turn-test.ts'

describe('a cancelled turn', () => {
  let t: TurnTest
  beforeEach(async () => {
    t = await openTurnTest()
  })
  afterEach(() => t.close())

  const cancelling = async (agent_id: string, said: Said[], when: () => Promise<unknown>) => {
    t.script = said
    const active = await t.start(agent_id)
    await when()
    active.cancel()
    const result = await active.done
    assert.deepEqual([result.status, result.stop_reason], ['cancelled', 'cancelled'])
    assert.equal(result.error, undefined)
    await t.closed(agent_id, result)
    return result
  }

  it('before the model is asked, while its provider is looked for', async () => {
    const agent = await t.newAgent()
    let release: () => void = () => undefined
    t.resolving = new Promise((resolve) => {
      release = resolve
    })
    t.script = []
    const active = await t.start(agent.id)
    active.cancel()
    const result = await active.done
    assert.equal(result.stop_reason, 'cancelled')
    assert.equal(t.requests.length, 0)
    release()
    await t.closed(agent.id, result)
  })

  it('while the model is silent', async () => {
    const agent = await t.newAgent()
    await cancelling(
      agent.id,
      [
        async function* (_, signal) {
          yield* []
          await untilAborted(signal)
        },
      ],
      () => eventually('the model is asked', () => t.requests[0] ?? null),
    )
    assert.deepEqual((await t.roles(agent.id)).slice(0, 2), ['system', 'user'])
  })

  it('in the middle of an answer, which is kept as far as it came', async () => {
    const agent = await t.newAgent()
    let spoke = false
    const result = await cancelling(
      agent.id,
      [
        async function* (_, signal) {
          yield text('half a ')
          spoke = true
          await untilAborted(signal)
        },
      ],
      () => eventually('it spoke', () => (spoke ? true : null)),
    )
    assert.deepEqual(
      result.messages.map((message) => message.content),
      [[{ type: 'text', text: 'half a ' }]],
    )
  })

  it('in the middle of a tool call, of which nothing is kept', async () => {
    const agent = await t.newAgent()
    let spoke = false
    await cancelling(
      agent.id,
      [
        async function* (_, signal) {
          yield call('memory_insert', '{"lab')
          spoke = true
          await untilAborted(signal)
        },
      ],
      () => eventually('it spoke', () => (spoke ? true : null)),
    )
    assert.equal((await t.store.blocks.list(actor, {}, { limit: 1, order: 'asc' }))[0]?.value, 'a')
  })

  it('while a tool runs that does not listen', async () => {
    const agent = await t.newAgent()
    let running = false
    t.tools = {
      ...t.tools,
      run: async () => {
        running = true
        return new Promise(() => undefined)
      },
    }
    await cancelling(agent.id, [[SEARCH, finish('tool_calls')]], () =>
      eventually('the tool runs', () => (running ? true : null)),
    )
  })

  it('between two steps: the committed one stays', async () => {
    const agent = await t.newAgent()
    const result = await cancelling(
      agent.id,
      [
        [call('memory_insert', { label: 'human', new_string: 'b' }), finish('tool_calls')],
        async function* (_, signal) {
          yield* []
          await untilAborted(signal)
        },
      ],
      () => eventually('the second step', () => t.requests[1] ?? null),
    )
    assert.deepEqual(
      result.messages.map((message) => message.role),
      ['assistant', 'tool'],
    )
    const [block] = await t.store.blocks.list(actor, {}, { limit: 1, order: 'asc' })
    assert.equal(block?.value, 'a\nb')
  })
})
