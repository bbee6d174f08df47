import type { Store } from '../../shared/core/ports/store.ts'
import { DEFAULT_ORGANIZATION_ID, DEFAULT_USER_ID } from '../../shared/schema/ids.ts'
import type { StoredMessage } from '../../shared/schema/message.ts'
import { aBlock, aCommit, aMessage, anAgent, aRun, aStep, DONE } from '../../test/contracts/store/samples.ts'
import { MODEL } from './servers.ts'

/** Whom a server acts for. */
export const ACTOR = { organization_id: DEFAULT_ORGANIZATION_ID, user_id: DEFAULT_USER_ID }

const SYLLABLES = 'ka lo mi ren tu sa vel dor pin ga shi mo tar e lu nes bo ri fa qui'.split(' ')
/** Words of the language that the filled messages are written in. */
const VOCABULARY = 20_000

/**
 * A sentence of so many words; the same number gives the same sentence. As in real text a few words are everywhere (the
 * commonest is one in 27) and most are rare: full-text search costs what its words' lists cost.
 */
export function sentence(seed: number, words = 12): string {
  let state = Math.imul(seed, 0x9e3779b1) >>> 0
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
  next()
  return Array.from({ length: words }, () => wordAt(Math.floor(VOCABULARY * next() ** 3))).join(' ')
}

function wordAt(index: number): string {
  let word = ''
  for (let rest = index; rest > 0 || word === ''; rest = Math.floor(rest / SYLLABLES.length)) {
    word += SYLLABLES[rest % SYLLABLES.length]
  }
  return word
}

/**
 * An agent with one memory block, made through the Store port; gives its id. With `forgets` its context holds the
 * present turn only, however many messages it has.
 */
export async function fillAgent(store: Store, name: string, forgets = false): Promise<string> {
  const now = new Date().toISOString()
  const sample = anAgent(name)
  const agent = await store.agents.create(ACTOR, {
    ...sample,
    agent: {
      ...sample.agent,
      model: MODEL,
      message_buffer_autoclear: forgets,
      created_at: now,
      updated_at: now,
      llm_config: { ...sample.agent.llm_config, model: 'bench', handle: MODEL, context_window: 1_000_000 },
    },
    new_blocks: [aBlock('human', `Knows ${sentence(name.length)}.`)],
  })
  return agent.id
}

/** One turn that leaves `count` messages with the agent, half of them the user's: opened, committed, over. */
export async function fillTurn(store: Store, agent_id: string, count: number, seed: number): Promise<void> {
  const run = aRun(agent_id)
  const message = (i: number): StoredMessage =>
    aMessage(agent_id, i % 2 === 0 ? 'user' : 'assistant', sentence(seed + i), {
      run_id: run.id,
      created_at: new Date().toISOString(),
    })
  const messages = Array.from({ length: count }, (_, i) => message(i))
  const turn = { run, conversation_id: agent_id, messages: messages.slice(0, 1) }
  const opened = await store.turns.open(ACTOR, turn)
  const step = { step: aStep(run), messages: messages.slice(1), finish: DONE }
  const { status } = await store.turns.commit(ACTOR, aCommit(opened, run, step))
  if (status !== 'committed') throw new Error(`a turn of ${agent_id} was not committed: ${status}`)
}

/** Does `work` for 0 … count-1, `width` at a time: writers that wait together share a flush. */
export async function inParallel(
  count: number,
  width: number,
  work: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0
  const workers = Array.from({ length: width }, async () => {
    while (next < count) await work(next++)
  })
  await Promise.all(workers)
}
