import assert from 'node:assert/strict'
import { AppError } from '../../shared/schema/errors.ts'
import { actor, finish, openTurnTest, text, type TurnTest } from '../support/turn-test.ts'

describe('a turn whose store fails', () => {
  let t: TurnTest
  beforeEach(async () => {
    t = await openTurnTest()
  })
  afterEach(() => t.close())

  /** The real store, whose next commits fail as on a full disk. */
  function failCommits(left: number): void {
    t.deps.store = {
      ...t.store,
      turns: new Proxy(t.store.turns, {
        get(target, name) {
          const value: unknown = Reflect.get(target, name)
          if (name === 'commit' && left-- > 0)
            return async () => {
              throw new AppError('store_unavailable', 'the disk is full')
            }
          return typeof value === 'function' ? (value.bind(target) as unknown) : value
        },
      }),
    }
  }

  it('fails a turn whose step cannot be written, and frees the conversation', async () => {
    const agent = await t.newAgent()
    failCommits(1)
    const result = await t.turn(agent.id, [[text('said but not written'), finish()]])
    assert.deepEqual([result.status, result.stop_reason], ['failed', 'error'])
    const kept =
      /run-.*' could not be saved any more.* steps before are kept, and .* the message again\. the disk is full$/
    assert.match(result.error?.message ?? '', kept)
    const last = (await t.stored(agent.id)).at(-1)
    assert.deepEqual(
      last?.content,
      [{ type: 'text', text: 'said but not written' }],
      'what was shown is kept',
    )
    await t.closed(agent.id, result)
  })

  it('ends the turn for its readers also when not even its end can be written', async () => {
    const agent = await t.newAgent()
    failCommits(2)
    const result = await t.turn(agent.id, [[text('lost'), finish()]])
    assert.equal(result.status, 'failed')
    assert.match(result.error?.message ?? '', /the disk is full$/)
    assert.equal(t.failures.length, 1)
  })

  it('writes nothing once another process has taken the conversation over', async () => {
    const agent = await t.newAgent()
    t.script = [
      async function* () {
        yield text('too late')
        await t.store.agents.delete(actor, agent.id)
        yield finish()
      },
    ]
    const result = await (await t.start(agent.id)).done
    assert.deepEqual([result.status, result.stop_reason], ['failed', 'error'])
    assert.equal(result.error?.detail, 'lease_lost')
  })
})
