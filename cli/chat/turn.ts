import { setTimeout as pause } from 'node:timers/promises'
import { refusalOf } from '../../shared/client/http.ts'
import { HANDED_OVER } from '../../shared/schema/handed-over.ts'
import type { StreamItem } from '../../shared/schema/message.ts'
import { Failure } from '../failure.ts'
import { cancelTurn, pathOf, type Talk, type TurnInput } from './talk.ts'

/** Times that a stream may break without a piece of it arriving. */
const BREAKS = 5
/** How long a server that is gone is waited for, and how long between two looks, in milliseconds. */
const BACK_LIMIT = 60_000
const LOOK_EVERY = 300
/** The server numbers what comes after its death beyond such a gap: a step that was under way is taken again. */
const GAP = 10_000

export interface TurnHooks {
  signal: AbortSignal
  item(item: StreamItem): void
  /** The connection is lost, or back again (null). */
  hold(text: string | null): void
  /** What was shown of the step under way is said again. */
  again(): void
}

interface Progress {
  run: string | null
  seq: number
  reason: string | null
}

/**
 * One turn of the agent, streamed to its end over as many connections as it takes. Answers how it ended: a stop reason,
 * or null when the user stopped it, which ends the turn on the server, too. Throws what the client throws.
 */
export async function runTurn(talk: Talk, input: TurnInput, hooks: TurnHooks): Promise<string | null> {
  const progress: Progress = { run: null, seq: 0, reason: null }
  let follow = false
  try {
    for (let breaks = 0; ; breaks++) {
      const before = progress.seq
      let broken: unknown = new Failure(`The connection to ${talk.client.url} was lost in mid-answer.`)
      try {
        await read(await open(talk, input, follow ? progress : null, hooks.signal), progress, hooks)
        if (progress.reason !== null) return progress.reason
      } catch (error) {
        if (hooks.signal.aborted) throw error
        if (isAnswered(error)) {
          // Nobody knows of a run with this message: it never arrived, and is sent again.
          if (!follow || progress.run !== null || refusalOf(error)?.status !== 404) throw error
          follow = false
          continue
        }
        broken = error
      }
      if (progress.seq > before) breaks = 0
      if (!talk.remote || breaks >= BREAKS) throw broken
      await untilBack(talk, hooks, broken)
      follow = true
    }
  } catch (error) {
    if (!hooks.signal.aborted) throw error
    await cancelTurn(talk, progress.run)
    return null
  }
}

/** Begins the turn, or goes on reading the one that was begun. */
async function open(
  talk: Talk,
  input: TurnInput,
  progress: Progress | null,
  signal: AbortSignal,
): Promise<AsyncIterable<StreamItem>> {
  const { path, whose } = pathOf(talk)
  const post = async (to: string, body: object) => {
    const options = { body, stream: true, signal, maxRetries: 0 }
    return (await talk.client.letta.post(to, options)) as AsyncIterable<StreamItem>
  }
  if (progress) {
    const run = progress.run === null ? { otid: input.otid } : { run_id: progress.run }
    return post(`${path}/stream`, { ...whose, ...run, starting_after: progress.seq })
  }
  const body = { messages: [input], streaming: true, stream_tokens: true, include_compaction_messages: true }
  const to = talk.conversation === null ? `/v1/agents/${talk.agent.id}/messages` : `${path}/messages`
  if (!talk.remote) return post(to, body)
  try {
    return await post(to, { ...body, background: true })
  } catch (error) {
    // A V1 server without its Redis has no background runs: it says so before it begins anything.
    const refusal = refusalOf(error)
    if (!refusal || refusal.status < 500 || !/background|redis/i.test(JSON.stringify(refusal.body)))
      throw error
    return post(to, body)
  }
}

async function read(stream: AsyncIterable<StreamItem>, progress: Progress, hooks: TurnHooks): Promise<void> {
  let first = true
  for await (const item of stream) {
    if (first) hooks.hold(null)
    first = false
    if ('run_id' in item && item.run_id) progress.run = item.run_id
    const seq = 'seq_id' in item ? item.seq_id : null
    if (typeof seq === 'number') {
      if (progress.seq > 0 && seq - progress.seq >= GAP) hooks.again()
      progress.seq = seq
    }
    if (item.message_type === 'stop_reason') progress.reason = item.stop_reason
    hooks.item(item)
  }
}

/** Waits until the server answers again. Throws `broken` when it does not in time. */
async function untilBack(talk: Talk, hooks: TurnHooks, broken: unknown): Promise<void> {
  hooks.hold('The connection is lost. The answer goes on when the server is back; Ctrl-C stops waiting.')
  const end = performance.now() + BACK_LIMIT
  while (performance.now() < end) {
    await pause(LOOK_EVERY, undefined, { signal: hooks.signal })
    try {
      await talk.client.health({ signal: hooks.signal })
      return
    } catch (error) {
      if (hooks.signal.aborted) throw error
    }
  }
  throw broken
}

/** Whether the server has said how it ends: a refusal, or an error inside the stream. Else the connection broke. */
function isAnswered(error: unknown): boolean {
  if (refusalOf(error)) return true
  const body = (error as { error?: { message_type?: unknown; detail?: unknown } | null } | null)?.error
  return body?.message_type === 'error_message' && body.detail !== HANDED_OVER
}
