import type { Actor } from '../../core/ports/actor.ts'
import type { ProviderCall, ProviderCallStore } from '../../core/ports/provider-batches.ts'
import type { Database, Transaction } from './database.ts'
import { sqlite } from './query.ts'

/** Model calls that wait in batches of their providers; a few rows for each run that is under way. */
export class SqliteProviderCalls implements ProviderCallStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async add(actor: Actor, call: ProviderCall): Promise<void> {
    const { organization_id } = actor
    const row = { ...call, organization_id, provider_batch_id: null, given: 0 }
    await this.#database.write((tx) => tx.run(sqlite.insertInto('provider_calls').values(row)))
  }

  sent(custom_ids: readonly string[], provider_batch_id: string): Promise<boolean> {
    return this.#database.write((tx) => {
      let wanted = 0
      for (const custom_id of custom_ids)
        wanted += tx.run(
          sqlite.updateTable('provider_calls').set({ provider_batch_id }).where('custom_id', '=', custom_id),
        )
      return wanted > 0
    })
  }

  async unsent(custom_ids: readonly string[]): Promise<void> {
    await this.#database.write((tx) => {
      for (const custom_id of custom_ids)
        tx.run(sqlite.deleteFrom('provider_calls').where('custom_id', '=', custom_id))
    })
  }

  async find(
    actor: Actor,
    run_id: string,
    request_hash: string,
  ): Promise<{ custom_id: string; provider_batch_id: string } | null> {
    const row = await this.#database.read((c) =>
      c.get(
        ofRun(actor, run_id)
          .select(['custom_id', 'provider_batch_id'])
          .where('request_hash', '=', request_hash)
          .where('provider_batch_id', 'is not', null)
          .orderBy('seq', 'desc')
          .limit(1),
      ),
    )
    const { custom_id, provider_batch_id } = row ?? {}
    return custom_id === undefined || provider_batch_id == null ? null : { custom_id, provider_batch_id }
  }

  async given(custom_id: string): Promise<void> {
    await this.#database.write((tx) =>
      tx.run(sqlite.updateTable('provider_calls').set({ given: 1 }).where('custom_id', '=', custom_id)),
    )
  }

  runEnded(actor: Actor, run_id: string): Promise<{ provider_batch_id: string; handle: string }[]> {
    return this.#database.write((tx) => {
      const rows = tx.all(ofRun(actor, run_id).select(['provider_batch_id', 'handle']).where('given', '=', 0))
      tx.run(
        sqlite
          .deleteFrom('provider_calls')
          .where('run_id', '=', run_id)
          .where('organization_id', '=', actor.organization_id),
      )
      return rows.flatMap(({ provider_batch_id, handle }) =>
        provider_batch_id === null || isAwaited(tx, provider_batch_id, handle)
          ? []
          : [{ provider_batch_id, handle }],
      )
    })
  }
}

function ofRun(actor: Actor, run_id: string) {
  return sqlite
    .selectFrom('provider_calls')
    .where('run_id', '=', run_id)
    .where('organization_id', '=', actor.organization_id)
}

/** Whether another run, of whichever organisation, waits in this batch of the model's provider. */
function isAwaited(tx: Transaction, provider_batch_id: string, handle: string): boolean {
  const provider = handle.slice(0, handle.indexOf('/') + 1)
  return tx
    .all(
      sqlite
        .selectFrom('provider_calls')
        .select('handle')
        .where('provider_batch_id', '=', provider_batch_id)
        .where('given', '=', 0),
    )
    .some((row) => row.handle.startsWith(provider))
}
