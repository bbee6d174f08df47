import * as z from 'zod'
import { messageOf } from '../../schema/errors.ts'
import type { Asked } from './commands.ts'
import { readEvents } from './sse-reader.ts'

/** Frames that may wait for the turn before them. */
const MAX_WAITING = 64

const olderFrame = z.discriminatedUnion('type', [
  z.object({ type: z.literal('user_message'), message: z.string(), agent_id: z.string().nullish() }),
  z.object({
    type: z.literal('command'),
    command: z.literal('create_agent'),
    config: z.looseObject({ name: z.string().nullish() }),
  }),
])
type OlderFrame = z.infer<typeof olderFrame>

/** Whether a frame is one of the older clients' (`user_message`, `command`), which have no `id`. */
export function isOlderFrame(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || !('type' in value) || 'id' in value) return false
  return value.type === 'user_message' || value.type === 'command'
}

/**
 * What clients of the WebSocket server before V1 (MemGPT, the first Letta) send, answered as there: one turn after the
 * other, whole messages, agents by id or name.
 */
export class OlderFrames {
  readonly #io: OlderFramesOptions
  #last: Promise<void> = Promise.resolve()
  #waiting = 0

  constructor(io: OlderFramesOptions) {
    this.#io = io
  }

  /** Takes a frame for which `isOlderFrame`. */
  take(value: Record<string, unknown>): void {
    const parsed = olderFrame.safeParse(value)
    if (!parsed.success) {
      const [issue] = parsed.error.issues
      return this.#io.send({ type: 'server_error', message: `${issue?.path.join('.')}: ${issue?.message}` })
    }
    if (this.#waiting >= MAX_WAITING)
      return this.#io.send({ type: 'server_error', message: `${MAX_WAITING} messages wait already` })
    this.#waiting++
    this.#last = this.#last.then(() => this.#answer(parsed.data))
  }

  /** Never rejects. */
  async #answer(frame: OlderFrame): Promise<void> {
    this.#waiting--
    const signal = this.#io.onBegin()
    try {
      if (frame.type === 'command') await this.#create(frame.config, signal)
      else await this.#turn(frame, signal)
    } catch (error) {
      if (!signal.aborted) {
        this.#io.onFailure(error)
        this.#io.send({ type: 'server_error', message: 'the server failed on this, and has logged why' })
      }
    } finally {
      this.#io.onEnd()
    }
  }

  async #create(config: Record<string, unknown>, signal: AbortSignal): Promise<void> {
    const name = config['name'] ?? `agent-${Date.now().toString(36)}`
    const answer = await this.#io.ask({ method: 'POST', path: '/agents', body: { ...config, name } }, signal)
    const status = answer.ok
      ? 'OK: Agent initialized'
      : `Error: Failed to init agent - ${await wordsOf(answer)}`
    const agent_id = answer.ok ? ((await answer.json()) as { id: string }).id : undefined
    this.#io.send({ type: 'command_response', status, ...(agent_id === undefined ? {} : { agent_id }) })
  }

  async #turn(
    { message, agent_id }: Extract<OlderFrame, { type: 'user_message' }>,
    signal: AbortSignal,
  ): Promise<void> {
    const { send, ask } = this.#io
    const named = agent_id ?? this.#io.agent_id
    if (named === null)
      return send({ type: 'agent_response_error', message: 'agent_name was not specified in the request' })
    send({ type: 'agent_response_start' })
    const found = await ask({ method: 'GET', path: `/agents/${encodeURIComponent(named)}` }, signal)
    const answer = found.ok
      ? await ask(turnOf(((await found.json()) as { id: string }).id, message), signal)
      : found
    if (answer.ok && answer.body)
      for await (const { data } of readEvents(answer.body, signal)) {
        for (const frame of data === '[DONE]' ? [] : shown(JSON.parse(data) as Item)) send(frame)
        await this.#io.room()
      }
    else
      send({
        type: 'agent_response_error',
        message: `server.user_message failed with: ${await wordsOf(answer)}`,
      })
    send({ type: 'agent_response_end' })
  }
}

interface OlderFramesOptions {
  /** The agent of a socket for one agent. */
  agent_id: string | null
  ask: (asked: Asked, signal: AbortSignal) => Promise<Response>
  send: (frame: object) => void
  /** Resolves when there is room for more. */
  room: () => Promise<void>
  onFailure: (error: unknown) => void
  /** A turn begins; the signal says that its socket is gone. */
  onBegin: () => AbortSignal
  onEnd: () => void
}

function turnOf(agent_id: string, input: string): Asked {
  return {
    method: 'POST',
    path: `/v1/agents/${agent_id}/messages`,
    body: { input, streaming: true, stream_tokens: false, background: true },
  }
}

interface Item {
  message_type?: string
  content?: string
  reasoning?: string
  tool_call?: { name?: string; arguments?: string }
  tool_return?: unknown
  status?: string
  message?: string
  detail?: string
}

/** An item of a stream as the older clients know it; what they never knew is left out. */
function shown(item: Item): object[] {
  const response = (message_type: string, message: string) => [
    { type: 'agent_response', message_type, message },
  ]
  const call = `${item.tool_call?.name}(${item.tool_call?.arguments})`
  switch (item.message_type) {
    case 'reasoning_message':
      return response('internal_monologue', item.reasoning ?? '')
    case 'assistant_message':
      return response('assistant_message', item.content ?? '')
    case 'tool_call_message':
      return response('function_message', `Running ${call}`)
    case 'approval_request_message':
      return response('function_message', `Waits for approval: ${call}`)
    case 'tool_return_message':
      return response(
        'function_message',
        `${item.status === 'error' ? 'Error' : 'Success'}: ${String(item.tool_return)}`,
      )
    case 'error_message':
      return [{ type: 'agent_response_error', message: item.detail ?? item.message ?? 'the turn failed' }]
    default:
      return []
  }
}

async function wordsOf(answer: Response): Promise<string> {
  const text = await answer.text()
  try {
    const { detail } = JSON.parse(text) as { detail?: unknown }
    return typeof detail === 'string' ? detail : text
  } catch (error) {
    return `${answer.status}, ${messageOf(error)}`
  }
}
