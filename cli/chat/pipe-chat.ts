import { randomUUID } from 'node:crypto'
import { createInterface } from 'node:readline'
import type { StreamItem } from '../../shared/schema/message.ts'
import { EXIT, Failure } from '../failure.ts'
import { Answer } from './answer.ts'
import { type Decision, type Talk, type TurnInput, waitingCalls } from './talk.ts'
import { runTurn } from './turn.ts'

/** One Ctrl-C may arrive twice, this far apart at most, in milliseconds. */
const SAME_SIGNAL = 500

export interface PipeOptions {
  /** The one message; without it, each line of stdin is one. */
  message: string | undefined
  /** Items of the stream, one a line, instead of the agent's words. */
  json: boolean
  /** What is said to calls that wait for an approval; undefined: the chat fails. */
  approve: boolean | undefined
}

/**
 * The answers to messages that nobody types: the agent's words alone on stdout, what it does meanwhile on stderr. A
 * message that fails ends it; Ctrl-C stops the turn, too.
 */
export async function chatInPipe(talk: Talk, options: PipeOptions): Promise<void> {
  const stop = new AbortController()
  let first = 0
  const interrupt = () => {
    const now = performance.now()
    if (stop.signal.aborted) {
      // From the terminal and from the launcher comes one and the same; a later one means it.
      if (now - first > SAME_SIGNAL) process.exit(EXIT.interrupted)
      return
    }
    first = now
    stop.abort()
    process.exitCode = EXIT.interrupted
    process.stdin.destroy()
  }
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt)
  const say = async (content: string) => {
    await settle(talk, options, stop.signal)
    await take(talk, { role: 'user', content, otid: randomUUID() }, options, stop.signal)
    await settle(talk, options, stop.signal)
  }
  try {
    if (options.message !== undefined) return await say(options.message)
    for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
      if (stop.signal.aborted) break
      if (line.trim() !== '') await say(line)
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt)
  }
}

/** Answers what waits for an approval as `--approve` says. Throws a `Failure` where it says nothing. */
async function settle(talk: Talk, options: PipeOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const waiting = await waitingCalls(talk)
    if (!waiting) return
    const { approve } = options
    if (approve === undefined) {
      const names = waiting.calls.map(({ name }) => name).join(', ')
      throw new Failure(
        `${names} waits for an approval, and there is no terminal to ask on. Answer it in loci chat, or say it beforehand with --approve yes or --approve no.`,
      )
    }
    const approvals = waiting.calls.map(({ tool_call_id }): Decision => ({
      type: 'approval',
      tool_call_id,
      approve,
      reason: approve ? null : 'Nobody is there to be asked.',
    }))
    await take(talk, { type: 'approval', approvals, otid: randomUUID() }, options, signal)
  }
}

async function take(talk: Talk, input: TurnInput, { json }: PipeOptions, signal: AbortSignal): Promise<void> {
  const thoughts = process.stderr.isTTY
  const answer = json ? null : new Answer({ out: process.stdout, notes: process.stderr, thoughts })
  let stopped = false
  try {
    const reason = await runTurn(talk, input, {
      signal,
      item: (item) => (answer ? answer.add(item) : printLine(item)),
      hold: (text) => void (text !== null && answer?.note(text)),
      again: () => answer?.note('(the server was started anew: this step is taken again)'),
    })
    stopped = reason === null
  } catch (error) {
    const body = (error as { error?: StreamItem | null } | null)?.error
    if (json && body?.message_type === 'error_message') printLine(body)
    throw error
  } finally {
    answer?.end(stopped ? 'stopped' : null)
  }
}

function printLine(item: StreamItem): void {
  if (item.message_type !== 'ping') process.stdout.write(`${JSON.stringify(item)}\n`)
}
