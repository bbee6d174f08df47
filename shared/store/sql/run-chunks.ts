import { mapEach } from '../each.ts'
import { sql } from 'kysely'
import type { Actor } from '../../core/ports/actor.ts'
import type {
  AppendChunks,
  RunChunks,
  RunStreamStore,
  StoredStream,
} from '../../core/ports/run-stream-store.ts'
import { AppError } from '../../schema/errors.ts'
import { pause } from '../pause.ts'
import type { Database, Transaction } from './database.ts'
import type { Instance } from './instances.ts'
import type { Connection } from './query.ts'
import { query, db } from './query.ts'
import { readRun } from './runs.ts'

/** Rows that a reading takes at first and then at the most at once, and characters after which it takes no more. */
const FIRST_ROWS = 2
const MAX_ROWS = 512
const MAX_CHARACTERS = 250_000
/** Characters after which a row is full. */
const ROW_CHARACTERS = 30_000
/** Rows that one transaction removes. */
const PRUNED_ROWS = 500

const STATES = ['none', 'stored', 'pruned', 'stored'] as const
const TRIMMED = 3

const holderOf = query<{ id: string; org: string }>()((p) =>
  db
    .selectFrom('conversations')
    .select(['epoch', 'run_id', 'instance_id'])
    .where('id', '=', p.id)
    .where('organization_id', '=', p.org),
)
const addChunks = query<{ run: string; first: number; last: number; text: string }>()((p) =>
  db.insertInto('run_chunks').values({ run_id: p.run, first_seq: p.first, last_seq: p.last, text: p.text }),
)
const forgetBefore = query<{ run: string; seq: number }>()((p) =>
  db.deleteFrom('run_chunks').where('run_id', '=', p.run).where('last_seq', '<', p.seq),
)
const setTrimmed = query<{ run: string }>()((p) =>
  db.updateTable('runs').set({ stream: TRIMMED }).where('id', '=', p.run).where('stream', '=', 1),
)
/** A process that ends in good order is no sign that the run is what ends its processes. */
const leaveRun = query<{ id: string }>()((p) =>
  db.updateTable('runs').set({ instance_id: null, attempts: 0 }).where('id', '=', p.id),
)
const streamState = query<{ run: string }>()((p) =>
  db.selectFrom('runs').select('stream').where('id', '=', p.run),
)
const lastChunk = query<{ run: string }>()((p) =>
  db
    .selectFrom('run_chunks')
    .select('last_seq')
    .where('run_id', '=', p.run)
    .orderBy('first_seq', 'desc')
    .limit(1),
)
const firstChunk = query<{ run: string }>()((p) =>
  db.selectFrom('run_chunks').select('first_seq').where('run_id', '=', p.run).orderBy('first_seq').limit(1),
)
/** The row that has number `seq`, when one has, and where the ones after it begin. */
const rowBefore = query<{ run: string; seq: number }>()((p) =>
  db
    .selectFrom('run_chunks')
    .select('first_seq')
    .where('run_id', '=', p.run)
    .where('first_seq', '<=', p.seq)
    .orderBy('first_seq', 'desc')
    .limit(1),
)
const rowsFrom = query<{ run: string; first: number; rows: number }>()((p) =>
  db
    .selectFrom('run_chunks')
    .select(['first_seq', 'last_seq', 'text'])
    .where('run_id', '=', p.run)
    .where('first_seq', '>=', p.first)
    .orderBy('first_seq')
    .limit(p.rows),
)
const runOfOtid = query<{ conversation: string; otid: string; org: string }>()((p) =>
  db
    .selectFrom('run_otids')
    .innerJoin('runs', 'runs.id', 'run_otids.run_id')
    .select(['runs.id', 'runs.status'])
    .where('run_otids.conversation_id', '=', p.conversation)
    .where('run_otids.otid', '=', p.otid)
    .where('runs.organization_id', '=', p.org),
)
const setOtid = query<{ conversation: string; otid: string; run: string }>()((p) =>
  db
    .insertInto('run_otids')
    .values({ conversation_id: p.conversation, otid: p.otid, run_id: p.run })
    .onConflict((conflict) => conflict.columns(['conversation_id', 'otid']).doUpdateSet({ run_id: p.run })),
)

/** Streams of background runs: rows of some chunks each, in the order of their numbers. */
export class SqlRunStreams implements RunStreamStore {
  readonly #database: Database
  readonly #instance: Instance

  constructor(database: Database, instance: Instance) {
    this.#database = database
    this.#instance = instance
  }

  append(actor: Actor, chunks: AppendChunks): Promise<void> {
    return this.#database.write(async (tx) => {
      const holder = await holderOf.get(tx, { id: chunks.conversation_id, org: actor.organization_id })
      const held =
        holder?.run_id === chunks.run_id &&
        holder.epoch === chunks.epoch &&
        holder.instance_id === this.#instance.id
      if (!held)
        throw new AppError('lease_lost', `The run '${chunks.run_id}' is no longer one of this process.`, {
          data: { run_id: chunks.run_id },
        })
      await appendChunks(tx, chunks.run_id, chunks)
      if (chunks.leaving) await leaveRun.send(tx, { id: chunks.run_id })
    })
  }

  read(actor: Actor, run_id: string, after: number, limit: number): Promise<StoredStream | null> {
    return this.#database.read(async (c) => {
      const run = await readRun(c, actor, run_id)
      if (!run) return null
      const state = (await streamState.get(c, { run: run_id }))?.stream ?? 0
      return {
        run,
        state: STATES[state] ?? 'none',
        trimmed: state === TRIMMED,
        first_seq: (await firstChunk.get(c, { run: run_id }))?.first_seq ?? 0,
        last_seq: await lastSeq(c, run_id),
        ...(await readAfter(c, run_id, after, limit)),
      }
    })
  }

  findRun(actor: Actor, conversation_id: string, otid: string): Promise<string | null> {
    return this.#database.read(async (c) => {
      const key = { conversation: conversation_id, otid, org: actor.organization_id }
      return (await runOfOtid.get(c, key))?.id ?? null
    })
  }

  async prune(before: Date): Promise<void> {
    const old = db
      .selectFrom('runs')
      .select('id')
      .where(sql<boolean>`stream in (1, 3)`)
      .where('completed_at', '<', before.toISOString())
      .orderBy('completed_at')
      .limit(1)
    while (!this.#database.closed) {
      // Looked at first without the lock: mostly there is nothing to do.
      const run = await this.#database.read(async (c) => await c.get(old))
      if (!run) return
      await this.#database.write(async (tx) => {
        if ((await deleteChunks(tx, [run.id], PRUNED_ROWS)) === PRUNED_ROWS) return
        await tx.send(db.deleteFrom('run_otids').where('run_id', '=', run.id))
        await tx.send(db.updateTable('runs').set({ stream: 2 }).where('id', '=', run.id))
      })
      await pause(0)
    }
  }
}

/** Stores chunks of a run that the caller holds. */
export async function appendChunks(tx: Transaction, run_id: string, chunks: RunChunks): Promise<void> {
  if (chunks.count === 0) return
  const { keep_from } = chunks
  for (const { first_seq, count, text } of inRows(chunks))
    await addChunks.send(tx, { run: run_id, first: first_seq, last: first_seq + count - 1, text })
  if (keep_from === undefined) return
  if ((await forgetBefore.run(tx, { run: run_id, seq: keep_from })).changes > 0)
    await setTrimmed.send(tx, { run: run_id })
}

/** In parts of which a reader need not read too much that it does not want. */
function* inRows({ first_seq, count, text }: RunChunks): Generator<RunChunks> {
  if (text.length <= ROW_CHARACTERS) return yield { first_seq, count, text }
  let from = 0
  let first = first_seq
  let end = 0
  for (let seq = first_seq; seq < first_seq + count; seq++) {
    end = text.indexOf('\n\n', end) + 2
    if (end - from < ROW_CHARACTERS && seq < first_seq + count - 1) continue
    yield { first_seq: first, count: seq - first + 1, text: text.slice(from, end) }
    from = end
    first = seq + 1
  }
}

/** The number of the last chunk stored; 0 when there is none. */
export async function lastSeq(connection: Connection, run_id: string): Promise<number> {
  return (await lastChunk.get(connection, { run: run_id }))?.last_seq ?? 0
}

/** Removes rows of the streams of these runs; answers how many it did. */
export async function deleteChunks(
  tx: Transaction,
  run_ids: readonly string[],
  rows: number,
): Promise<number> {
  if (run_ids.length === 0) return 0
  const some = await tx.all(
    db.selectFrom('run_chunks').select(['run_id', 'first_seq']).where('run_id', 'in', run_ids).limit(rows),
  )
  for (const { run_id, first_seq } of some)
    await tx.send(db.deleteFrom('run_chunks').where('run_id', '=', run_id).where('first_seq', '=', first_seq))
  return some.length
}

/** Throws `already_started` when one run, active or completed, has had all of these otids as its input. */
export async function refuseRepetition(
  connection: Connection,
  actor: Actor,
  conversation_id: string,
  otids: readonly string[],
): Promise<void> {
  const runs = await mapEach(
    otids,
    async (otid) =>
      await runOfOtid.get(connection, { conversation: conversation_id, otid, org: actor.organization_id }),
  )
  const [first] = runs
  if (!first || ['failed', 'cancelled'].includes(first.status)) return
  if (runs.some((run) => run?.id !== first.id)) return
  throw new AppError('already_started', `This message was sent before: run '${first.id}' answers it.`, {
    data: { run_id: first.id },
  })
}

/** Remembers which run these otids have begun. */
export async function keepOtids(
  tx: Transaction,
  conversation_id: string,
  otids: readonly string[],
  run_id: string,
): Promise<void> {
  for (const otid of otids) await setOtid.send(tx, { conversation: conversation_id, otid, run: run_id })
}

async function readAfter(
  connection: Connection,
  run_id: string,
  after: number,
  limit: number,
): Promise<{ text: string; read_to: number }> {
  if (limit === 0) return { text: '', read_to: after }
  let first = (await rowBefore.get(connection, { run: run_id, seq: after + 1 }))?.first_seq ?? 0
  let text = ''
  let read_to = after
  let count = 0
  // Rows are big or small, so more are read as it turns out that they are small.
  for (let rows = FIRST_ROWS; rows <= MAX_ROWS; rows *= 4) {
    const found = await rowsFrom.all(connection, { run: run_id, first, rows })
    for (const row of found) {
      first = row.first_seq + 1
      if (row.last_seq <= after) continue
      const known = Math.max(0, after + 1 - row.first_seq)
      text += known === 0 ? row.text : withoutFirst(row.text, known)
      read_to = row.last_seq
      count += row.last_seq - row.first_seq + 1 - known
      if (count >= limit || text.length > MAX_CHARACTERS) return { text, read_to }
    }
    if (found.length < rows) break
  }
  return { text, read_to }
}

/** The chunks after the first so many: each ends with a blank line. */
function withoutFirst(text: string, chunks: number): string {
  let at = 0
  for (let n = 0; n < chunks; n++) at = text.indexOf('\n\n', at) + 2
  return text.slice(at)
}
