import type { LociClient } from '../../../shared/client/http.ts'
import type { LettaMessage, StreamItem } from '../../../shared/schema/message.ts'
import {
  addItem,
  type ChatAgent,
  type ChatSnapshot,
  type ChatTurn,
  type HistoryPage,
  type NotificationEnvelope,
  type TurnEnd,
  type UserContent,
} from '../../protocol.ts'

/** What a session needs of the connection. */
export interface ChatServer {
  client(): Promise<LociClient>
  describe(error: unknown): Promise<string>
}

/** Messages of history read at a time. */
const PAGE = 100
/** Pieces of an answer that arrive within this time cross to the webview together, in milliseconds. */
const FLUSH = 16
/** How long a stopped turn may take to end by itself, in milliseconds. */
const STOP_LIMIT = 5_000

interface Turn extends ChatTurn {
  run_id: string | null
  stopping: boolean
  abort: AbortController
}

/**
 * The conversation with one agent, as this window sees it. It outlives the panel that shows it: closing a panel does
 * not stop a turn, and a new panel finds the turn where it is. Every method rejects with what the client throws.
 */
export class ChatSession {
  readonly agentId: string
  readonly #server: ChatServer
  readonly #notify: (news: NotificationEnvelope) => void
  readonly #runs = new Set<string>()
  #turn: Turn | null = null
  #waiting: StreamItem[] = []
  #flushing: NodeJS.Timeout | undefined

  /** `notify` gets what happens, in order, whether anyone looks or not. */
  constructor(agentId: string, server: ChatServer, notify: (news: NotificationEnvelope) => void) {
    this.agentId = agentId
    this.#server = server
    this.#notify = notify
  }

  /** True for runs that this session started: what they change has been told already. */
  isOwnRun(run_id: string): boolean {
    return this.#runs.has(run_id)
  }

  /** The agent, its newest messages and the turn that is under way or has failed. */
  async open(): Promise<ChatSnapshot> {
    const { letta } = await this.#server.client()
    const agent = await readAgent(letta, this.agentId)
    if (!agent) return { agent, history: { messages: [], earlier: false }, turn: null }
    const turn = this.#turn?.end === null || this.#turn?.end.outcome === 'failed' ? this.#turn : null
    const page = await this.#read(letta, undefined)
    // What has been handed over belongs to the copy below, not to the next notification.
    this.#flush()
    return {
      agent,
      history: turn
        ? { ...page, messages: page.messages.filter((message) => !belongsTo(message, turn)) }
        : page,
      turn: turn && { otid: turn.otid, content: turn.content, items: [...turn.items], end: turn.end },
    }
  }

  async earlier(before: string): Promise<HistoryPage> {
    return this.#read((await this.#server.client()).letta, before)
  }

  /** Begins a turn and returns at once; how it goes is notified. Throws when one is under way. */
  send(otid: string, content: UserContent): void {
    if (this.#turn?.end === null) throw new Error('The agent is still answering. Stop it first, or wait.')
    const abort = new AbortController()
    const turn: Turn = { otid, content, items: [], end: null, run_id: null, stopping: false, abort }
    this.#turn = turn
    this.#notify({ kind: 'notification', name: 'turn.started', params: { otid, content } })
    void this.#run(turn)
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
      await letta.agents.messages.cancel(this.agentId, turn.run_id === null ? {} : { run_ids: [turn.run_id] })
    } catch (error) {
      turn.abort.abort()
      // 409: the turn was over before the request came.
      if ((error as { status?: unknown }).status !== 409) throw error
    }
  }

  async #run(turn: Turn): Promise<void> {
    let end: TurnEnd
    try {
      end = await this.#stream(turn)
    } catch (error) {
      end = turn.stopping
        ? { outcome: 'stopped' }
        : { outcome: 'failed', message: streamedFailure(error) ?? (await this.#server.describe(error)) }
    }
    this.#flush()
    turn.end = end
    // Ends the wait of `stop`.
    turn.abort.abort()
    this.#notify({ kind: 'notification', name: 'turn.ended', params: { otid: turn.otid, end } })
  }

  async #stream(turn: Turn): Promise<TurnEnd> {
    const { letta } = await this.#server.client()
    const messages = [{ role: 'user' as const, content: turn.content, otid: turn.otid }]
    const stream = await letta.agents.messages.create(
      this.agentId,
      { messages, streaming: true, stream_tokens: true },
      { signal: turn.abort.signal, maxRetries: 0 },
    )
    let reason: string | null = null
    for await (const chunk of stream) {
      // The SDK types what the server sends; the shapes are those of shared/schema.
      const item = chunk as unknown as StreamItem
      if ('run_id' in item && item.run_id) {
        turn.run_id = item.run_id
        this.#runs.add(item.run_id)
      }
      if (item.message_type === 'stop_reason') reason = item.stop_reason
      if (isShown(item)) this.#hand(turn, item)
    }
    return endOf(reason, turn.stopping)
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
    this.#notify({ kind: 'notification', name: 'turn.items', params: { otid: this.#turn.otid, items } })
  }

  async #read(letta: LociClient['letta'], before: string | undefined): Promise<HistoryPage> {
    const page = await letta.agents.messages.list(this.agentId, {
      limit: PAGE,
      order: 'desc',
      ...(before === undefined ? {} : { before }),
    })
    const items = page.getPaginatedItems() as unknown as LettaMessage[]
    return { messages: items.toReversed(), earlier: items.length >= PAGE }
  }
}

async function readAgent(letta: LociClient['letta'], id: string): Promise<ChatAgent | null> {
  try {
    const { name, model } = await letta.agents.retrieve(id)
    return { id, name, model: model ?? null }
  } catch (error) {
    if ((error as { status?: unknown }).status === 404) return null
    throw error
  }
}

/** The sentence of an error that came inside the stream (`event: error`), which the SDK throws with its body. */
function streamedFailure(thrown: unknown): string | null {
  const body = (thrown as { error?: { message_type?: unknown; message?: unknown } | null } | null)?.error
  return body?.message_type === 'error_message' && typeof body.message === 'string' ? body.message : null
}

function belongsTo(message: LettaMessage, turn: Turn): boolean {
  return message.otid === turn.otid || (turn.run_id !== null && message.run_id === turn.run_id)
}

function isShown(item: StreamItem): boolean {
  return !['ping', 'stop_reason', 'usage_statistics', 'error_message', 'user_message'].includes(
    item.message_type,
  )
}

const FAILURES: Record<string, string> = {
  error: 'The agent ran into an error.',
  llm_api_error: 'The model could not be asked.',
  invalid_llm_response: 'The model answered something that is no answer.',
  invalid_tool_call: 'The model called a tool in a way that cannot be run.',
  max_steps: 'The agent took as many steps as it may for one message. Write "go on" to let it continue.',
  max_tokens_exceeded: 'The answer was cut: it reached the most tokens the model may write.',
  context_window_overflow_in_system_prompt:
    'The memory of the agent alone is larger than the context window of its model. Shorten a block.',
}

/** How the turn ended, by the stream's stop reason; null when the stream ended without one. */
export function endOf(reason: string | null, stopping: boolean): TurnEnd {
  if (reason === 'cancelled' || (reason === null && stopping)) return { outcome: 'stopped' }
  if (reason === null) {
    return { outcome: 'failed', message: 'The connection to the server was lost in mid-answer.' }
  }
  const message = FAILURES[reason]
  return message === undefined ? { outcome: 'done' } : { outcome: 'failed', message }
}
