import { findEach, inPages, mapEach } from '../each.ts'
import { sql } from 'kysely'
import type { Actor } from '../../core/ports/actor.ts'
import type {
  BatchCallback,
  BatchClaim,
  BatchOutcome,
  BatchStore,
  NewBatch,
} from '../../core/ports/batch-store.ts'
import type { Batch, BatchItem, BatchItemError } from '../../schema/batch.ts'
import { AppError } from '../../schema/errors.ts'
import type { Page } from '../../schema/page.ts'
import { batchItemOfRow, batchOfRow, endIfDone, readBatchRow } from './batch-rows.ts'
import type { Database, Transaction } from './database.ts'
import type { Instance } from './instances.ts'
import { windowOf } from './page.ts'
import type { Connection } from './query.ts'
import { query, db } from './query.ts'
import { jsonTexts } from './json.ts'
import type { BatchItemRow } from './tables.ts'
import type { BatchRow } from './tables.ts'
import { CLAIMS, unlessTaken } from './unless-taken.ts'

/** Claims after which a request that has begun no run is given up: what is in it ends the process. */
const MAX_ATTEMPTS = 3
/** After this time nobody waits for a callback any more, in milliseconds. */
const TOO_LATE_MS = 24 * 3_600_000

const running = query<object>()(() =>
  db
    .selectFrom('batch_items')
    .selectAll()
    .where(sql<boolean>`status = 'running'`),
)
const waiting = query<{ except: string; first: 0 | 1; last: 0 | 1 }>()((p) =>
  db
    .selectFrom('batch_items as item')
    .selectAll()
    .where(sql<boolean>`item.status = 'pending'`)
    .where(sql<boolean>`item.provider_batch between ${p.first} and ${p.last}`)
    .where(sql<boolean>`item.agent_id not in ${jsonTexts(p.except)}`)
    .where(
      sql<boolean>`not exists (select 1 from batch_items as busy where busy.status = 'running' and busy.agent_id = item.agent_id)`,
    )
    .orderBy('item.seq')
    .limit(1),
)
/** Batches to call back for that are looked at together: others may be at it. */
const LOOKED_AT = 100

const toCall = query<{ since: string; id: string }>()((p) =>
  db
    .selectFrom('batches')
    .selectAll()
    .where(sql<boolean>`completed_at is not null and callback_url is not null and callback_sent_at is null`)
    .where(sql<boolean>`(completed_at, id) > (${p.since}, ${p.id})`)
    .orderBy('completed_at')
    .orderBy('id')
    .limit(LOOKED_AT),
)

/**
 * Of those who take from the queue one goes on at a time, until its transaction ends: what is taken depends on all that
 * runs. 'locq' in ASCII.
 */
const inTurn = sql`select pg_advisory_xact_lock(${sql.lit(0x6c6f6371)})`
const freeBatch = query<{ id: string; holder: string | null }>()((p) =>
  db
    .selectFrom('batches')
    .select('id')
    .where('id', '=', p.id)
    .where('callback_sent_at', 'is', null)
    .where('callback_instance_id', 'is not distinct from', p.holder)
    .modifyEnd(unlessTaken),
)

/** A request that nobody is to begin any more. */
interface GivenUp {
  given_up: Pick<BatchItemRow, 'id' | 'batch_id' | 'status' | 'instance_id' | 'attempts'>
}

/** Batches and their queue. */
export class SqlBatches implements BatchStore {
  readonly #database: Database
  readonly #instance: Instance

  constructor(database: Database, instance: Instance) {
    this.#database = database
    this.#instance = instance
  }

  create(actor: Actor, batch: NewBatch): Promise<Batch> {
    return this.#database.write(async (tx) => {
      const now = new Date().toISOString()
      const { organization_id } = actor
      const provider_batch = batch.provider_batch ? 1 : 0
      await tx.send(
        db.insertInto('batches').values({
          id: batch.id,
          organization_id,
          status: 'running',
          created_at: now,
          updated_at: now,
          completed_at: null,
          created_by_id: actor.user_id,
          callback_url: batch.callback_url,
          callback_sent_at: null,
          callback_status_code: null,
          callback_error: null,
          callback_instance_id: null,
          provider_batch,
        }),
      )
      for (const { id, agent_id, request } of batch.items)
        await tx.send(
          db.insertInto('batch_items').values({
            id,
            organization_id,
            batch_id: batch.id,
            agent_id,
            status: 'pending',
            run_id: null,
            error: null,
            instance_id: null,
            attempts: 0,
            created_at: now,
            completed_at: null,
            request: JSON.stringify(request),
            provider_batch,
            local_reason: null,
          }),
        )
      return await stored(tx, actor, batch.id)
    })
  }

  get(actor: Actor, batch_id: string): Promise<Batch | null> {
    return this.#database.read(async (c) => {
      const row = await readBatchRow(c, actor, batch_id)
      return row ? await batchOfRow(c, row) : null
    })
  }

  list(actor: Actor, page: Page): Promise<Batch[]> {
    return this.#database.read(async (c) => {
      const { organization_id } = actor
      const window = await windowOf(c, organization_id, { table: 'batches', column: 'created_at' }, page)
      let rows = db.selectFrom('batches').selectAll().where('organization_id', '=', organization_id)
      for (const condition of window.conditions) rows = rows.where(condition)
      const found = await mapEach(
        await c.all(rows.orderBy(window.direction).limit(page.limit)),
        async (row) => await batchOfRow(c, row),
      )
      return window.turned ? found.toReversed() : found
    })
  }

  items(actor: Actor, batch_id: string, page: Page): Promise<BatchItem[]> {
    return this.#database.read(async (c) => {
      const sorting = { table: 'batch_items', column: 'seq', tie: 'seq' } as const
      const window = await windowOf(c, actor.organization_id, sorting, page)
      let rows = itemsOf(actor, batch_id).selectAll()
      for (const condition of window.conditions) rows = rows.where(condition)
      const found = (await c.all(rows.orderBy(window.direction).limit(page.limit))).map(batchItemOfRow)
      return window.turned ? found.toReversed() : found
    })
  }

  itemsOfRuns(actor: Actor, batch_id: string, run_ids: readonly string[]): Promise<Map<string, string>> {
    const rows = itemsOf(actor, batch_id).select(['id', 'run_id']).where('run_id', 'in', run_ids)
    return this.#database.read(
      async (c) => new Map((await c.all(rows)).map(({ id, run_id }) => [run_id ?? '', id])),
    )
  }

  async claim(options: Parameters<BatchStore['claim']>[0]): Promise<BatchClaim | null> {
    const { at_once, at_providers, except } = options
    const free = async (c: Connection) => {
      const busy = await running.all(c, {})
      const stateOf = this.#instance.states(c)
      const left = await findEach(
        busy,
        async ({ id, instance_id }) => await this.#isFree(id, instance_id, stateOf),
      )
      if (left) return left
      const there = busy.filter((row) => row.provider_batch === 1 && row.local_reason === null).length
      const first = busy.length - there < at_once ? 0 : 1
      const last = there < at_providers && busy.length < at_once + at_providers ? 1 : 0
      if (first > last) return undefined
      return await waiting.get(c, { except: JSON.stringify([...except]), first, last })
    }
    if (!(await this.#database.read(free))) return null
    await this.#instance.lock()
    const claimed = await this.#database.write(async (tx): Promise<BatchClaim | GivenUp | null> => {
      if (tx.engine === 'postgres') await tx.send(inTurn)
      const row = await free(tx)
      if (!row) return null
      const attempt = row.run_id === null ? row.attempts + 1 : row.attempts
      if (attempt > MAX_ATTEMPTS) return { given_up: row }
      const batch = await tx.get(db.selectFrom('batches').selectAll().where('id', '=', row.batch_id))
      await this.#instance.register(tx)
      const taken = await tx.run(
        db
          .updateTable('batch_items')
          .set({ status: 'running', instance_id: this.#instance.id, attempts: attempt })
          .where('id', '=', row.id)
          .where('status', '=', row.status)
          .where('instance_id', 'is not distinct from', row.instance_id),
      )
      // It was cancelled just now, or its process came back.
      if (taken === 0) return null
      tx.alongside(
        () => this.#instance.leaseTaken(row.id),
        () => this.#instance.leaseReleased(row.id),
      )
      return {
        item_id: row.id,
        batch_id: row.batch_id,
        agent_id: row.agent_id,
        actor: { user_id: batch?.created_by_id ?? '', organization_id: row.organization_id },
        run_id: row.run_id,
        request: JSON.parse(row.request ?? '{}') as Record<string, unknown>,
        provider_batch: row.provider_batch === 1,
        attempt,
      }
    }, CLAIMS)
    if (claimed === null || !('given_up' in claimed)) return claimed
    await this.#giveUp(claimed.given_up)
    return this.claim(options)
  }

  /** Ends a request whose beginning ends processes, unless somebody has it now. */
  async #giveUp(row: GivenUp['given_up']): Promise<void> {
    const message = `Beginning it ended the process ${row.attempts} times in a row, so it was given up.`
    const error: BatchItemError = { type: 'internal_error', message, detail: 'interrupted' }
    await this.#database.write(async (tx) => {
      const now = await tx.get(db.selectFrom('batch_items').selectAll().where('id', '=', row.id))
      if (now?.status === row.status && now.instance_id === row.instance_id && now.attempts === row.attempts)
        await endItem(tx, row, { status: 'failed', error })
    })
  }

  async askedLocally(actor: Actor, item_id: string, local_reason: string): Promise<void> {
    await this.#database.write(
      async (tx) =>
        await tx.run(
          db
            .updateTable('batch_items')
            .set({ local_reason })
            .where('id', '=', item_id)
            .where('organization_id', '=', actor.organization_id),
        ),
    )
  }

  begun(claim: BatchClaim, run_id: string): Promise<'held' | 'cancelled' | 'lost'> {
    return this.#database.write(async (tx) => {
      if (!(await this.#held(tx, claim))) return 'lost'
      await tx.send(db.updateTable('batch_items').set({ run_id }).where('id', '=', claim.item_id))
      const batch = await tx.get(db.selectFrom('batches').select('status').where('id', '=', claim.batch_id))
      return batch?.status === 'running' ? 'held' : 'cancelled'
    })
  }

  async release(claim: BatchClaim): Promise<void> {
    const write = this.#database.write(async (tx) => {
      const row = await this.#held(tx, claim)
      if (!row) return
      const batch = await tx.get(db.selectFrom('batches').select('status').where('id', '=', claim.batch_id))
      if (batch?.status !== 'running') return await endItem(tx, row, { status: 'cancelled' })
      await tx.send(
        db
          .updateTable('batch_items')
          .set({ status: 'pending', instance_id: null, attempts: Math.max(0, claim.attempt - 1) })
          .where('id', '=', claim.item_id),
      )
    })
    await write.finally(() => this.#instance.leaseReleased(claim.item_id))
  }

  async finish(claim: BatchClaim, outcome: BatchOutcome): Promise<boolean> {
    const write = this.#database.write(async (tx) => {
      const row = await this.#held(tx, claim)
      if (row) await endItem(tx, row, outcome)
      return row !== undefined
    })
    // Also when it failed: it is taken up again then.
    return await write.finally(() => this.#instance.leaseReleased(claim.item_id))
  }

  cancel(actor: Actor, batch_id: string): Promise<string[] | null> {
    return this.#database.write(async (tx) => {
      const row = await readBatchRow(tx, actor, batch_id)
      if (!row) return null
      if (row.status === 'completed' || row.status === 'failed')
        throw new AppError('conflict', `The batch '${batch_id}' has ended: it is ${row.status}.`)
      if (row.completed_at !== null) return []
      const now = new Date().toISOString()
      await tx.send(
        db
          .updateTable('batch_items')
          .set({ status: 'cancelled', completed_at: now, request: null })
          .where('batch_id', '=', batch_id)
          .where('status', '=', 'pending'),
      )
      await tx.send(
        db.updateTable('batches').set({ status: 'cancelled', updated_at: now }).where('id', '=', batch_id),
      )
      await endIfDone(tx, batch_id)
      const runs = itemsOf(actor, batch_id).select('run_id').where('status', '=', 'running')
      return (await tx.all(runs)).flatMap(({ run_id }) => run_id ?? [])
    })
  }

  async takeCallback(): Promise<BatchCallback | null> {
    const since = new Date(this.#database.now().getTime() - TOO_LATE_MS).toISOString()
    const find = async (
      c: Connection,
      take: (row: { id: string; holder: string | null }) => Promise<boolean>,
    ) => {
      const stateOf = this.#instance.states(c)
      return await findEach(
        inPages<BatchRow>(LOOKED_AT, (last) =>
          toCall.all(c, { since: last?.completed_at ?? since, id: last?.id ?? '' }),
        ),
        async ({ id, callback_instance_id: holder }) =>
          (await this.#isFree(id, holder, stateOf)) && (await take({ id, holder })),
      )
    }
    if (!(await this.#database.read((c) => find(c, async () => true)))) return null
    await this.#instance.lock()
    return await this.#database.write(async (tx) => {
      const row = await find(tx, async (key) => (await freeBatch.get(tx, key)) !== undefined)
      if (row?.callback_url == null) return null
      await this.#instance.register(tx)
      const mine = { callback_instance_id: this.#instance.id }
      await tx.send(db.updateTable('batches').set(mine).where('id', '=', row.id))
      tx.alongside(
        () => this.#instance.leaseTaken(row.id),
        () => this.#instance.leaseReleased(row.id),
      )
      const actor = { user_id: row.created_by_id, organization_id: row.organization_id }
      return { batch: await batchOfRow(tx, row), actor, url: row.callback_url }
    }, CLAIMS)
  }

  async saveCallback(
    { batch, actor }: BatchCallback,
    outcome: Parameters<BatchStore['saveCallback']>[1],
  ): Promise<void> {
    const { callback_sent_at, callback_status_code, callback_error } = outcome
    const write = this.#database.write(
      async (tx) =>
        await tx.run(
          db
            .updateTable('batches')
            .set({ callback_sent_at, callback_status_code, callback_error })
            .where('id', '=', batch.id)
            .where('organization_id', '=', actor.organization_id),
        ),
    )
    await write.finally(() => this.#instance.leaseReleased(batch.id))
  }

  /** Nobody holds it, or who does is gone, or it is this process and no longer at it. */
  async #isFree(
    id: string,
    holder: string | null,
    stateOf: ReturnType<Instance['states']>,
  ): Promise<boolean> {
    if (holder === null) return true
    if (holder === this.#instance.id) return !this.#instance.holds(id)
    return (await stateOf(holder)) !== 'alive'
  }

  async #held(tx: Transaction, claim: BatchClaim) {
    return await tx.get(
      db
        .selectFrom('batch_items')
        .selectAll()
        .where('id', '=', claim.item_id)
        .where('instance_id', '=', this.#instance.id)
        .where('status', '=', 'running'),
    )
  }
}

function itemsOf(actor: Actor, batch_id: string) {
  return db
    .selectFrom('batch_items')
    .where('batch_id', '=', batch_id)
    .where('organization_id', '=', actor.organization_id)
}

async function stored(connection: Connection, actor: Actor, batch_id: string): Promise<Batch> {
  const row = await readBatchRow(connection, actor, batch_id)
  if (!row) throw new AppError('internal', `the batch '${batch_id}' was not stored`)
  return await batchOfRow(connection, row)
}

async function endItem(
  tx: Transaction,
  item: { id: string; batch_id: string },
  outcome: BatchOutcome,
): Promise<void> {
  const error: BatchItemError | null = outcome.status === 'failed' ? outcome.error : null
  await tx.send(
    db
      .updateTable('batch_items')
      .set({
        status: outcome.status,
        error: error && JSON.stringify(error),
        completed_at: new Date().toISOString(),
        instance_id: null,
        request: null,
      })
      .where('id', '=', item.id),
  )
  await endIfDone(tx, item.batch_id)
}
