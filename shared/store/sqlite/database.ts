import { existsSync, mkdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Actor } from '../../core/ports/actor.ts'
import type { AppError } from '../../schema/errors.ts'
import type { EventType } from '../../schema/event.ts'
import { pause } from '../pause.ts'
import { followChanges } from './changes.ts'
import { Checkpoints } from './checkpoints.ts'
import { DurableLog } from './durable-log.ts'
import { unavailable } from '../sql/errors.ts'
import { asStoreError, isBusy } from './errors.ts'
import { fileSystemOf, refuseShared } from './file-system.ts'
import { MIGRATIONS, migrate, newerStore, schemaVersion } from './migrate.ts'
import { refuseEmptied, refuseForeign } from './present-file.ts'
import { makePrivate } from './private-file.ts'
import type { Committed, Connection, Database, Transaction } from '../sql/database.ts'
import { insertEvent } from '../sql/event-rows.ts'
import { SqliteConnection } from './connection.ts'
import { mergeIndexes } from './index-upkeep.ts'

/** How long a command waits for other processes before it gives up. */
const LOCK_DEADLINE_MS = 10_000
/** After how long a transaction takes up no more commands: others, and the event loop, wait meanwhile. */
const WRITE_MS = 5

interface Command {
  work: (transaction: Transaction) => unknown
  /** When it came, on the monotonic clock. */
  since: number
  /** Resolved with a `Committed` before the log is on disk. */
  early: boolean
  resolve: (value: unknown) => void
  reject: (error: unknown) => void
}

interface Outcome {
  value: unknown
  failure?: { error: unknown }
}

/** A write in progress. What it does becomes visible at once, with its events, or not at all. */
class SqliteTransaction extends SqliteConnection implements Transaction {
  readonly #effects: { effect: () => void; undo: () => void }[] = []
  readonly #undo: (() => void)[] = []
  events = 0

  async event(actor: Actor, type: EventType, object_id: string, agent_id: string | null): Promise<void> {
    await insertEvent.send(this, {
      org: actor.organization_id,
      type,
      object: object_id,
      agent: agent_id,
      date: new Date().toISOString(),
    })
    this.events++
  }

  alongside(effect: () => void, undo: () => void): void {
    this.#effects.push({ effect, undo })
  }

  /** The commit follows in the same go: nobody comes between. */
  afterwards(effect: () => void, undo: () => void): void {
    this.alongside(effect, undo)
  }

  /** Runs one command's part. Of several, one that throws is undone alone. */
  async attempt(work: (transaction: Transaction) => unknown, alone: boolean): Promise<Outcome> {
    const { events } = this
    if (!alone) this.statement('SAVEPOINT command').run()
    try {
      const value = await work(this)
      if (!alone) this.statement('RELEASE command').run()
      for (const { effect, undo } of this.#effects.splice(0)) {
        effect()
        this.#undo.push(undo)
      }
      return { value }
    } catch (error) {
      this.#effects.length = 0
      // Not one command has failed but the whole transaction.
      if (alone || !this.database.isTransaction || isBusy(error)) throw error
      this.statement('ROLLBACK TO command').run()
      this.statement('RELEASE command').run()
      this.events = events
      return { value: undefined, failure: { error } }
    }
  }

  /** Begins to collect anew. */
  reset(): void {
    this.#effects.length = 0
    this.#undo.length = 0
    this.events = 0
  }

  /** The transaction failed: what went alongside is undone. */
  undo(): void {
    for (const undo of this.#undo.splice(0).toReversed()) undo()
  }
}

export interface DatabaseOptions {
  directory: string
  /** Version written beside the schema, for the message that an older process shows. */
  version: string
  migrations?: readonly string[]
  /** Open a directory on a network or shared file system, too. */
  allow_network_fs?: boolean
  /** Milliseconds that a command waits for the locks of other processes; 10,000 by default. */
  lock_deadline_ms?: number
  /** Hears how long each write took: its transaction, with the wait for locks, and until it was on disk. */
  onWrite?: ((timing: { commit_ms: number; flush_ms: number }) => void) | undefined
}

/** `loci.db` of a data directory: one connection that writes, one that reads, one for the events feed. */
export class SqliteDatabase implements Database {
  readonly engine = 'sqlite'
  readonly directory: string
  readonly path: string
  readonly #writer: SqliteTransaction
  readonly #reader: SqliteConnection
  readonly #log: DurableLog
  readonly #checkpoints: Checkpoints
  readonly #schema: number
  readonly #deadline: number
  readonly #onWrite: DatabaseOptions['onWrite']
  readonly #listeners = new Set<() => void>()
  readonly #commitListeners = new Set<() => void>()
  #commands: Command[] = []
  #reading: Promise<void> = Promise.resolve()
  #writing: Promise<void> | null = null
  #closed = false

  constructor(options: DatabaseOptions, writer: DatabaseSync, reader: DatabaseSync) {
    this.directory = options.directory
    this.path = join(options.directory, 'loci.db')
    this.#schema = (options.migrations ?? MIGRATIONS).length
    this.#deadline = options.lock_deadline_ms ?? LOCK_DEADLINE_MS
    this.#onWrite = options.onWrite
    this.#writer = new SqliteTransaction(writer)
    this.#reader = new SqliteConnection(reader)
    this.#log = new DurableLog(this.path)
    writer.exec('PRAGMA wal_autocheckpoint = 0')
    this.#checkpoints = new Checkpoints({
      path: this.path,
      here: () => this.#writeBack(),
      onLoss: () => writer.exec('PRAGMA wal_autocheckpoint = 1000'),
    })
  }

  get closed(): boolean {
    return this.#closed
  }

  /** A file does not go away. */
  readonly lostAt = -Infinity

  now(): Date {
    return new Date()
  }

  /** Several reads of one moment. They ask for nothing else, so that nothing but them happens meanwhile. */
  read<T>(work: (connection: Connection) => T | Promise<T>): Promise<T> {
    const reading = this.#reading.then(() =>
      retryWhileBusy(this.path, this.#deadline, async () => {
        const connection = this.#reader
        connection.statement('BEGIN').run()
        try {
          return await work(connection)
        } finally {
          connection.statement('COMMIT').run()
        }
      }),
    )
    // The connection is one: the next read waits, whatever becomes of this one.
    this.#reading = reading.then(
      () => undefined,
      () => undefined,
    )
    return reading
  }

  /**
   * A command that writes: `work` runs in one synchronous go, so that no other command of this process comes between,
   * and all of it is committed or nothing. Commands that come in at the same time share a transaction, each undone
   * alone when it throws; a lock of another process is waited for without blocking. `work` may run again after a
   * rollback. Resolves when it is on disk: see docs/decisions/0006. Throws `store_newer` when the schema has been
   * migrated by a newer Loci meanwhile.
   */
  write<T>(work: (transaction: Transaction) => T | Promise<T>): Promise<T> {
    return this.#enqueue(work, false)
  }

  /**
   * As `write`, but resolves when the command is committed, with a promise of its being on disk. Until that has
   * resolved nobody may be told of it.
   */
  writeEarly<T>(work: (transaction: Transaction) => T | Promise<T>): Promise<Committed<T>> {
    return this.#enqueue(work, true)
  }

  #enqueue<T>(work: (transaction: Transaction) => unknown, early: boolean): Promise<T> {
    return new Promise((resolve, reject) => {
      const since = performance.now()
      this.#commands.push({ work, since, early, resolve: resolve as (value: unknown) => void, reject })
      // What else comes in with this turn of the event loop goes into the same transaction.
      this.#writing ??= new Promise(setImmediate).then(() => this.#writeAll())
    })
  }

  async #writeAll(): Promise<void> {
    while (this.#commands.length > 0) {
      const batch = this.#commands
      this.#commands = []
      try {
        const began = performance.now()
        const waited = began - (batch[0]?.since ?? 0)
        const outcomes = await retryWhileBusy(this.path, this.#deadline, () => this.#commit(batch), waited)
        // What had no time in this transaction comes first in the next.
        this.#commands.unshift(...batch.slice(outcomes.length))
        void this.#settle(batch, outcomes, performance.now() - began)
      } catch (error) {
        for (const command of batch) command.reject(error)
      }
      await new Promise(setImmediate)
    }
    this.#writing = null
  }

  /** Tells each command its outcome once the log is on disk, or before it is when it asked for that. */
  async #settle(batch: readonly Command[], outcomes: readonly Outcome[], commit_ms: number): Promise<void> {
    const committed = performance.now()
    let lost: { error: unknown } | null = null
    const flushed = this.#log.flush()
    for (const [i, { value, failure }] of outcomes.entries()) {
      if (batch[i]?.early && !failure) batch[i].resolve({ value, durable: flushed })
    }
    await flushed.catch((error: unknown) => {
      lost = { error }
    })
    this.#onWrite?.({ commit_ms, flush_ms: performance.now() - committed })
    for (const [i, outcome] of outcomes.entries()) {
      const failure = lost ?? outcome.failure
      // What was resolved early stays so.
      if (failure) batch[i]?.reject(asStoreError(failure.error, this.path))
      else batch[i]?.resolve(outcome.value)
    }
  }

  /** One transaction for as many of these commands as fit in its time, the first at least. */
  async #commit(batch: readonly Command[]): Promise<Outcome[]> {
    const tx = this.#writer
    const outcomes: Outcome[] = []
    tx.statement('BEGIN IMMEDIATE').run()
    try {
      tx.reset()
      this.#checkSchema(tx)
      const began = performance.now()
      for (const command of batch) {
        outcomes.push(await tx.attempt(command.work, batch.length === 1))
        if (performance.now() - began > WRITE_MS) break
      }
      tx.statement('COMMIT').run()
    } catch (error) {
      // A full disk or a broken one ends the transaction by itself.
      if (tx.database.isTransaction) tx.statement('ROLLBACK').run()
      tx.undo()
      throw error
    }
    if (tx.events > 0) for (const listener of this.#listeners) listener()
    for (const listener of this.#commitListeners) listener()
    this.#checkpoints.committed()
    return outcomes
  }

  #writeBack(): void {
    try {
      this.#writer.statement('PRAGMA wal_checkpoint(PASSIVE)').get()
    } catch {
      // Everything stays in the log; a disk that is broken says so to the next command.
    }
  }

  /** Calls back after each commit of this process that wrote events. */
  onEvents(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Calls back after each commit of this process; it must not throw. */
  onCommit(listener: () => void): () => void {
    this.#commitListeners.add(listener)
    return () => this.#commitListeners.delete(listener)
  }

  /** A read-only connection of its own, for the caller to close. */
  openReader(): SqliteConnection {
    return new SqliteConnection(readOnly(openFile(this.path)))
  }

  follow(listener: (problem: unknown) => void): () => void {
    return followChanges(this, listener)
  }

  mergeIndexes(indexes?: readonly ('messages_fts' | 'passages_fts')[]): Promise<void> {
    return mergeIndexes(this, indexes ? { indexes } : {})
  }

  /** Its plans do not go by what is in the tables. */
  async refreshStatistics(): Promise<void> {}

  /** Throws `store_unavailable` or `store_newer` when a command would. */
  check(): Promise<void> {
    return this.read(() => this.#checkSchema(this.#reader))
  }

  /** Resolves when everything that was committed is on disk and every file is closed. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#writing
    await this.#log.close()
    await this.#checkpoints.close()
    await this.#reading
    this.#reader.close()
    this.#writer.close()
  }

  #checkSchema(connection: SqliteConnection): void {
    const found = Number(connection.statement('PRAGMA user_version').get()?.['user_version'])
    if (found === this.#schema) return
    if (found > this.#schema) throw newerStore(connection.database, this.directory)
    throw unavailable(
      `${this.path} was replaced by an older copy while this process was running; restart this process.`,
    )
  }
}

/** Opens or creates `loci.db` in the directory and migrates it. Throws `store_unavailable` or `store_newer`. */
export async function openDatabase(options: DatabaseOptions): Promise<SqliteDatabase> {
  const { directory } = options
  const path = join(directory, 'loci.db')
  try {
    // Before anything is made there.
    refuseShared(directory, fileSystemOf(directory), options.allow_network_fs ?? false)
    await refuseEmptied(directory)
    for (const folder of [directory, join(directory, 'instances'), join(directory, 'backups')]) {
      makeFolder(folder)
    }
    makePrivate(path)
  } catch (error) {
    throw asStoreError(error, directory)
  }
  requireFullText()
  // Two processes that make a new database race in `journal_mode = wal`, which no busy timeout covers: begin again.
  return await retryWhileBusy(path, options.lock_deadline_ms ?? LOCK_DEADLINE_MS, () => {
    const writer = openFile(path)
    let reader: DatabaseSync | undefined
    try {
      refuseForeign(writer, path)
      // NORMAL keeps the file whole; that a commit is on disk before it is acknowledged is the business of DurableLog.
      writer.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;')
      reader = openFile(path)
      migrate(writer, reader, {
        directory,
        version: options.version,
        migrations: options.migrations ?? MIGRATIONS,
      })
      if (schemaVersion(writer) > (options.migrations ?? MIGRATIONS).length)
        throw newerStore(writer, directory)
      return new SqliteDatabase(options, writer, readOnly(reader))
    } catch (error) {
      reader?.close()
      writer.close()
      throw error
    }
  })
}

/** Not `recursive`: where a file system refuses with ENOENT (/proc), Node's own recursion never ends. */
function makeFolder(path: string): void {
  if (existsSync(path) && statSync(path).isDirectory()) return
  if (!existsSync(dirname(path))) makeFolder(dirname(path))
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    // Another process may have been faster.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !statSync(path).isDirectory()) throw error
  }
}

function openFile(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: 0, enableForeignKeyConstraints: true })
  // macOS answers a plain fsync before the disk has it; elsewhere these change nothing.
  database.exec('PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON')
  return database
}

/** Not opened `readOnly`: a reader that comes first after a crash has to recover the log. */
function readOnly(database: DatabaseSync): DatabaseSync {
  database.exec('PRAGMA query_only = ON')
  return database
}

function requireFullText(): void {
  const probe = new DatabaseSync(':memory:')
  try {
    probe.exec('CREATE VIRTUAL TABLE probe USING fts5 (text)')
  } catch (error) {
    throw unavailable(
      `The SQLite of Node ${process.version} has no full-text search (FTS5). ` +
        'Use Node 22.16 or newer (22.13 to 22.15 lack it), or the Node that Loci brings along.',
      error,
    )
  } finally {
    probe.close()
  }
}

function tooLong(path: string, deadline_ms: number, cause: unknown): AppError {
  return unavailable(
    `${path} was locked by other processes for more than ${deadline_ms / 1000} seconds, so nothing was written. Try ` +
      'again; if it stays so, close the process that hangs on it (a backup tool, a stopped Loci, a database browser).',
    cause,
  )
}

/** Repeats while SQLite is busy, with growing random pauses that leave the event loop free. */
async function retryWhileBusy<T>(
  path: string,
  deadline_ms: number,
  attempt: () => T | Promise<T>,
  waited_ms = 0,
): Promise<T> {
  const deadline = performance.now() + deadline_ms - waited_ms
  for (let tries = 0; ; tries++) {
    try {
      return await attempt()
    } catch (error) {
      if (isBusy(error) && performance.now() > deadline) throw tooLong(path, deadline_ms, error)
      if (!isBusy(error)) throw asStoreError(error, path)
    }
    await pause(1 + Math.random() * Math.min(2 ** tries, 25))
  }
}
