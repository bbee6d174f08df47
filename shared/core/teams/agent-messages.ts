import type { Agent } from '../../schema/agent.ts'
import { AppError, isAppError } from '../../schema/errors.ts'
import type { MessageCreate } from '../../schema/message.ts'
import type { TurnResult } from '../events.ts'
import type { Actor } from '../ports/actor.ts'
import type { CoreDeps } from '../ports/deps.ts'
import type { AgentMessaging } from '../ports/tools.ts'
import { orAbort } from '../turn/or-abort.ts'
import { type AgentChain, MAX_DEPTH, MAX_HOPS, MAX_RECIPIENTS, nextChain } from './chain.ts'
import { Waits } from './waits.ts'
import { answerOf, messageFrom } from './wording.ts'

/** How often an agent that is busy is asked again, in milliseconds. */
const BUSY_POLL_MS = 150
/** Agents that are read at once while the recipients of a broadcast are looked for. */
const PAGE = 100

/** A turn that one agent asks of another. */
export interface TurnForAgent {
  agent_id: string
  message: MessageCreate
  /** Nobody waits for it: it goes on in another process when this one dies. */
  background: boolean
  chain: AgentChain
}

/** A turn that was begun. */
export interface BegunTurn {
  run_id: string
  /** Never rejects. */
  done: Promise<TurnResult>
  cancel(): void
}

/** The turns of this process, as agents use them. */
export interface TurnsForAgents {
  /** Stores the message and begins the turn; throws as `ActiveRuns.start`. */
  begin(actor: Actor, turn: TurnForAgent): Promise<BegunTurn>
  /** Resolves when this run has ended; null when it is not one of this process. */
  ended(run_id: string): Promise<unknown> | null
}

/** How long agents wait for each other, in milliseconds. */
export interface MessagingLimits {
  /** For an agent that is busy with another turn. */
  busy_ms: number
  /** For an answer; the turn is cancelled then. */
  reply_ms: number
}

/** The turn that sends. */
interface Sender {
  actor: Actor
  agent: Pick<Agent, 'id' | 'name'>
  conversation_id: string
  chain: AgentChain
}

type Recipient = Pick<Agent, 'id' | 'name' | 'agent_type'>

/** Messages between the agents of this process, each a turn in the default conversation of who gets it. */
export class AgentMessages {
  readonly #deps: CoreDeps
  readonly #turns: TurnsForAgents
  readonly #limits: MessagingLimits
  readonly #waits = new Waits()

  constructor(deps: CoreDeps, turns: TurnsForAgents, limits: MessagingLimits) {
    this.#deps = deps
    this.#turns = turns
    this.#limits = limits
  }

  /** What a turn may send. */
  of(sender: Sender): AgentMessaging {
    return {
      ask: async (agent_id, message, { signal }) => {
        const to = await this.#recipient(sender, agent_id)
        this.#allow(sender, to, { waits: true })
        spend(sender.chain, 1)
        return this.#ask(sender, to, message, signal)
      },
      tell: async (agent_id, message, { signal }) => {
        const to = await this.#recipient(sender, agent_id)
        this.#allow(sender, to, { waits: false })
        spend(sender.chain, 1)
        await this.#send(sender, to, message, { waits: false, signal })
      },
      askTagged: async (tags, message, { signal }) => {
        const recipients = await this.#tagged(sender, tags)
        this.#allowDeeper(sender.chain, { waits: true })
        spend(sender.chain, recipients.length)
        return Promise.all(
          recipients.map(async (to) => {
            try {
              return { agent_id: to.id, response: await this.#ask(sender, to, message, signal) }
            } catch (error) {
              if (signal.aborted || !isAppError(error)) throw error
              return { agent_id: to.id, response: `Error: ${error.message}` }
            }
          }),
        )
      },
    }
  }

  async #recipient({ actor }: Sender, agent_id: string): Promise<Recipient> {
    const found = await this.#deps.store.agents.get(actor, agent_id, [])
    if (!found) throw refusal(`there is no agent '${agent_id}'`)
    return found
  }

  /** All but the sender, and those that wait for it. */
  async #tagged(
    { actor, agent, chain }: Sender,
    { all, some }: { all: readonly string[]; some: readonly string[] },
  ): Promise<Recipient[]> {
    if (all.length + some.length === 0) throw refusal('name a tag in match_all or match_some')
    const filter = all.length > 0 ? { tags: [...all], match_all_tags: true } : { tags: [...some] }
    const found: Recipient[] = []
    let after: string | undefined
    for (;;) {
      const page = { limit: PAGE, order: 'asc' as const, ...(after === undefined ? {} : { after }) }
      const agents = await this.#deps.store.agents.list(actor, filter, page, ['agent.tags'])
      found.push(
        ...agents.filter(
          ({ id, tags }) =>
            id !== agent.id &&
            !chain.waiting.includes(id) &&
            (some.length === 0 || some.some((tag) => tags.includes(tag))),
        ),
      )
      after = agents.at(-1)?.id
      if (agents.length < PAGE || found.length > MAX_RECIPIENTS) break
    }
    if (found.length === 0) throw refusal('no other agent has these tags')
    if (found.length > MAX_RECIPIENTS)
      throw refusal(
        `more than ${MAX_RECIPIENTS} agents have these tags; name more tags, to reach fewer of them`,
      )
    return found
  }

  #allow({ agent, chain }: Sender, to: Recipient, how: { waits: boolean }): void {
    if (to.id === agent.id) throw refusal('this is your own id; an agent cannot send a message to itself')
    if (chain.waiting.includes(to.id))
      throw refusal(
        `the agent ${name(to)} waits for your answer in this very turn; what you answer reaches it without a message`,
      )
    this.#allowDeeper(chain, how)
  }

  #allowDeeper(chain: AgentChain, { waits }: { waits: boolean }): void {
    if (waits && chain.waiting.length >= MAX_DEPTH)
      throw refusal(
        `${chain.waiting.length} agents already wait for each other, and you are the last of them; answer without ` +
          'asking a further one',
      )
    if (chain.hops >= MAX_HOPS)
      throw refusal(
        `agents have sent each other ${chain.hops} messages in a row since a user last said something; end your turn ` +
          'and wait for the user',
      )
  }

  async #ask(sender: Sender, to: Recipient, text: string, signal: AbortSignal): Promise<string> {
    return this.#waiting(sender, to, async () => {
      const turn = await this.#sendNow(sender, to, text, { waits: true, signal })
      const limit = AbortSignal.any([signal, AbortSignal.timeout(this.#limits.reply_ms)])
      try {
        return reply(to, await orAbort(turn.done, limit))
      } catch (error) {
        if (!limit.aborted) throw error
        // Nobody reads its answer any more.
        turn.cancel()
        signal.throwIfAborted()
        throw refusal(
          `the agent ${name(to)} did not answer in ${spanOf(this.#limits.reply_ms)}; its turn was cancelled`,
        )
      }
    })
  }

  #send(sender: Sender, to: Recipient, text: string, how: { waits: boolean; signal: AbortSignal }) {
    return this.#waiting(sender, to, () => this.#sendNow(sender, to, text, how))
  }

  /** Begins the turn, as soon as the agent is free. */
  async #sendNow(
    { actor, agent, chain }: Sender,
    to: Recipient,
    text: string,
    { waits, signal }: { waits: boolean; signal: AbortSignal },
  ): Promise<BegunTurn> {
    const { clock } = this.#deps
    const until = clock.monotonic() + this.#limits.busy_ms
    const turn: TurnForAgent = {
      agent_id: to.id,
      message: { role: 'system', content: messageFrom(agent, text, { waits }), sender_id: agent.id },
      background: !waits,
      chain: nextChain(chain, agent.id, { waits }),
    }
    for (;;) {
      signal.throwIfAborted()
      let busy_with: unknown
      try {
        const begun = await this.#turns.begin(actor, turn)
        // Aborted while it was being stored: a turn that is waited for has nobody left who would.
        if (signal.aborted && waits) begun.cancel()
        return begun
      } catch (error) {
        if (!isAppError(error, 'conversation_busy')) throw asRefusal(error, to)
        busy_with = error.data['run_id']
        if (clock.monotonic() >= until)
          throw refusal(
            `the agent ${name(to)} has been busy with another turn for ${spanOf(this.#limits.busy_ms)}, and the message ` +
              'was not sent; try again later',
          )
      }
      await this.#pause(String(busy_with), until, signal)
    }
  }

  /** Until a run has ended, if it is one of this process; else a moment. */
  async #pause(run_id: string, until: number, signal: AbortSignal): Promise<void> {
    const here = this.#turns.ended(run_id)
    const ms = here ? Math.max(0, until - this.#deps.clock.monotonic()) : BUSY_POLL_MS
    let timer: ReturnType<typeof setTimeout> | undefined
    const time = new Promise((resolve) => {
      timer = setTimeout(resolve, ms)
    })
    try {
      await orAbort(Promise.race([time, here ?? time]), signal)
    } finally {
      clearTimeout(timer)
    }
  }

  async #waiting<T>({ conversation_id }: Sender, to: Recipient, work: () => Promise<T>): Promise<T> {
    const end = this.#waits.begin(conversation_id, to.id)
    if (!end)
      throw refusal(
        `the agent ${name(to)} is at work, and its turn waits for this one to end: the message was not sent; end your ` +
          'turn first',
      )
    try {
      return await work()
    } finally {
      end()
    }
  }
}

function spend(chain: AgentChain, messages: number): void {
  if (chain.budget.left < messages)
    throw refusal(
      'the agents have sent each other as many messages as may follow from one message of a user; end your turn and ' +
        'wait for the user',
    )
  chain.budget.left -= messages
}

function reply(to: Recipient, result: TurnResult): string {
  const { status, error, stop_reason, messages } = result
  if (status === 'cancelled')
    throw refusal(`the turn of the agent ${name(to)} was cancelled before it answered`)
  if (status === 'failed')
    throw refusal(`the turn of the agent ${name(to)} failed: ${error?.message ?? stop_reason}`)
  const text = answerOf(to, messages)
  if (stop_reason === 'requires_approval')
    throw refusal(
      `the agent ${name(to)} has to wait for a user to approve a tool call and could not finish` +
        (text === '' ? '' : `; so far it said: ${text}`),
    )
  return text === '' ? '(The agent ended its turn without an answer.)' : text
}

function asRefusal(error: unknown, to: Recipient): unknown {
  if (isAppError(error, 'not_found')) return refusal(`there is no agent '${to.id}' any more`)
  if (isAppError(error, 'pending_approval'))
    return refusal(
      `the agent ${name(to)} waits for a user to approve a tool call and takes no message before; the message was not sent`,
    )
  return error
}

function refusal(text: string): AppError {
  return new AppError('tool_error', text)
}

function name(agent: Pick<Agent, 'id' | 'name'>): string {
  return `${agent.name} (${agent.id})`
}

function spanOf(ms: number): string {
  if (ms < 1000) return `${ms} ms`
  return ms >= 120_000 ? `${Math.round(ms / 60_000)} minutes` : `${Math.round(ms / 1000)} seconds`
}
