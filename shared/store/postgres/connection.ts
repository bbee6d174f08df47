import { createHash } from 'node:crypto'
import type { QueryResult } from 'pg'
import type { Actor } from '../../core/ports/actor.ts'
import type { EventType } from '../../schema/event.ts'
import type { Transaction } from '../sql/database.ts'
import { insertEvent } from '../sql/event-rows.ts'
import { type Compilable, compiled, type Connection, type Statement } from '../sql/query.ts'
import { outgoing } from './values.ts'

/** Names of prepared statements; the server keeps a plan of each for every connection that has used it. */
const names = new Map<string, string>()

/** Made of the statement: behind a pooler one of this name may have been prepared by another process. */
function nameOf(sql: string): string {
  let name = names.get(sql)
  if (name === undefined) {
    name = `loci_${createHash('sha256').update(sql).digest('base64url').slice(0, 22)}`
    names.set(sql, name)
  }
  return name
}

/** A statement as it is sent. */
export interface Sent {
  name?: string
  text: string
  values?: unknown[]
  query_timeout?: number
}

/** What statements are sent to: a connection, which answers them in order. */
export interface Answering {
  query(sent: string | Sent): Promise<QueryResult>
}

/**
 * One transaction on one connection. Statements are sent as they come, without waiting for the one before, and answered in
 * order: what nobody waits for costs no round trip.
 */
export class PostgresConnection implements Connection {
  readonly engine = 'postgres'
  readonly #client: Answering
  readonly #prepares: boolean
  #failure: { error: unknown } | null = null
  #last: Promise<unknown> = Promise.resolve()
  #ended = false

  /** Without `prepares` the server reads each statement anew. */
  constructor(client: Answering, prepares: boolean) {
    this.#client = client
    this.#prepares = prepares
  }

  async all<Row>(query: Compilable<Row>): Promise<Row[]> {
    const { sql, parameters } = compiled('postgres', query)
    return (await this.#send({ text: sql, values: parameters.map(outgoing) })).rows as Row[]
  }

  async get<Row>(query: Compilable<Row>): Promise<Row | undefined> {
    return (await this.all(query))[0]
  }

  async run(query: Compilable<unknown>): Promise<number> {
    const { sql, parameters } = compiled('postgres', query)
    return (await this.#send({ text: sql, values: parameters.map(outgoing) })).rowCount ?? 0
  }

  async rows(statement: Statement): Promise<unknown[]> {
    return (await this.#prepared(statement)).rows
  }

  async changes(statement: Statement): Promise<number> {
    return (await this.#prepared(statement)).rowCount ?? 0
  }

  async send(query: Compilable<unknown>): Promise<void> {
    const { sql, parameters } = compiled('postgres', query)
    this.#forget({ text: sql, values: parameters.map(outgoing) })
  }

  async post(statement: Statement): Promise<void> {
    this.#forget(this.#kept(statement))
  }

  /** Begins, commits or ends; the connection is closed when there is no answer in `within_ms`. */
  control(text: string, within_ms?: number): void {
    this.#forget({ text, ...(within_ms === undefined ? {} : { query_timeout: within_ms }) })
  }

  /** Whoever has this connection next is not to be met by what is left of the work. */
  end(): void {
    this.#ended = true
  }

  /** When it fails, so does whatever is waited for next. */
  #forget(query: Sent): void {
    void this.#send(query).catch(() => undefined)
  }

  /** Resolves when everything that was sent has been answered. Throws what failed first. */
  async settle(): Promise<void> {
    await this.#last.catch(() => undefined)
    if (this.#failure) throw this.#failure.error
  }

  #prepared(statement: Statement) {
    return this.#send(this.#kept(statement))
  }

  #kept({ sql, parameters }: Statement): Sent {
    const sent = { text: sql, values: parameters.map(outgoing) }
    return this.#prepares ? { ...sent, name: nameOf(sql) } : sent
  }

  async #send(query: Sent) {
    if (this.#ended) throw new Error('the transaction has ended')
    const answered = this.#client.query(query)
    this.#last = answered
    try {
      return await answered
    } catch (error) {
      // What comes after it says only that the transaction is aborted.
      this.#failure ??= { error }
      throw this.#failure.error
    }
  }
}

/** A write in progress. */
export class PostgresTransaction extends PostgresConnection implements Transaction {
  readonly #effects: { effect: () => void; undo: () => void }[] = []
  readonly #later: { effect: () => void; undo: () => void }[] = []
  readonly #undo: (() => void)[] = []
  events = 0

  async event(actor: Actor, type: EventType, object_id: string, agent_id: string | null): Promise<void> {
    this.events++
    await insertEvent.send(this, {
      org: actor.organization_id,
      type,
      object: object_id,
      agent: agent_id,
      date: new Date().toISOString(),
    })
  }

  alongside(effect: () => void, undo: () => void): void {
    this.#effects.push({ effect, undo })
  }

  afterwards(effect: () => void, undo: () => void): void {
    this.#later.push({ effect, undo })
  }

  /** It is committed. */
  committed(): void {
    for (const { effect } of this.#later.splice(0)) effect()
  }

  /** Does what goes alongside, before the commit: nobody finds the rows without it. */
  takeEffect(): void {
    for (const { effect, undo } of this.#effects.splice(0)) {
      effect()
      this.#undo.push(undo)
    }
  }

  /** The transaction failed: what went alongside is undone. */
  undo(): void {
    this.#effects.length = 0
    for (const { undo } of this.#later.splice(0)) undo()
    for (const undo of this.#undo.splice(0).toReversed()) undo()
  }
}
