import { randomUUID } from 'node:crypto'
import { describeFailure } from '../../shared/client/http.ts'
import { complain, EXIT } from '../failure.ts'
import { bold, dim, plain, wrap, columns } from '../terminal.ts'
import { Answer } from './answer.ts'
import { askApprovals } from './approvals.ts'
import type { TypedLines } from './history.ts'
import type { Keyboard } from './keyboard.ts'
import { type ChatState, completeSlash, runSlash } from './slash.ts'
import { cancelTurn, type Talk, type TurnInput } from './talk.ts'
import { runTurn } from './turn.ts'

/** Thrown where a second Ctrl-C says that the user does not want to wait for the end of the turn. */
const LEAVE = Symbol('leave')

/** A conversation on a terminal. Returns when the user leaves; what fails is said, and the chat goes on. */
export async function chatOnTerminal(talk: Talk, keyboard: Keyboard, typed: TypedLines): Promise<void> {
  const state: ChatState = { talk, keyboard, thoughts: true }
  const { stdout } = process
  const hello = `Talking to ${talk.agent.name}. /help lists commands, Ctrl-D leaves.`
  stdout.write(`${dim(wrap(plain(hello), columns()))}\n`)
  try {
    await answerApprovals(state)
    for (;;) {
      const message = await keyboard.message(`${bold('>')} `, completeSlash)
      if (message === null) return
      const text = message.trim()
      if (text === '') continue
      await typed.add(message)
      try {
        if (text.startsWith('/') && !text.startsWith('//')) {
          if (await slash(state, text)) return
        } else await say(state, text.startsWith('//') ? text.slice(1) : text)
      } catch (error) {
        if (error === LEAVE) throw error
        complain(describeFailure(error, talk.client.url))
      }
    }
  } catch (error) {
    if (error !== LEAVE) throw error
    process.exitCode = EXIT.interrupted
  }
}

/** A command; Ctrl-C goes back to the prompt without waiting for its end. */
async function slash(state: ChatState, line: string): Promise<boolean> {
  const stopped = Promise.withResolvers<boolean>()
  const rest = state.keyboard.work(() => {
    process.stdout.write(`${dim(wrap('(not waited for; it may still happen)', columns()))}\n`)
    stopped.resolve(false)
  })
  try {
    return await Promise.race([runSlash(state, line), stopped.promise])
  } finally {
    rest()
  }
}

async function say(state: ChatState, content: string): Promise<void> {
  // What waits for an approval is answered before anything else is said.
  if ((await answerApprovals(state)) === 'left') return
  await take(state, { role: 'user', content, otid: randomUUID() })
  await answerApprovals(state)
}

/** Asks about the calls that wait, and lets the turn go on, until none waits. */
async function answerApprovals(state: ChatState): Promise<'left' | 'done'> {
  for (;;) {
    const decisions = await askApprovals(state.talk, state.keyboard)
    if (decisions === null) return 'done'
    if (decisions === 'left') {
      process.stdout.write(`${dim(wrap('It waits. You are asked again when you next write.', columns()))}\n`)
      return 'left'
    }
    await take(state, { type: 'approval', approvals: decisions, otid: randomUUID() })
  }
}

/** One turn. Ctrl-C ends it, here and on the server; a second one leaves. */
async function take({ talk, keyboard, thoughts }: ChatState, input: TurnInput): Promise<void> {
  const answer = new Answer({ out: process.stdout, notes: process.stdout, thoughts })
  const stop = new AbortController()
  const leave = Promise.withResolvers<never>()
  const rest = keyboard.work(() => {
    if (stop.signal.aborted) leave.reject(LEAVE)
    else stop.abort()
  })
  const turn = runTurn(talk, input, {
    signal: stop.signal,
    item: (item) => answer.add(item),
    hold: (text) => (text === null ? answer.wait() : answer.note(text)),
    again: () => answer.note('(the server was started anew: this step is taken again)'),
  })
  stop.signal.addEventListener('abort', () => answer.note('(stopping; Ctrl-C again leaves)'), { once: true })
  answer.wait()
  try {
    const reason = await Promise.race([turn, leave.promise])
    answer.end(reason === null || reason === 'cancelled' ? 'stopped' : null)
    // Air between what was said and what is said next.
    process.stdout.write('\n')
  } catch (error) {
    answer.end(null)
    // Nobody waits for it any more.
    if (error === LEAVE) void turn.catch(() => undefined)
    if (error === LEAVE) await Promise.race([cancelTurn(talk, null).catch(() => undefined), soon()])
    throw error
  } finally {
    rest()
  }
}

function soon(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 500).unref())
}
