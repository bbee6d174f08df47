import type { LociClient } from '../../../shared/client/http.ts'
import type { LettaMessage, StreamItem } from '../../../shared/schema/message.ts'
import {
  addItem,
  dropStep,
  type ChatAgent,
  type ChatSnapshot,
  type ChatTurn,
  type Decision,
  type Fix,
  type HistoryPage,
  type NotificationEnvelope,
  type Notifications,
  type TurnEnd,
  type UserContent,
} from '../../protocol.ts'
import { createAsideReader } from './aside.ts'
import { conversationCalls, type ChatTarget, type FailedRun, type TurnInput } from './conversation-calls.ts'
import { endOf, failureOf, isAnswered, statusOf } from './turn-end.ts'
import { t } from '../l10n.ts'

type Letta = LociClient['letta']

/** What a session needs of the connection. */
export interface ChatServer {
  client(): Promise<LociClient>
  describe(error: unknown): Promise<string>
}

/** A connection that may come back. */
export interface LastingServer extends ChatServer {
  /** The client as soon as the server is there again. Rejects when nothing brings it back, and on abort. */
  back(signal: AbortSignal): Promise<LociClient>
}

/** Messages of history read at a time. */
const PAGE = 100
/** Pieces of an answer that arrive within this time cross to the webview together, in milliseconds. */
const FLUSH = 16
/** How long a stopped turn may take to end by itself, in milliseconds. */
const STOP_LIMIT = 5_000
/** The server numbers what comes after its death beyond such a gap (RESUME_GAP of its recording). */
const GAP = 10_000
/** Times that a stream may break without a piece of it arriving. */
const BREAKS = 5

interface Turn extends ChatTurn {
  run_id: string | null
  /** Number of the last piece that came. */
  seq: number
  stopping: boolean
  abort: AbortController
}

type Begin = (letta: Letta, signal: AbortSignal) => Promise<AsyncIterable<StreamItem>>

/** Of an agent or conversation that does not exist (any more). */
const GONE: ChatSnapshot = {
  agent: null,
  conversation: null,
  history: { messages: [], earlier: false, aside: [] },
  turn: null,
  pending: null,
}

/**
 * One conversation with an agent, as this window sees it. It outlives what shows it: closing a tab does not stop a turn,
 * and a new one finds the turn where it is. Every method rejects with what the client throws.
 */
export class ChatSession {
  readonly target: ChatTarget
  readonly #server: LastingServer
  readonly #calls: ReturnType<typeof conversationCalls>
  readonly #listeners = new Set<(news: NotificationEnvelope) => void>()
  readonly #runs = new Set<string>()
  readonly #aside = createAsideReader()
  #turn: Turn | null = null
  /** The turn when it failed before this session was there. */
  #found: Turn | null = null
  #waiting: StreamItem[] = []
  #flushing: NodeJS.Timeout | undefined
  #pending: LettaMessage | null = null

  constructor(target: ChatTarget, server: LastingServer) {
    this.target = target
    this.#server = server
    this.#calls = conversationCalls(target)
  }

  /** `listener` gets what happens, in order, until the function that this returns is called. */
  listen(listener: (news: NotificationEnvelope) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** True for runs that this session started or follows: what they change has been told already. */
  isOwnRun(run_id: string): boolean {
    return this.#runs.has(run_id)
  }

  /** The agent, its newest messages and the turn that is under way or has failed. */
  async open(): Promise<ChatSnapshot> {
    const { letta } = await this.#server.client()
    const agent = await orNull(() => readAgent(letta, this.target.agent_id))
    const state = agent && (await orNull(() => this.#calls.read(letta)))
    if (!agent || !state) return GONE
    if (this.#turn?.end !== null) await this.#join(letta)
    const messages = await this.#calls.messages(letta, PAGE, undefined)
    // Deleted in between: no messages then does not mean that there were none.
    if (messages.length === 0 && !(await orNull(() => readAgent(letta, this.target.agent_id)))) return GONE
    const aside = this.#aside.newest(messages, state.in_context_message_ids)
    if (this.#turn === this.#found) {
      await this.#findFailed(
        letta,
        messages.filter(({ id }) => !aside.includes(id)),
      )
    }
    const turn = this.#turn?.end?.outcome === 'done' ? null : this.#turn
    const pending = state.pending_request_id
    this.#pending = messages.find((one) => one.id === pending && isRequest(one)) ?? null
    // What has been handed over belongs to the copy below, not to the next notification.
    this.#flush()
    const own = turn ? messages.filter((message) => belongsTo(message, turn)) : []
    if (turn && turn.content === null) adoptQuestion(turn, own)
    const { conversation_id } = this.target
    return {
      agent,
      conversation: conversation_id === null ? null : { id: conversation_id, summary: state.summary },
      history: {
        messages: messages.filter((message) => !own.includes(message)),
        earlier: messages.length >= PAGE,
        aside,
      },
      turn: turn && shownTurn(turn),
      pending: turn?.end === null ? null : pending,
    }
  }

  async earlier(before: string): Promise<HistoryPage> {
    const messages = await this.#calls.messages((await this.#server.client()).letta, PAGE, before)
    return { messages, earlier: messages.length >= PAGE, aside: this.#aside.earlier(messages) }
  }

  /** All messages, oldest first. */
  async all(): Promise<LettaMessage[]> {
    const { letta } = await this.#server.client()
    const pages: LettaMessage[][] = []
    for (let before: string | undefined; ;) {
      const page = await this.#calls.messages(letta, 1000, before)
      pages.unshift(page)
      if (page.length < 1000) return pages.flat()
      before = page[0]?.id
    }
  }

  /** Begins a turn and returns at once; how it goes is notified. Throws when one is under way. */
  send(otid: string, content: UserContent): void {
    this.#begin({ otid, content }, (letta, signal) =>
      this.#calls.send(letta, [{ role: 'user', content, otid }], signal),
    )
  }

  /** Sends a message of the user in other words, or as it was, in its place. */
  edit(otid: string, message_id: string, content: UserContent | null): void {
    const input: TurnInput | null = content === null ? null : { role: 'user', content, otid }
    this.#begin({ otid, content, replaces: message_id }, (letta, signal) =>
      this.#calls.edit(letta, message_id, input, signal),
    )
  }

  /** Answers what waits for an approval; `always` are tools whose calls shall not wait any more. */
  async decide(otid: string, decisions: Decision[], always: readonly string[]): Promise<void> {
    this.#refuseSecond()
    const { letta } = await this.#server.client()
    for (const name of always) await this.#askNoMore(letta, name)
    const approvals = decisions.map((one) => ({ type: 'approval' as const, ...one }))
    this.#begin({ otid, content: null }, (client, signal) =>
      this.#calls.send(client, [{ type: 'approval', approvals, otid }], signal),
    )
  }

  /** Begins the turn that failed again, after what `fix` says. */
  async retry(otid: string, fix: Fix | null): Promise<void> {
    const failed = this.#turn
    if (failed?.end?.outcome !== 'failed') throw new Error(t('There is no failed message to send again.'))
    const { letta } = await this.#server.client()
    if (fix === 'compact') await this.#calls.compact(letta)
    if (fix === 'stop-other') await this.#calls.cancel(letta, null).catch(unlessOver)
    if (fix === 'go-on') return this.send(otid, 'Go on.')
    const { content } = failed
    if (content === null) throw new Error(t('Write a message to go on.'))
    if (fix === 'deny') return this.#denyAndSend(letta, otid, content)
    const stored = (await this.#calls.messages(letta, PAGE, undefined)).find(
      (message) => message.message_type === 'user_message' && belongsTo(message, failed),
    )
    if (!stored) return this.send(otid, content)
    const input: TurnInput = { role: 'user', content, otid }
    this.#begin({ otid, content, replaces: stored.id }, (client, signal) =>
      this.#calls.edit(client, stored.id, input, signal).catch((error: unknown) => {
        // It has left the context with the failure: there is nothing to take the place of.
        if (statusOf(error) !== 409 || failureOf(error)?.fix !== null) throw error
        return this.#calls.send(client, [input], signal)
      }),
    )
  }

  /** Ends the turn under way, on the server. A turn that does not end soon after is left alone and not shown further. */
  async stop(): Promise<void> {
    const turn = this.#turn
    if (turn?.end !== null) return
    turn.stopping = true
    const { letta } = await this.#server.client()
    const limit = setTimeout(() => turn.abort.abort(), STOP_LIMIT)
    turn.abort.signal.addEventListener('abort', () => clearTimeout(limit))
    try {
      await this.#calls.cancel(letta, turn.run_id)
    } catch (error) {
      turn.abort.abort()
      unlessOver(error)
    }
  }

  /** A new conversation that ends with this message; its id. */
  async fork(message_id: string): Promise<string> {
    return this.#calls.fork((await this.#server.client()).letta, message_id)
  }

  /** Makes this message the last one that the model sees. */
  async rewind(message_id: string): Promise<void> {
    await this.#calls.rewind((await this.#server.client()).letta, message_id)
  }

  /** A run of this conversation has begun elsewhere, or has ended: follows it, or has the chat read again. */
  async runChanged(): Promise<void> {
    if (this.#turn?.end === null || this.#listeners.size === 0) return
    this.#notify('chat.stale', null)
  }

  #begin(given: Pick<ChatTurn, 'otid' | 'content'> & Partial<ChatTurn>, begin: Begin): void {
    this.#refuseSecond()
    const turn = newTurn(given)
    this.#turn = turn
    this.#notify('turn.started', { otid: turn.otid, content: turn.content, replaces: turn.replaces })
    void this.#run(turn, begin)
  }

  #refuseSecond(): void {
    if (this.#turn?.end === null) {
      throw new Error(t('The agent is still answering. Stop it first, or wait.'))
    }
  }

  /** Follows the turn that runs already, begun by another window or by this one before it was reloaded. */
  async #join(letta: Letta): Promise<void> {
    const run = await this.#calls.activeRun(letta)
    if (!run || this.#turn?.end === null) return
    const turn = newTurn({ otid: run.id, content: null })
    turn.run_id = run.id
    this.#runs.add(run.id)
    this.#turn = turn
    if (!run.background) turn.hold = t('It runs elsewhere; its answer is shown when it is whole.')
    const begin: Begin = run.background
      ? (client, signal) => this.#calls.follow(client, { run_id: run.id }, 0, signal)
      : (client, signal) => Promise.resolve(untilEnd(client, run.id, signal))
    void this.#run(turn, begin)
  }

  /** The last turn, when it failed elsewhere or before the window was opened: why, and what helps. */
  async #findFailed(letta: Letta, messages: readonly LettaMessage[]): Promise<void> {
    const before = this.#turn
    const run = await this.#calls.failedRun(letta)
    if (this.#turn !== before) return
    this.#turn = this.#found = run && turnOf(run, messages)
  }

  async #denyAndSend(letta: Letta, otid: string, content: UserContent): Promise<void> {
    const state = await this.#calls.read(letta)
    const messages = await this.#calls.messages(letta, PAGE, undefined)
    const asked = messages.find((one) => one.id === state.pending_request_id && isRequest(one))
    const reason = 'The user went on with another message.'
    const approvals = callsOf(asked).map(({ tool_call_id }) => ({
      type: 'approval' as const,
      tool_call_id,
      approve: false,
      reason,
    }))
    const input: TurnInput[] = approvals.length > 0 ? [{ type: 'approval', approvals }] : []
    this.#begin({ otid, content }, (client, signal) =>
      this.#calls.send(client, [...input, { role: 'user', content, otid }], signal),
    )
  }

  /** Calls of this tool run without an approval from now on. */
  async #askNoMore(letta: Letta, name: string): Promise<void> {
    const { agent_id } = this.target
    const body = { requires_approval: false }
    await letta.patch(`/v1/agents/${agent_id}/tools/approval/${encodeURIComponent(name)}`, { body })
    // With a reason it is not the agent that asks: the tool does, for want of a wall around it.
    const asked = this.#pending as { reason?: string } | null
    if (asked?.reason === undefined) return
    const agent = await letta.agents.retrieve(agent_id, { include: ['agent.tools'] })
    const tool = agent.tools.find((one) => one.name === name)
    if (tool) await letta.tools.update(tool.id, { default_requires_approval: false })
  }

  async #run(turn: Turn, begin: Begin): Promise<void> {
    let end: TurnEnd
    try {
      end = await this.#stream(turn, begin)
    } catch (error) {
      end = turn.stopping ? { outcome: 'stopped' } : await this.#failed(turn, error)
    }
    this.#flush()
    turn.end = end
    turn.hold = null
    // Ends the wait of `stop`.
    turn.abort.abort()
    this.#notify('turn.ended', { otid: turn.otid, end })
  }

  async #failed(turn: Turn, error: unknown): Promise<TurnEnd> {
    const { message, fix } = failureOf(error) ?? { message: await this.#server.describe(error), fix: null }
    return { outcome: 'failed', message, fix: fix ?? (turn.content === null ? 'go-on' : null) }
  }

  /** Reads the turn to its end, over as many connections as it takes. */
  async #stream(turn: Turn, begin: Begin): Promise<TurnEnd> {
    let next = begin
    for (let breaks = 0; ; breaks++) {
      const before = turn.seq
      let broken: unknown
      try {
        const { letta } = await this.#server.client()
        const reason = await this.#read(turn, await next(letta, turn.abort.signal))
        if (reason !== null || turn.stopping) return endOf(reason, turn.stopping)
        broken = new Error(t('The connection to the server was lost in mid-answer.'))
      } catch (error) {
        if (isAnswered(error) || turn.abort.signal.aborted) throw neverArrived(error, turn) ?? error
        broken = error
      }
      if (turn.seq > before) breaks = 0
      if (breaks >= BREAKS) throw broken
      this.#hold(turn, t('The connection to the server is lost. The answer goes on when it is back.'))
      await this.#server.back(turn.abort.signal)
      const run = turn.run_id === null ? { otid: turn.otid } : { run_id: turn.run_id }
      next = (letta, signal) => this.#calls.follow(letta, run, turn.seq, signal)
    }
  }

  async #read(turn: Turn, stream: AsyncIterable<StreamItem>): Promise<string | null> {
    let reason: string | null = null
    for await (const item of stream) {
      if (turn.hold !== null && item.message_type !== 'ping') this.#hold(turn, null)
      if ('run_id' in item && item.run_id) {
        turn.run_id = item.run_id
        this.#runs.add(item.run_id)
      }
      const seq = 'seq_id' in item ? item.seq_id : null
      const gap = typeof seq === 'number' && turn.seq > 0 && seq - turn.seq >= GAP
      if (typeof seq === 'number') turn.seq = seq
      if (item.message_type === 'stop_reason') reason = item.stop_reason
      if (!isShown(item)) continue
      if (gap) this.#dropUnfinished(turn, item)
      this.#hand(turn, item)
    }
    return reason
  }

  /** The step that was under way when its server died is taken again from its beginning. */
  #dropUnfinished(turn: Turn, next: StreamItem): void {
    const last = turn.items.at(-1)
    if (!last || !('step_id' in last) || last.message_type === 'tool_return_message') return
    const { step_id } = last
    if (step_id === null || !('step_id' in next) || next.step_id === step_id) return
    this.#flush()
    dropStep(turn.items, step_id)
    this.#notify('turn.items', { otid: turn.otid, items: [], drop: step_id })
  }

  #hold(turn: Turn, hold: string | null): void {
    turn.hold = hold
    this.#notify('turn.held', { otid: turn.otid, hold })
  }

  #hand(turn: Turn, item: StreamItem): void {
    addItem(turn.items, item)
    addItem(this.#waiting, item)
    this.#flushing ??= setTimeout(() => this.#flush(), FLUSH)
  }

  #flush(): void {
    clearTimeout(this.#flushing)
    this.#flushing = undefined
    const items = this.#waiting
    if (items.length === 0 || !this.#turn) return
    this.#waiting = []
    this.#notify('turn.items', { otid: this.#turn.otid, items })
  }

  #notify<N extends keyof Notifications>(name: N, params: Notifications[N]): void {
    const news = { kind: 'notification', name, params } as NotificationEnvelope
    for (const listener of this.#listeners) listener(news)
  }
}

function newTurn(given: Pick<ChatTurn, 'otid' | 'content'> & Partial<ChatTurn>): Turn {
  return {
    items: [],
    end: null,
    replaces: null,
    hold: null,
    ...given,
    run_id: null,
    seq: 0,
    stopping: false,
    abort: new AbortController(),
  }
}

function shownTurn({ otid, content, items, end, replaces, hold }: Turn): ChatTurn {
  return { otid, content, items: [...items], end, replaces, hold }
}

/** A turn that was begun elsewhere gets its question from the history. */
function adoptQuestion(turn: Turn, own: readonly LettaMessage[]): void {
  const asked = own.find((message) => message.message_type === 'user_message')
  if (asked?.message_type === 'user_message') turn.content = asked.content as UserContent
}

/** A failed run as the turn that it was; null when its question is not there. */
function turnOf(run: FailedRun, messages: readonly LettaMessage[]): Turn | null {
  const own = messages.filter(({ run_id }) => run_id === run.id)
  const asked = own.find(({ message_type }) => message_type === 'user_message')
  if (!asked) return null
  const turn = newTurn({ otid: asked.otid ?? run.id, content: null })
  adoptQuestion(turn, own)
  const { message, detail, stop_reason } = run
  const said = failureOf({ error: { message_type: 'error_message', message, detail } })
  const items = own.filter((one) => one !== asked) as StreamItem[]
  return {
    ...turn,
    run_id: run.id,
    items,
    end: said ? { outcome: 'failed', ...said } : endOf(stop_reason, false),
  }
}

async function readAgent(letta: Letta, id: string): Promise<ChatAgent> {
  const { name, model } = await letta.agents.retrieve(id)
  return { id, name, model: model ?? null }
}

async function orNull<T>(read: () => Promise<T>): Promise<T | null> {
  try {
    return await read()
  } catch (error) {
    if (statusOf(error) === 404) return null
    throw error
  }
}

/** A run that cannot be followed is waited for; it says nothing but that it has ended. */
async function* untilEnd(client: Letta, run_id: string, signal: AbortSignal): AsyncGenerator<StreamItem> {
  for (;;) {
    const run = await client.runs.retrieve(run_id)
    if (run.status !== 'created' && run.status !== 'running') {
      const stop_reason = run.stop_reason ?? 'end_turn'
      yield { message_type: 'stop_reason', stop_reason }
      return
    }
    await new Promise((resolve) => setTimeout(resolve, 500))
    signal.throwIfAborted()
  }
}

/** 404 to the question for the run of a message: it was lost on its way, and nothing of it was stored. */
function neverArrived(error: unknown, turn: Turn): Error | null {
  if (turn.run_id !== null || turn.hold === null || statusOf(error) !== 404) return null
  return new Error(t('The server stopped before this message reached it. Nothing of it was stored.'))
}

/** 409: the turn was over before the request came. */
function unlessOver(error: unknown): void {
  if (statusOf(error) !== 409) throw error
}

function isRequest(message: LettaMessage): boolean {
  return message.message_type === 'approval_request_message'
}

function callsOf(message: LettaMessage | undefined): { tool_call_id: string }[] {
  if (message?.message_type !== 'approval_request_message') return []
  return Array.isArray(message.tool_calls) ? message.tool_calls : []
}

function belongsTo(message: LettaMessage, turn: Turn): boolean {
  return message.otid === turn.otid || (turn.run_id !== null && message.run_id === turn.run_id)
}

function isShown(item: StreamItem): boolean {
  return !['ping', 'stop_reason', 'usage_statistics', 'error_message', 'user_message'].includes(
    item.message_type,
  )
}
