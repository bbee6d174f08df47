import { createHash } from 'node:crypto'
import type { Actor } from '../../core/ports/actor.ts'
import type {
  McpAuthorization,
  McpCallback,
  McpConnections,
  McpListing,
  McpSecrets,
  McpServer,
  McpServerState,
  McpToolReturn,
} from '../../core/ports/mcp-servers.ts'
import { AppError, isAppError, messageOf } from '../../schema/errors.ts'
import type { McpServerConfig } from '../../schema/mcp-server.ts'
import { authorize } from './authorize.ts'
import { abortable, connect, type Connection } from './connection.ts'
import { describe, lostSession } from './errors.ts'
import { DEFAULT_LIMITS, type McpLimits } from './limits.ts'
import { listTools } from './listing.ts'
import { Logins } from './logins.ts'
import { hasTokens, type McpCredentials, ServerAuthorization } from './oauth.ts'
import { toolReturn } from './returns.ts'
import { fillIn, withoutSecrets } from './templates.ts'
import { refusalOf } from './stdio-refusal.ts'

export interface ConnectionsOptions {
  limits?: Partial<McpLimits>
  /** Why no programs may be started now; null: they may. */
  stdioRefused?: () => string | null
  credentials(actor: Actor, server_id: string): McpCredentials
  /** A server says that it has other tools now. Must not throw. */
  onToolsChanged(actor: Actor, server_id: string): void
}

/** One way to reach one server: with other secrets it is another one. */
interface Slot {
  server_id: string
  connection: Connection | null
  opening: Promise<Connection> | null
  /** What the last connection was found to speak. */
  older: boolean
  /** Ends the opening. */
  abort: AbortController
  /** Calls under way. */
  active: number
  last_used: number
  /** Failures since the last answer, the last of them, and until when it stands for new ones. */
  failures: number
  problem: AppError | null
  retry_at: number
}

/** Ways to reach one server at a time. */
const MAX_SLOTS = 32
/** How long a server that fails is left alone after its second failure, and at most; milliseconds. */
const BACK_OFF = { first: 1000, most: 60_000 }
/** How long a server has to show that it lives after a call has timed out, at most. */
const ALIVE_MS = 5000

export function createMcpConnections(options: ConnectionsOptions): McpConnections {
  return new Connections(options)
}

class Connections implements McpConnections {
  readonly #limits: McpLimits
  readonly #options: ConnectionsOptions
  readonly #slots = new Map<string, Slot>()
  readonly #states = new Map<string, McpServerState>()
  readonly #logins = new Logins()
  readonly #idle: NodeJS.Timeout
  #closed = false

  constructor(options: ConnectionsOptions) {
    this.#options = options
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits }
    this.#idle = setInterval(() => this.#closeIdle(), Math.min(60_000, this.#limits.idle_ms / 2))
    this.#idle.unref()
  }

  stdioRefused(actor: Actor): string | null {
    return refusalOf(this.#options, actor)
  }

  async listTools(
    actor: Actor,
    server: McpServer,
    { secrets = {}, signal }: { secrets?: McpSecrets; signal: AbortSignal },
  ): Promise<McpListing> {
    return this.#use(
      actor,
      server,
      { secrets, force: true, doing: 'listing its tools', signal },
      (connection) => {
        const all = AbortSignal.any([signal, AbortSignal.timeout(this.#limits.list_ms)])
        return listTools(connection.client, this.#limits, { signal: all, timeout: this.#limits.list_ms })
      },
    )
  }

  async callTool(
    actor: Actor,
    server: McpServer,
    call: { name: string; arguments: Record<string, unknown>; secrets: McpSecrets },
    { signal }: { signal: AbortSignal },
  ): Promise<McpToolReturn> {
    const doing = `running its tool '${call.name}'`
    const { execute_ms, execute_total_ms } = this.#limits
    const use = { secrets: call.secrets, force: false, doing, signal }
    return this.#use(actor, server, use, async (connection) => {
      try {
        const result = await connection.client.callTool(
          { name: call.name, arguments: call.arguments },
          {
            signal,
            timeout: execute_ms,
            maxTotalTimeout: execute_total_ms,
            resetTimeoutOnProgress: true,
            onprogress: () => undefined,
          },
        )
        return toolReturn(result)
      } catch (error) {
        const failure = describe(server.server_name, doing, error, connection.failure)
        if (failure.code === 'mcp_timeout' && !signal.aborted) this.#endUnlessAlive(connection)
        throw error
      }
    })
  }

  async *authorize(
    actor: Actor,
    server: McpServer,
    options: { redirect_url: string; signal: AbortSignal },
  ): AsyncGenerator<McpAuthorization, void> {
    yield* authorize(server, {
      ...options,
      limits: this.#limits,
      logins: this.#logins,
      credentials: this.#options.credentials(actor, server.id),
      list: () => this.listTools(actor, server, { signal: options.signal }),
      forget: () => this.forget(server.id),
    })
  }

  callback(answer: McpCallback): Promise<void> {
    return this.#logins.deliver(answer)
  }

  state(server_id: string): McpServerState {
    return (
      this.#states.get(server_id) ?? {
        state: 'idle',
        error: null,
        since: new Date(this.#began).toISOString(),
      }
    )
  }
  readonly #began = Date.now()

  async forget(server_id: string): Promise<void> {
    const own = [...this.#slots].filter(([, slot]) => slot.server_id === server_id)
    for (const [key] of own) this.#slots.delete(key)
    this.#states.delete(server_id)
    await Promise.all(own.map(([, slot]) => end(slot)))
  }

  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#idle)
    const all = [...this.#slots.values()]
    this.#slots.clear()
    await Promise.all(all.map(end))
  }

  /** Does something over a connection; where its session is gone, once more over a new one. */
  async #use<T>(
    actor: Actor,
    server: McpServer,
    {
      secrets,
      force,
      doing,
      signal,
    }: { secrets: McpSecrets; force: boolean; doing: string; signal: AbortSignal },
    work: (connection: Connection) => Promise<T>,
  ): Promise<T> {
    const config = fillIn(server.server_name, server.config, secrets)
    const slot = this.#slotOf(server, config)
    slot.active++
    try {
      for (let attempt = 1; ; attempt++) {
        const connection = await abortable(this.#connected(actor, server, config, slot, force), signal)
        try {
          const result = await abortable(work(connection), signal)
          Object.assign(slot, { failures: 0, problem: null, retry_at: 0 })
          return result
        } catch (error) {
          if (attempt === 1 && lostSession(error) && !signal.aborted) {
            await this.#drop(slot, connection)
            continue
          }
          if (signal.aborted) throw error
          const failure = hidden(describe(server.server_name, doing, error, connection.failure), config)
          if (failure.data['authorization_required'] === true) {
            this.#setState(server.id, 'authorization_required', failure.message)
            await this.#drop(slot, connection)
          }
          throw failure
        }
      }
    } catch (error) {
      if (!signal.aborted || isAppError(error)) throw error
      throw new AppError('cancelled', messageOf(signal.reason), { cause: error })
    } finally {
      slot.active--
      slot.last_used = Date.now()
    }
  }

  #slotOf(server: McpServer, config: McpServerConfig): Slot {
    if (this.#closed) throw new AppError('mcp_error', 'Loci is shutting down.')
    const digest = createHash('sha256').update(JSON.stringify(config)).digest('base64')
    const key = `${server.id} ${digest}`
    let slot = this.#slots.get(key)
    if (slot) return slot
    const own = [...this.#slots].filter(([, other]) => other.server_id === server.id)
    const [oldest] = own
      .filter(([, other]) => other.active === 0)
      .toSorted(([, a], [, b]) => a.last_used - b.last_used)
    if (own.length >= MAX_SLOTS) {
      if (!oldest)
        throw new AppError(
          'mcp_error',
          `The MCP server '${server.server_name}' is in use with ${MAX_SLOTS} different sets of secrets at once; try again when some of the calls are done.`,
        )
      this.#slots.delete(oldest[0])
      void end(oldest[1])
    }
    slot = {
      server_id: server.id,
      connection: null,
      opening: null,
      older: false,
      abort: new AbortController(),
      active: 0,
      last_used: Date.now(),
      failures: 0,
      problem: null,
      retry_at: 0,
    }
    this.#slots.set(key, slot)
    return slot
  }

  async #connected(
    actor: Actor,
    server: McpServer,
    config: McpServerConfig,
    slot: Slot,
    force: boolean,
  ): Promise<Connection> {
    if (slot.connection?.failure === null) return slot.connection
    if (slot.opening) return slot.opening
    const wait = slot.retry_at - Date.now()
    if (!force && slot.problem && wait > 0)
      throw new AppError(
        slot.problem.code,
        `${slot.problem.message} It is tried again in ${Math.ceil(wait / 1000)} s.`,
        { data: slot.problem.data },
      )
    slot.opening = this.#open(actor, server, config, slot)
    try {
      return await slot.opening
    } finally {
      slot.opening = null
    }
  }

  async #open(actor: Actor, server: McpServer, config: McpServerConfig, slot: Slot): Promise<Connection> {
    const stdio = config.mcp_server_type === 'stdio'
    const refused = stdio ? this.stdioRefused(actor) : null
    if (refused !== null) {
      const refusal = new AppError('invalid_argument', refused)
      this.#setState(server.id, 'failed', refusal.message)
      throw refusal
    }
    this.#setState(server.id, 'connecting', null)
    const limit = AbortSignal.timeout(this.#limits.connect_ms)
    try {
      const credentials = this.#options.credentials(actor, server.id)
      const connection = await connect(config, {
        limits: this.#limits,
        authorization:
          !stdio && (await hasTokens(credentials)) ? await ServerAuthorization.open(credentials, null) : null,
        older: slot.older,
        onToolsChanged: () => this.#options.onToolsChanged(actor, server.id),
        signal: AbortSignal.any([slot.abort.signal, limit]),
      })
      slot.connection = connection
      slot.older = connection.older
      this.#setState(server.id, 'connected', null)
      void connection.ended.then(() => this.#ended(server, config, slot, connection))
      return connection
    } catch (error) {
      slot.older = false
      const late = limit.aborted ? `it did not answer within ${this.#limits.connect_ms / 1000} s` : null
      const failure = late
        ? new AppError(
            'mcp_timeout',
            `The MCP server '${server.server_name}' failed while connecting: ${late}.`,
          )
        : hidden(describe(server.server_name, 'connecting', error), config)
      if (!slot.abort.signal.aborted) this.#failed(server.id, slot, failure)
      throw failure
    }
  }

  /** A connection has ended: by itself that is a failure, and the next call makes another one. */
  #ended(server: McpServer, config: McpServerConfig, slot: Slot, connection: Connection): void {
    if (slot.connection !== connection) return
    slot.connection = null
    const why = connection.failure ?? 'the connection was closed'
    void connection.close()
    if (!slot.abort.signal.aborted)
      this.#failed(
        server.id,
        slot,
        hidden(describe(server.server_name, 'connected', new Error(why), why), config),
      )
  }

  #failed(server_id: string, slot: Slot, failure: AppError): void {
    slot.failures++
    slot.problem = failure
    // The first time it may be chance: a server that has just died is started again at once.
    const wait = slot.failures < 2 ? 0 : BACK_OFF.first * 2 ** Math.min(slot.failures - 2, 10)
    slot.retry_at = Date.now() + Math.min(wait, BACK_OFF.most)
    const authorization = failure.data['authorization_required'] === true
    this.#setState(server_id, authorization ? 'authorization_required' : 'failed', failure.message)
  }

  async #drop(slot: Slot, connection: Connection): Promise<void> {
    if (slot.connection === connection) slot.connection = null
    await connection.close()
  }

  /** A server that answers nothing any more is not worth waiting for a second time. */
  #endUnlessAlive(connection: Connection): void {
    const timeout = Math.min(ALIVE_MS, this.#limits.execute_ms)
    const options = { timeout, signal: AbortSignal.timeout(timeout) }
    listTools(connection.client, this.#limits, options).catch(() => connection.close())
  }

  #setState(server_id: string, state: McpServerState['state'], error: string | null): void {
    this.#states.set(server_id, { state, error, since: new Date().toISOString() })
  }

  #closeIdle(): void {
    const before = Date.now() - this.#limits.idle_ms
    for (const [key, slot] of this.#slots) {
      if (slot.active > 0 || slot.last_used > before) continue
      this.#slots.delete(key)
      if (slot.connection) this.#setState(slot.server_id, 'idle', null)
      void end(slot)
    }
  }
}

/** The same without what is secret in the configuration. */
function hidden(error: AppError, config: McpServerConfig): AppError {
  return new AppError(error.code, withoutSecrets(error.message, config), { data: error.data })
}

/** Ends what a slot has, also what is only being opened. */
async function end(slot: Slot): Promise<void> {
  slot.abort.abort(new AppError('mcp_error', 'The connection was ended.'))
  const opening = slot.opening?.then((connection) => connection.close()).catch(() => undefined)
  const { connection } = slot
  slot.connection = null
  await connection?.close()
  await opening
}
