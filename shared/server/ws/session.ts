import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import { isAppError } from '../../schema/errors.ts'
import { HANDED_OVER } from '../../schema/handed-over.ts'
import { isId } from '../../schema/ids.ts'
import { agentNamed, type Asked, authFrame, type Command, parseCommand, requestOf } from './commands.ts'
import type { ServerSentEvent } from '../sse.ts'
import { isOlderFrame, OlderFrames } from './older-frames.ts'
import { CLOSE, Peer } from './peer.ts'
import type { SocketLimits } from './sockets.ts'
import { readEvents } from './sse-reader.ts'

/** Commands that one socket may have under way. */
const MAX_COMMANDS = 64
/** Bytes that may come from somebody who has not said yet who asks. */
const UNKNOWN_BYTES = 64 * 1024
/** How long the agent of a socket may be looked for, in milliseconds. */
const FIND_MS = 30_000

const KEY_GONE = 'the key of this socket is not known any more; connect again with another'

export interface SessionOptions {
  limits: SocketLimits
  /** The agent of a socket for one agent: its id or name. */
  agent: string | null
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
  /** The id of the agent of this socket; and why there is none where it was asked for one. */
  #own: string | null = null
  #missing: string | null = null

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
    else void this.#hold(() => this.#greet())
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

  /** Says that commands are taken, or that the agent of this socket is not there. Never rejects; false: it is closed. */
  async #greet(): Promise<boolean> {
    const { agent, limits } = this.#options
    const refused = agent === null ? null : await this.#findOwn(agent)
    this.#missing = refused
    if (refused === null) {
      this.#send({ type: 'ready', agent_id: this.#own, heartbeat_seconds: limits.heartbeat_ms / 1000 })
      return true
    }
    // Where a token may still come, that may be the one of whoever has this agent.
    if (this.#auth === 'possible') return true
    this.#peer.close(CLOSE.not_found, 'this socket is for an agent that is not there')
    return false
  }

  /** Looks for the agent of this socket. What it tells of one that is not there is told to the client, too. */
  async #findOwn(agent: string): Promise<string | null> {
    try {
      const answer = await this.#ask(byName(agent), AbortSignal.timeout(FIND_MS))
      this.#own = answer.ok ? ((await answer.json()) as { id: string }).id : agent
      // Some may speak to an agent that they may not look up.
      if (answer.ok || (isId('agent', agent) && answer.status !== 404)) return null
      return await this.#tell(null, answer)
    } catch (error) {
      this.#broke(null, error)
      return 'the agent of this socket could not be looked up; connect again'
    }
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
    void this.#hold(() => this.#lookUp(headers))
  }

  /** Nothing more is read meanwhile; what has come already waits. `work` answers whether the socket goes on. */
  async #hold(work: () => Promise<boolean>): Promise<void> {
    const waiting: string[] = []
    this.#waiting = waiting
    this.#peer.pause()
    const goesOn = await work()
    this.#waiting = null
    if (!goesOn) return
    for (const text of waiting) this.#receive(text)
    // One of them may have been a token, which is looked up now.
    if (this.#waiting === null) this.#peer.resume()
  }

  async #lookUp(headers: Headers | null): Promise<boolean> {
    const isLetIn = await this.#isLetIn(headers)
    if (!headers || !isLetIn) {
      this.#peer.close(CLOSE.unauthorized, 'this token is not known, or is no longer')
      return false
    }
    clearTimeout(this.#deadline)
    this.#headers = headers
    this.#auth = 'given'
    this.#hasKey = true
    return this.#greet()
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
    if (this.#missing !== null) return this.#fail(id, 404, this.#missing)
    const name = agentNamed(command)
    const asked = name === null ? requestOf(command, this.#own) : null
    const signal = this.#begin(id, command.type !== 'subscribe')
    void this.#run(command, asked ?? this.#askedByName(command, name ?? '', signal), signal)
  }

  #takeOlder(value: Record<string, unknown>): void {
    const older: OlderFrames = (this.#older ??= new OlderFrames({
      agent_id: this.#options.agent,
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
  async #run(command: Job, asked: Asked | Promise<Asked | Response>, signal: AbortSignal): Promise<void> {
    const { id } = command
    try {
      // What needs no lookup is asked at once, in the order of the commands.
      const known = asked instanceof Promise ? await asked : asked
      const answer = known instanceof Response ? known : await this.#ask(known, signal)
      if (answer.ok && answer.body && answer.headers.get('content-type')?.startsWith('text/event-stream'))
        await this.#follow(command, answer.body, signal)
      else await this.#tell(id, answer)
    } catch (error) {
      if (isAppError(error, 'validation')) this.#fail(id, 422, error.message)
      // A command whose socket is gone is cut off in the middle.
      else if (!signal.aborted) this.#broke(id, error)
    } finally {
      this.#done(id)
    }
  }

  /** The request of a command that names its agent, or the answer that there is none. */
  async #askedByName(command: Job, name: string, signal: AbortSignal): Promise<Asked | Response> {
    const answer = await this.#ask(byName(name), signal)
    if (!answer.ok) return answer
    const { id: agent_id } = (await answer.json()) as { id: string }
    return requestOf({ ...command, agent_id } as Job, this.#own)
  }

  /** Passes an answer on; answers why where it is a refusal. */
  async #tell(id: string | null, answer: Response): Promise<string | null> {
    const text = await answer.text()
    await this.#peer.room()
    const body: unknown = text === '' ? null : JSON.parse(text)
    if (answer.ok) {
      this.#send({ type: 'result', id, status: answer.status, body })
      return null
    }
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
    return detail
  }

  async #follow(command: Job, body: ReadableStream<Uint8Array>, signal: AbortSignal): Promise<void> {
    const id = JSON.stringify(command.id)
    let complete = false
    const isWanted = wantedEvents(command)
    for await (const event of readEvents(body, signal)) {
      if (event.data === '[DONE]') complete = true
      else if (isLeft(event)) break
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

/** Asks for an agent by its id or name. */
function byName(agent: string): Asked {
  return { method: 'GET', path: `/agents/${encodeURIComponent(agent)}` }
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

/** Whether the server stops before the run ends: `done` says that there is more of it. */
function isLeft({ event, data }: ServerSentEvent): boolean {
  return event === 'error' && (JSON.parse(data) as { detail?: unknown }).detail === HANDED_OVER
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
