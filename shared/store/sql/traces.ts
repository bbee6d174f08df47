import { mapEach } from '../each.ts'
import { createHash } from 'node:crypto'
import type { Actor } from '../../core/ports/actor.ts'
import type { NewTrace, Trace, TraceStore } from '../../core/ports/trace-store.ts'
import type { StoredMessage } from '../../schema/message.ts'
import type { Database, Transaction } from './database.ts'
import { MESSAGE_COLUMNS, messageOf } from './messages.ts'
import { query, db } from './query.ts'
import { inSlices } from './slices.ts'

/** Conversations whose last trace is remembered, so that the next one tells only what is new. */
const REMEMBERED = 2000
const DELETED_ROWS = { first: 50, most: 500 }
const MESSAGE_PREFIX = 'message-'

const traceById = query<{ step: string; org: string }>()((p) =>
  db.selectFrom('traces').selectAll().where('step_id', '=', p.step).where('organization_id', '=', p.org),
)
const addTrace = query<{
  step: string
  org: string
  day: number
  base: string | null
  keep: number
  added: string
  system: Buffer
  tools: Buffer
  data: string
}>()((p) =>
  db.insertInto('traces').values({
    step_id: p.step,
    organization_id: p.org,
    day: p.day,
    base: p.base,
    keep: p.keep,
    added: p.added,
    system: p.system,
    tools: p.tools,
    data: p.data,
  }),
)
const textByHash = query<{ hash: Buffer; org: string }>()((p) =>
  db.selectFrom('trace_texts').select('text').where('hash', '=', p.hash).where('organization_id', '=', p.org),
)
const addText = query<{ hash: Buffer; org: string; day: number; text: string }>()((p) =>
  db
    .insertInto('trace_texts')
    .values({ hash: p.hash, organization_id: p.org, day: p.day, text: p.text })
    .onConflict((conflict) =>
      conflict
        .columns(['organization_id', 'hash'])
        .doUpdateSet({ day: p.day })
        .where('trace_texts.day', '<', p.day),
    ),
)
const messageById = query<{ id: string; org: string }>()((p) =>
  db
    .selectFrom('messages')
    .select(MESSAGE_COLUMNS)
    .where('id', '=', p.id)
    .where('organization_id', '=', p.org),
)

/** The end of a chain: each trace of it tells how its context differs from the one before. */
interface ChainEnd {
  step_id: string
  day: number
  length: number
  second: string | undefined
  last: string | undefined
  system: { text: string; hash: Buffer }
  tools: { text: string; hash: Buffer }
}

/**
 * Writes the traces of this process. A request is kept as references: to its stored messages, as what it has more than
 * the request before in the same conversation, and to its system message and tools, whose texts are kept once. So the
 * traces of n steps over one prompt take the room of n small rows, not of n prompts.
 */
export class TraceWriter {
  readonly #ends = new Map<string, ChainEnd>()

  /** Keeps the trace of a step that is committed in this transaction. */
  async add(
    tx: Transaction,
    actor: Actor,
    conversation_id: string,
    step_id: string,
    trace: NewTrace,
  ): Promise<void> {
    const { context } = trace
    const day = dayOf(Date.now())
    const known = this.#ends.get(conversation_id)
    const end = known && continues(context, known) && known.day === day ? known : null
    const keep = end?.length ?? 0
    const system = await this.#text(tx, actor, day, trace.system, end?.system)
    const tools = await this.#text(tx, actor, day, JSON.stringify(trace.tools), end?.tools)
    const { settings, view, model, response } = trace
    await addTrace.send(tx, {
      step: step_id,
      org: actor.organization_id,
      day,
      base: end?.step_id ?? null,
      keep,
      added: context
        .slice(keep)
        .map((message) => message.id.slice(MESSAGE_PREFIX.length))
        .join(' '),
      system: system.hash,
      tools: tools.hash,
      data: JSON.stringify({ settings, view, model, response }),
    })
    const next: ChainEnd = {
      step_id,
      day,
      length: context.length,
      second: context[1]?.id,
      last: context.at(-1)?.id,
      system,
      tools,
    }
    tx.afterwards(
      () => this.#remember(conversation_id, next),
      () => this.#ends.delete(conversation_id),
    )
  }

  async #text(
    tx: Transaction,
    actor: Actor,
    day: number,
    text: string,
    known: ChainEnd['system'] | undefined,
  ): Promise<ChainEnd['system']> {
    if (known?.text === text) return known
    const hash = createHash('sha256').update(text).digest().subarray(0, 16)
    await addText.send(tx, { hash, org: actor.organization_id, day, text })
    return { text, hash }
  }

  #remember(conversation_id: string, end: ChainEnd): void {
    this.#ends.delete(conversation_id)
    this.#ends.set(conversation_id, end)
    const [oldest] = this.#ends.keys()
    if (this.#ends.size > REMEMBERED && oldest !== undefined) this.#ends.delete(oldest)
  }
}

/**
 * Whether a context is what it was and more. Contexts change by what is added at their end, by a summary in the place
 * of their beginning, and by a rewind, which takes their end: the second message and the last tell these apart.
 */
function continues(context: readonly StoredMessage[], end: ChainEnd): boolean {
  return (
    context.length >= end.length &&
    context[1]?.id === (end.length > 1 ? end.second : context[1]?.id) &&
    context[end.length - 1]?.id === end.last
  )
}

/** Days since 1970, UTC. */
function dayOf(time: number): number {
  return Math.floor(time / 86_400_000)
}

/** Reads and prunes traces; `TraceWriter` writes them. */
export class SqlTraces implements TraceStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  get(actor: Actor, step_id: string): Promise<Trace | null> {
    const org = actor.organization_id
    return this.#database.read(async (c) => {
      const row = await traceById.get(c, { step: step_id, org })
      if (!row || row.data === '') return null
      const chain = [row]
      for (let base = row.base; base !== null;) {
        const before = await traceById.get(c, { step: base, org })
        if (!before) break
        chain.push(before)
        base = before.base
      }
      const whole = chain.at(-1)?.base === null
      const ids: string[] = []
      for (const part of chain.toReversed()) {
        ids.length = Math.min(ids.length, part.keep)
        if (part.added !== '') ids.push(...part.added.split(' ').map((id) => MESSAGE_PREFIX + id))
      }
      const found = await mapEach(ids, async (id) => await messageById.get(c, { id, org }))
      const text = async (hash: Uint8Array) =>
        (await textByHash.get(c, { hash: Buffer.from(hash), org }))?.text
      const tools = await text(row.tools)
      return {
        step_id,
        context: found.flatMap((message) => (message ? [messageOf(message)] : [])),
        missing: [
          ...(whole ? [] : ['the beginning of the conversation']),
          ...ids.filter((_, i) => !found[i]),
        ],
        system: (await text(row.system)) ?? '',
        tools: tools === undefined ? [] : (JSON.parse(tools) as Trace['tools']),
        ...(JSON.parse(row.data) as Pick<Trace, 'settings' | 'view' | 'model' | 'response'>),
      }
    })
  }

  async prune(before: Date): Promise<void> {
    const day = dayOf(before.getTime())
    // Ids of steps are in order of time: the oldest traces come first.
    const oldest = (limit: number) =>
      db.selectFrom('traces').select(['step_id', 'day']).orderBy('step_id').limit(limit)
    const isOld = (row: { day: number } | undefined) => row !== undefined && row.day < day
    if (!isOld(await this.#database.read(async (c) => await c.get(oldest(1))))) return
    await inSlices(this.#database, DELETED_ROWS, async (tx, rows) => {
      const some = (await tx.all(oldest(rows))).filter(isOld)
      if (this.#database.closed || some.length === 0) return false
      await deleteTraces(
        tx,
        some.map((row) => row.step_id),
      )
      return true
    })
    // A chain begins anew each day and then names its texts again: what no chain of the days that are kept uses can go.
    await this.#database.write(
      async (tx) => await tx.run(db.deleteFrom('trace_texts').where('day', '<', day)),
    )
  }
}

/** Deletes the traces of these steps; those of later steps of the same conversations must go with them. */
export async function deleteTraces(tx: Transaction, step_ids: readonly string[]): Promise<void> {
  if (step_ids.length > 0) await tx.send(db.deleteFrom('traces').where('step_id', 'in', step_ids))
}

/** Forgets what was asked and answered in the steps of a run; later traces of the conversation can still be read. */
export async function forgetTraces(tx: Transaction, run_id: string): Promise<void> {
  const steps = db.selectFrom('steps').select('id').where('run_id', '=', run_id)
  await tx.send(db.updateTable('traces').set({ data: '' }).where('step_id', 'in', steps))
}
