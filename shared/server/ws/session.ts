import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import { isAppError } from '../../schema/errors.ts'
import { type Asked, authFrame, type Command, parseCommand, requestOf } from './commands.ts'
import { isOlderFrame, OlderFrames } from './older-frames.ts'
import { CLOSE, Peer } from './peer.ts'
import type { SocketLimits } from './sockets.ts'
import { readEvents } from './sse-reader.ts'

/** Commands that one socket may have under way. */
const MAX_COMMANDS = 64
/** Bytes that may come from somebody who has not said yet who asks. */
const UNKNOWN_BYTES = 64 * 1024

const KEY_GONE = 'the key of this socket is not known any more; connect again with another'

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
  /** Hears of what is our fault. */
  onFailure: (where: string, error: unknown) => void
  /** Called once, when the connection is over. */
  onGone: () => void
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
  /** By the command's id; one of an older client has none. */
  readonly #commands = new Map<string | OlderFrames, UnderWay>()
  readonly #heartbeat: NodeJS.Timeout
  #deadline: NodeJS.Timeout | undefined
  #headers: Headers
  #auth: SessionOptions['auth']
  #hasKey: boolean
  /** Frames that wait while a token is looked up; null when none is. */
  #waiting: string[] | null = null
  #older: OlderFrames | null = null
  #stopping = false

  /** `socket` is what `ws` is on. */
  constructor(ws: WebSocket, socket: Socket, options: SessionOptions) {
    const { limits, headers, auth, onGone } = options
    this.#options = options
    this.#headers = headers
    this.#auth = auth
    this.#hasKey = auth === 'given'
    this.#peer = new Peer(ws, socket, {
      limits,
      onText: (text) => this.#receive(text),
      onGone: () => {
        this.#end()
        onGone()
      },
    })
    this.#heartbeat = setInterval(() => this.#beat(), limits.heartbeat_ms)
    this.#heartbeat.unref()
    if (auth === 'needed') this.#expectAuth(socket)
    else this.#ready()
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

  /** Little time and few bytes for somebody unknown. */
  #expectAuth(socket: Socket): void {
    const { auth_ms } = this.#options.limits
    let bytes = 0
    const count = (piece: Buffer) => {
      bytes += piece.length
      if (this.#auth !== 'needed') socket.off('data', count)
      else if (bytes > UNKNOWN_BYTES)
        this.#peer.close(CLOSE.too_big, `at most ${UNKNOWN_BYTES} bytes before it is known who asks`)
    }
    socket.on('data', count)
    this.#deadline = setTimeout(() => {
      this.#peer.close(CLOSE.unauthorized, `no {"type":"auth","token":…} within ${auth_ms / 1000} s`)
    }, auth_ms)
    this.#deadline.unref()
  }

  #receive(text: string): void {
    if (this.#waiting) return void this.#waiting.push(text)
    let id: string | null = null
    try {
      const value = parseJson(text)
      if (isObject(value) && typeof value['id'] === 'string') id = value['id'].slice(0, 128)
      this.#handle(value)
    } catch (error) {
      if (isAppError(error)) this.#fail(id, 422, error.message)
      else this.#broke(id, error)
    }
  }

  #handle(value: unknown): void {
    const isAuth = isObject(value) && value['type'] === 'auth'
    if (this.#auth === 'needed' && !isAuth)
      return this.#peer.close(CLOSE.unauthorized, 'the first frame must be {"type":"auth","token":…}')
    if (isAuth) return this.#authenticate(value)
    this.#auth = 'given'
    if (value === undefined) return this.#fail(null, 400, 'this frame is no JSON')
    if (isOlderFrame(value)) return this.#takeOlder(value)
    this.#take(parseCommand(value))
  }

  #authenticate(value: unknown): void {
    if (this.#auth === 'given')
      return this.#fail(
        null,
        409,
        'a frame of type auth comes first, and only where no header has said who asks',
      )
    const frame = authFrame.safeParse(value)
    const headers = frame.success ? withToken(this.#headers, frame.data) : null
    void this.#lookUp(headers)
  }

  /** Nothing more is read meanwhile; what has come already waits. */
  async #lookUp(headers: Headers | null): Promise<void> {
    const waiting: string[] = []
    this.#waiting = waiting
    this.#peer.pause()
    const isLetIn = await this.#isLetIn(headers)
    this.#waiting = null
    if (!headers || !isLetIn)
      return this.#peer.close(CLOSE.unauthorized, 'this token is not known, or is no longer')
    clearTimeout(this.#deadline)
    this.#headers = headers
    this.#auth = 'given'
    this.#hasKey = true
    this.#ready()
    for (const text of waiting) this.#receive(text)
    this.#peer.resume()
  }

  /** Never rejects: who cannot be looked up is not let in, and told that it is our fault. */
  async #isLetIn(headers: Headers | null): Promise<boolean> {
    if (!headers) return false
    try {
      return await this.#options.isLetIn(headers)
    } catch (error) {
      this.#options.onFailure('looking up who has a WebSocket', error)
      this.#peer.close(CLOSE.failure, 'it could not be looked up who asks; the server has logged why')
      return false
    }
  }

  #beat(): void {
    this.#peer.beat()
    if (this.#hasKey) void this.#lookAgain()
  }

  async #lookAgain(): Promise<void> {
    if (!(await this.#isLetIn(this.#headers))) this.#peer.close(CLOSE.unauthorized, KEY_GONE)
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
    const signal = this.#begin(id, command.type !== 'subscribe')
    void this.#run(command, asked, signal)
  }

  #takeOlder(value: Record<string, unknown>): void {
    const older: OlderFrames = (this.#older ??= new OlderFrames({
      agent_id: this.#options.agent_id,
      ask: (asked, signal) => this.#ask(asked, signal),
      send: (frame) => this.#send(frame),
      room: () => this.#peer.room(),
      onFailure: (error) => this.#options.onFailure('a message over a WebSocket', error),
      onBegin: () => this.#begin(older, true),
      onEnd: () => this.#done(older),
    }))
    if (this.#stopping) this.#fail(null, 503, 'the server stops and takes no more commands')
    else older.take(value)
  }

  #begin(key: string | OlderFrames, is_turn: boolean): AbortSignal {
    const abort = new AbortController()
    this.#commands.set(key, { abort, is_turn })
    return abort.signal
  }

  #done(key: string | OlderFrames): void {
    this.#commands.delete(key)
    this.#closeWhenIdle()
  }

  /** The answer of the API; whoever lost their key meanwhile loses the socket. */
  async #ask({ method, path, body, may_repeat }: Asked, signal: AbortSignal): Promise<Response> {
    const headers = new Headers(this.#headers)
    // As the official client says it.
    if (may_repeat) headers.set('x-stainless-retry-count', '1')
    const answer = await this.#options.fetch(
      new Request(`http://localhost${path}`, {
        method,
        headers,
        signal,
        ...(body ? { body: JSON.stringify(body) } : {}),
      }),
    )
    // After what the command is told.
    if (answer.status === 401) setImmediate(() => this.#peer.close(CLOSE.unauthorized, KEY_GONE))
    return answer
  }

  /** The answer to a command, to its end. Never rejects. */
  async #run(command: Job, asked: Asked, signal: AbortSignal): Promise<void> {
    const { id } = command
    try {
      const answer = await this.#ask(asked, signal)
      if (answer.ok && answer.body && answer.headers.get('content-type')?.startsWith('text/event-stream'))
        await this.#follow(command, answer.body, signal)
      else await this.#tell(id, answer)
    } catch (error) {
      // A command whose socket is gone is cut off in the middle.
      if (!signal.aborted) this.#broke(id, error)
    } finally {
      this.#done(id)
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
    let complete = false
    const isWanted = wantedEvents(command)
    for await (const event of readEvents(body, signal)) {
      if (event.data === '[DONE]') complete = true
      else if (command.type !== 'subscribe')
        this.#peer.send(`{"type":"message","id":${id},"data":${event.data}}`)
      else if (event.event === 'ready') {
        const ready = JSON.parse(event.data) as object
        this.#send({ ...ready, type: 'subscribed', id: command.id, cursor: Number(event.id) })
      } else if (isWanted(event.data))
        this.#peer.send(`{"type":"event","id":${id},"cursor":${event.id},"data":${event.data}}`)
      await this.#peer.room()
      if (signal.aborted || !this.#peer.isOpen) break
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
    clearInterval(this.#heartbeat)
    clearTimeout(this.#deadline)
    for (const { abort } of this.#commands.values()) abort.abort()
  }

  /** Our fault: logged for the owner, and told without what might be private. */
  #broke(id: string | null, error: unknown): void {
    this.#options.onFailure('a command over a WebSocket', error)
    this.#fail(id, 500, 'the server failed on this command, and has logged why')
  }

  #fail(id: string | null, status: number, detail: string): void {
    this.#send({ type: 'error', id, status, detail })
  }

  #send(frame: object): void {
    this.#peer.send(JSON.stringify(frame))
  }
}

/** Null for a token that no header could carry: it is nobody's. */
function withToken(
  before: Headers,
  { token, user_id }: { token: string; user_id?: string | undefined },
): Headers | null {
  const headers = new Headers(before)
  try {
    // Headers are bytes.
    headers.set('authorization', `Bearer ${Buffer.from(token).toString('latin1')}`)
    if (user_id !== undefined) headers.set('user_id', user_id)
    return headers
  } catch {
    return null
  }
}

function wantedEvents(command: Job): (data: string) => boolean {
  const types = command.type === 'subscribe' ? command.types : undefined
  if (!types) return () => true
  const wanted = new Set(types.map((topic) => topic.slice(0, -1)))
  return (data) => wanted.has((JSON.parse(data) as { type: string }).type.split('.', 1)[0] ?? '')
}

/** Undefined for what is none. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
