import type { Duplex } from 'node:stream'
import { isAppError, messageOf } from '../../schema/errors.ts'
import { authFrame, type Command, parseCommand, requestOf } from './commands.ts'
import { CLOSE, Peer, type SocketLimits } from './peer.ts'
import { readEvents } from './sse-reader.ts'

/** Commands that one socket may have under way. */
const MAX_COMMANDS = 64
/** Bytes that the first frame may have of who has not said yet who asks. */
const AUTH_FRAME_BYTES = 64 * 1024

export interface SessionOptions {
  limits: SocketLimits
  /** The agent of a socket for one agent. */
  agent_id: string | null
  /** What every request of this socket carries: of the handshake its Host, Origin, and who asks. */
  headers: Headers
  /** `needed`: the first frame has to say who asks; `possible`: it may; `given`: the handshake said it. */
  auth: 'needed' | 'possible' | 'given'
  /** Whether requests with these headers are let in. */
  isLetIn: (headers: Headers) => Promise<boolean>
  /** The API with its gate. Never rejects. */
  fetch: (request: Request) => Promise<Response>
}

type Job = Exclude<Command, { type: 'stop' | 'ping' }>
interface UnderWay {
  abort: AbortController
  /** A turn, whose end a server that stops waits for. */
  is_turn: boolean
}

/** One open socket: commands become requests to the API, and their answers frames with the command's `id`. */
export class Session {
  readonly #options: SessionOptions
  readonly #peer: Peer
  readonly #commands = new Map<string, UnderWay>()
  readonly #deadline: NodeJS.Timeout | undefined
  #headers: Headers
  #auth: SessionOptions['auth']
  /** Frames are looked at in their order, also while the first one is being checked. */
  #turn: Promise<void> = Promise.resolve()
  #queued = 0
  #stopping = false

  constructor(socket: Duplex, head: Buffer, options: SessionOptions) {
    const { limits } = options
    this.#options = options
    this.#headers = options.headers
    this.#auth = options.auth
    this.#peer = new Peer(socket, {
      limits,
      limit: () =>
        this.#auth === 'needed' ? Math.min(AUTH_FRAME_BYTES, limits.message_bytes) : limits.message_bytes,
      onText: (text) => this.#queue(text),
    })
    this.#peer.gone.addEventListener('abort', () => this.#end(), { once: true })
    if (this.#auth === 'needed') {
      this.#deadline = setTimeout(() => {
        const reason = `no {"type":"auth","token":…} within ${limits.auth_ms / 1000} s`
        this.#peer.close(CLOSE.unauthorized, reason)
      }, limits.auth_ms)
      this.#deadline.unref()
    } else this.#ready()
    this.#peer.begin(head)
  }

  get gone(): AbortSignal {
    return this.#peer.gone
  }

  /** Takes no more commands, and closes when no turn is followed any more. */
  stop(): void {
    this.#stopping = true
    this.#closeWhenIdle()
  }

  /** Closes now. */
  close(): void {
    this.#peer.close(CLOSE.going_away, 'the server stops; connect again and resume by run_id and seq_id')
  }

  #closeWhenIdle(): void {
    if (this.#stopping && ![...this.#commands.values()].some(({ is_turn }) => is_turn)) this.close()
  }

  #ready(): void {
    const { agent_id, limits } = this.#options
    this.#send({ type: 'ready', agent_id, heartbeat_seconds: limits.heartbeat_ms / 1000 })
  }

  #queue(text: string): void {
    // Commands may follow the token at once, but what is kept of somebody unknown is little.
    if (this.#queued >= MAX_COMMANDS)
      return this.#peer.close(CLOSE.unauthorized, 'too many frames before the one of type auth was answered')
    this.#queued++
    this.#turn = this.#turn
      .then(() => this.#receive(text))
      .catch((error: unknown) => this.#fail(null, 500, messageOf(error)))
      .finally(() => {
        this.#queued--
      })
  }

  async #receive(text: string): Promise<void> {
    if (this.gone.aborted) return
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      value = undefined
    }
    const isAuth = isObject(value) && value['type'] === 'auth'
    if (this.#auth === 'needed' && !isAuth)
      return this.#peer.close(CLOSE.unauthorized, 'the first frame must be {"type":"auth","token":…}')
    if (isAuth) return this.#authenticate(value)
    const id = isObject(value) && typeof value['id'] === 'string' ? value['id'].slice(0, 128) : null
    if (value === undefined) return this.#fail(null, 400, 'this frame is no JSON')
    this.#auth = 'given'
    try {
      this.#take(parseCommand(value))
    } catch (error) {
      if (!isAppError(error)) throw error
      this.#fail(id, 422, error.message)
    }
  }

  async #authenticate(value: unknown): Promise<void> {
    if (this.#auth === 'given')
      return this.#fail(
        null,
        409,
        'a frame of type auth comes first, and only where no header has said who asks',
      )
    const frame = authFrame.safeParse(value)
    const headers = new Headers(this.#headers)
    if (frame.success) setToken(headers, frame.data)
    if (!frame.success || !headers.has('authorization') || !(await this.#options.isLetIn(headers)))
      return this.#peer.close(CLOSE.unauthorized, 'this token is not known, or is no longer')
    clearTimeout(this.#deadline)
    this.#headers = headers
    this.#auth = 'given'
    this.#ready()
  }

  #take(command: Command): void {
    const { id } = command
    if (command.type === 'ping') return this.#send({ type: 'pong', id })
    if (this.#commands.has(id))
      return this.#fail(id, 409, `a command with the id '${id}' is under way, and goes on; choose another id`)
    if (command.type === 'stop') return this.#stopFollowing(id, command.target)
    if (this.#stopping) return this.#fail(id, 503, 'the server stops and takes no more commands')
    if (this.#commands.size >= MAX_COMMANDS)
      return this.#fail(id, 429, `${MAX_COMMANDS} commands are under way, which is all that a socket takes`)
    const asked = requestOf(command, this.#options.agent_id)
    const abort = new AbortController()
    this.#commands.set(id, { abort, is_turn: command.type !== 'subscribe' })
    const request = new Request(`http://localhost${asked.path}`, {
      method: asked.method,
      headers: this.#headers,
      signal: abort.signal,
      ...(asked.body ? { body: JSON.stringify(asked.body) } : {}),
    })
    void this.#run(command, request, abort.signal)
  }

  /** The answer to a command, to its end. */
  async #run(command: Job, request: Request, signal: AbortSignal): Promise<void> {
    const { id } = command
    try {
      const answer = await this.#options.fetch(request)
      if (answer.ok && answer.body && answer.headers.get('content-type')?.startsWith('text/event-stream'))
        await this.#follow(command, answer.body, signal)
      else await this.#tell(id, answer)
    } catch (error) {
      this.#fail(id, 500, messageOf(error))
    } finally {
      this.#commands.delete(id)
      this.#closeWhenIdle()
    }
  }

  async #tell(id: string, answer: Response): Promise<void> {
    const text = await answer.text()
    await this.#peer.room()
    const body: unknown = text === '' ? null : JSON.parse(text)
    if (answer.ok) return this.#send({ type: 'result', id, status: answer.status, body })
    const detail = isObject(body) && typeof body['detail'] === 'string' ? body['detail'] : 'refused; see body'
    const wait = Number(answer.headers.get('retry-after') ?? 0)
    this.#send({
      type: 'error',
      id,
      status: answer.status,
      detail,
      body,
      ...(wait > 0 ? { retry_after_seconds: wait } : {}),
    })
  }

  async #follow(command: Job, body: ReadableStream<Uint8Array>, signal: AbortSignal): Promise<void> {
    const id = JSON.stringify(command.id)
    const reader = body.getReader()
    // A source that waits is woken by nothing but this.
    const leave = () => void reader.cancel().catch(() => undefined)
    signal.addEventListener('abort', leave, { once: true })
    if (signal.aborted) leave()
    let complete = false
    const isWanted = wantedEvents(command)
    try {
      for await (const event of readEvents(reader)) {
        if (event.data === '[DONE]') complete = true
        else if (command.type !== 'subscribe')
          this.#peer.send(`{"type":"message","id":${id},"data":${event.data}}`)
        else if (event.event === 'ready')
          this.#send({
            ...(JSON.parse(event.data) as object),
            type: 'subscribed',
            id: command.id,
            cursor: Number(event.id),
          })
        else if (isWanted(event.data))
          this.#peer.send(`{"type":"event","id":${id},"cursor":${event.id},"data":${event.data}}`)
        await this.#peer.room()
        if (signal.aborted) break
      }
    } finally {
      signal.removeEventListener('abort', leave)
      leave()
    }
    this.#send({ type: 'done', id: command.id, complete })
  }

  #stopFollowing(id: string, target: string): void {
    const found = this.#commands.get(target)
    if (!found) return this.#fail(id, 404, `no command with the id '${target.slice(0, 128)}' is under way`)
    found.abort.abort()
    this.#send({ type: 'result', id, status: 200, body: { stopped: target } })
  }

  #end(): void {
    clearTimeout(this.#deadline)
    for (const { abort } of this.#commands.values()) abort.abort()
  }

  #fail(id: string | null, status: number, detail: string): void {
    this.#send({ type: 'error', id, status, detail })
  }

  #send(frame: object): void {
    this.#peer.send(JSON.stringify(frame))
  }
}

function setToken(
  headers: Headers,
  { token, user_id }: { token: string; user_id?: string | undefined },
): void {
  try {
    // Headers are bytes.
    headers.set('authorization', `Bearer ${Buffer.from(token).toString('latin1')}`)
    if (user_id !== undefined) headers.set('user_id', user_id)
  } catch {
    // No header could carry it, so it is nobody's.
    headers.delete('authorization')
  }
}

function wantedEvents(command: Job): (data: string) => boolean {
  const types = command.type === 'subscribe' ? command.types : undefined
  if (!types) return () => true
  const wanted = new Set(types.map((topic) => topic.slice(0, -1)))
  return (data) => wanted.has((JSON.parse(data) as { type: string }).type.split('.', 1)[0] ?? '')
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
