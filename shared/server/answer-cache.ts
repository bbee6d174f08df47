import { createHash } from 'node:crypto'
import { compilePrompt } from '../core/prompt.ts'
import type { TurnResult } from '../core/events.ts'
import type { Actor } from '../core/ports/actor.ts'
import { type Agent, CACHE_SECONDS } from '../schema/agent.ts'
import type { LettaResponse } from '../schema/message.ts'
import type { ServerContext } from './context.ts'
import { KeptAnswers } from './kept-answers.ts'

/** Longest time an answer is kept, whatever the agent says. Seconds. */
const MAX_SECONDS = 7 * 86_400
/** Answers that are kept, and their bytes together. */
const MAX_ENTRIES = 1000
const MAX_BYTES = 16_000_000
/** Bytes of one answer. */
const MAX_ANSWER = 1_000_000
const HEADER = 'x-loci-cache'

/** Who asks what. */
interface Question {
  actor: Actor
  context: ServerContext
  request: Request
  agent_id: string
  /** What else the answer depends on: which API was asked, and the body. */
  what: readonly unknown[]
}

/** Tells whether an answer may be kept, once that is known. */
export type Verdict = (may_keep: boolean | Promise<boolean>) => void

/**
 * Answers to questions that leave no trace, kept for agents that ask for it (`CACHE_SECONDS`): off unless they do. An
 * answer is found again only by the same user, with the same body, while the agent is the same: its prompt with its
 * memory and files, its tools, model and settings are part of the key. In memory, of this process.
 */
export class AnswerCache {
  readonly #kept = new KeptAnswers({ entries: MAX_ENTRIES, bytes: MAX_BYTES })

  /**
   * The answer that is kept, or the one that `make` makes, which calls its argument with whether nothing was done but
   * answering. Says in a header which it was. `Cache-Control: no-cache` asks anew, `no-store` keeps nothing.
   */
  async answer(question: Question, make: (verdict: Verdict) => Promise<unknown>): Promise<unknown> {
    const { actor, context, request, agent_id } = question
    const agent = await context.deps.store.agents.get(actor, agent_id, [])
    const seconds = secondsOf(agent)
    if (!agent || seconds === 0) return make(() => undefined)
    const key = await keyOf(question, agent)
    const control = request.headers.get('cache-control') ?? ''
    const now = context.deps.clock.now().getTime()
    const found = /no-cache|no-store/i.test(control) ? null : this.#kept.find(key, now)
    if (found) {
      const age = Math.floor((now - found.stored_at) / 1000)
      const headers = { 'content-type': found.content_type, [HEADER]: 'hit', age: String(age) }
      return new Response(found.body, { headers })
    }
    let may_keep: boolean | Promise<boolean> = false
    const made = await make((verdict) => {
      may_keep = verdict
    })
    const answer = made instanceof Response ? made : Response.json(made ?? null)
    answer.headers.set(HEADER, 'miss')
    if (!answer.ok || !answer.body || /no-store/i.test(control)) return answer
    const keep = async (body: Uint8Array<ArrayBuffer>) => {
      if (!(await may_keep)) return
      const content_type = answer.headers.get('content-type') ?? 'application/json'
      this.#kept.put(key, { body, content_type, stored_at: now, expires_at: now + seconds * 1000 })
    }
    return new Response(answer.body.pipeThrough(copyTo(keep)), answer)
  }
}

/** Passes a body on and hands over its copy at the end, unless it was too long or was broken off. */
function copyTo(keep: (body: Uint8Array<ArrayBuffer>) => Promise<void>) {
  let pieces: Uint8Array[] | null = []
  let size = 0
  return new TransformStream<Uint8Array, Uint8Array>({
    transform(piece, out) {
      size += piece.byteLength
      if (size > MAX_ANSWER) pieces = null
      // A copy: what is passed on belongs to who reads it.
      pieces?.push(piece.slice())
      out.enqueue(piece)
    },
    // Before the end of the body: who asks again after it finds the answer.
    async flush() {
      if (pieces) await keep(new Uint8Array(Buffer.concat(pieces)))
    },
  })
}

/** How long the agent's answers are kept; 0: not at all. */
function secondsOf(agent: Agent | null): number {
  const seconds = agent?.metadata?.[CACHE_SECONDS]
  if (typeof seconds !== 'number' || !Number.isFinite(seconds) || seconds <= 0) return 0
  return Math.min(seconds, MAX_SECONDS)
}

/** Everything that an answer depends on. */
async function keyOf({ actor, context, agent_id, what }: Question, agent: Agent): Promise<string> {
  // With its blocks, tools and files; of the agent itself, as that of a conversation may have another model.
  const seen = await context.deps.store.turns.getContext(actor, agent_id, agent_id)
  const { model, llm_config, model_settings, response_format, agent_type } = agent
  const text = JSON.stringify([
    actor,
    agent_id,
    seen && [compilePrompt(seen.agent), seen.agent.tools, seen.agent.tool_rules],
    { model, llm_config, model_settings, response_format, agent_type },
    what,
  ])
  return createHash('sha256').update(text).digest('base64')
}

/** Whether a turn did nothing but answer: where a tool was called, something may have happened that is to happen again. */
export function onlyAnswered(result: LettaResponse | TurnResult): boolean {
  const reason = typeof result.stop_reason === 'string' ? result.stop_reason : result.stop_reason.stop_reason
  const messages: readonly object[] = result.messages
  return reason === 'end_turn' && !('error' in result) && messages.every(isWords)
}

function isWords(message: object): boolean {
  if ('message_type' in message)
    return /^(assistant|reasoning|hidden_reasoning)_message$/.test(String(message.message_type))
  const { role, tool_calls } = message as { role?: string; tool_calls?: unknown[] | null }
  return role === 'assistant' && (tool_calls ?? []).length === 0
}
