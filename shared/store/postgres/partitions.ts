import { sql } from 'kysely'
import { messageOf } from '../../schema/errors.ts'
import type { Connection, Database } from '../sql/database.ts'

/** Messages of one partition, where `meta` does not say otherwise (docs/postgresql.md has the arithmetic). */
const MESSAGES = 16_777_216
/** The advisory lock of whoever makes partitions: 'locp' in ASCII. */
const LOCK = 0x6c6f6370

/** How often it is looked whether the next partition is needed. At a thousand messages a second one lasts for hours. */
const EVERY_MS = 600_000

/** Keeps partitions ahead of what is written, from the start of a process to its end. */
export class PartitionUpkeep {
  readonly #database: Database
  readonly #timer: NodeJS.Timeout
  #onNotice: ((text: string) => void) | undefined
  #working: Promise<void>

  /** `onNotice` hears once that partitions cannot be made. Must not throw. */
  constructor(database: Database, onNotice?: (text: string) => void) {
    this.#database = database
    this.#onNotice = onNotice
    this.#working = this.#work()
    this.#timer = setInterval(() => {
      this.#working = this.#working.then(() => this.#work())
    }, EVERY_MS).unref()
  }

  /** Resolves when nothing is under way any more. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#working
  }

  async #work(): Promise<void> {
    try {
      // Looked at first: events are not shown before whatever has begun to write earlier has ended.
      if (await this.#database.read((c) => needPartitions(c)))
        await this.#database.write((tx) => makePartitions(tx))
    } catch (error) {
      // There is a whole partition left, after that the default one, and the next time.
      this.#onNotice?.(
        `The next partition of messages or steps could not be made: ${messageOf(error)} What would be in it goes to the ` +
          'default partition until it can.',
      )
      this.#onNotice = undefined
    }
  }
}

/** A partitioned table, with how its ranges follow each other. */
interface Partitioned {
  table: 'messages' | 'steps'
  column: 'seq' | 'created_at'
  /** What each partition has for itself: the partitioned table cannot have it without its key. */
  own: string
  /** As far as partitions have to be there already. */
  goal: string
  /** Where the range ends that begins there. */
  after: (bound: string) => string
  isBefore: (a: string, b: string) => boolean
}

/**
 * Makes the partitions that will be needed next, and answers their names. The one to come is always there before its time;
 * were it not, the default partition takes in what belongs there, and keeps it: the ranges begin after that. Does nothing
 * while another process does it.
 */
export async function makePartitions(tx: Connection, now = new Date()): Promise<string[]> {
  const lock = await tx.get(sql<{ mine: boolean }>`select pg_try_advisory_xact_lock(${LOCK}) as mine`)
  if (!lock?.mine) return []
  const made: string[] = []
  for (const table of await tables(tx, now)) made.push(...(await extend(tx, table)))
  return made
}

async function needPartitions(c: Connection): Promise<boolean> {
  for (const table of await tables(c, new Date()))
    if (table.isBefore(await reach(c, table), table.goal)) return true
  return false
}

async function tables(c: Connection, now: Date): Promise<Partitioned[]> {
  const state = await c.get(
    sql<{ last: number; size: number | null }>`select (select last_value from messages_seq_seq) as last,
      (select value::bigint from meta where key = 'messages_per_partition') as size`,
  )
  return [messages(state?.last ?? 0, state?.size ?? MESSAGES), steps(now)]
}

function messages(last: number, size: number): Partitioned {
  return {
    table: 'messages',
    column: 'seq',
    own: 'UNIQUE (id)',
    goal: String(last + size),
    after: (bound) => String((Math.floor(Number(bound) / size) + 1) * size),
    isBefore: (a, b) => Number(a) < Number(b),
  }
}

function steps(now: Date): Partitioned {
  const month = (year: number, index: number) => new Date(Date.UTC(year, index)).toISOString().slice(0, 7)
  const current = month(now.getUTCFullYear(), now.getUTCMonth())
  return {
    table: 'steps',
    column: 'created_at',
    own: 'PRIMARY KEY (id)',
    goal: month(now.getUTCFullYear(), now.getUTCMonth() + 2),
    // Of months in which nobody was there one is enough.
    after: (bound) => (bound < current ? current : month(Number(bound.slice(0, 4)), Number(bound.slice(5)))),
    isBefore: (a, b) => a < b,
  }
}

async function extend(tx: Connection, kind: Partitioned): Promise<string[]> {
  const made: string[] = []
  let from = await reach(tx, kind)
  while (kind.isBefore(from, kind.goal)) {
    const to = kind.after(from)
    if (!(await isInDefault(tx, kind, from, to))) made.push(await make(tx, kind, from, to))
    from = to
  }
  return made
}

/** Where the last range ends. */
async function reach(c: Connection, { table, isBefore }: Partitioned): Promise<string> {
  const rows = await c.all(
    sql<{ bound: string | null }>`
      select substring(pg_get_expr(relpartbound, oid) from 'TO \\(''?([0-9-]+)') as bound
      from pg_class join pg_inherits on inhrelid = oid
      where inhparent = ${table}::regclass`,
  )
  const bounds = rows.flatMap(({ bound }) => bound ?? [])
  return bounds.reduce((last, bound) => (isBefore(last, bound) ? bound : last))
}

async function isInDefault(c: Connection, { table, column }: Partitioned, from: string, to: string) {
  const key = sql.ref(column)
  const rows = sql`select 1 from ${sql.table(`${table}_default`)} where ${key} >= ${sql.lit(from)} and ${key} < ${sql.lit(to)}`
  return (await c.get(sql<{ there: boolean }>`select exists (${rows}) as there`))?.there ?? false
}

/** Attached, and not made as one: then nobody who reads or writes has to wait, except for the (empty) default partition. */
async function make(tx: Connection, { table, own }: Partitioned, from: string, to: string): Promise<string> {
  const name = `${table}_${from.replace('-', '_')}`
  for (const statement of [
    "SET LOCAL lock_timeout = '250ms'",
    // Rows in the default partition are looked through, and keep others waiting for it.
    "SET LOCAL statement_timeout = '5s'",
    `CREATE TABLE ${name} (LIKE ${table} INCLUDING DEFAULTS INCLUDING INDEXES)`,
    `ALTER TABLE ${name} ADD ${own}`,
    `ALTER TABLE ${table} ATTACH PARTITION ${name} FOR VALUES FROM ('${from}') TO ('${to}')`,
    'SET LOCAL statement_timeout TO DEFAULT',
  ])
    await tx.run(sql.raw(statement))
  return name
}
