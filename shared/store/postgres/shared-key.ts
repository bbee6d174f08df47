import { query, db } from '../sql/query.ts'
import type { Agreement } from '../secret-box.ts'
import type { PostgresDatabase } from './database.ts'

/** The row of `meta` that names it. */
export const KEY = 'encryption_key_id'

const keyId = query<object>()(() => db.selectFrom('meta').select('value').where('key', '=', KEY))

/** The id of the key that the secrets of a database are encrypted with: servers on other machines must have the same. */
export class SharedKey implements Agreement {
  readonly #database: PostgresDatabase
  /** Who has a key agreed on that is theirs asks no more. */
  #agreed: string | null = null

  constructor(database: PostgresDatabase) {
    this.#database = database
  }

  async agree(key_id: string): Promise<string> {
    if (this.#agreed !== null) return this.#agreed
    const agreed =
      (await this.agreed()) ??
      (await this.#database.write(async (tx) => {
        await tx.run(
          db
            .insertInto('meta')
            .values({ key: KEY, value: key_id })
            .onConflict((conflict) => conflict.column('key').doNothing()),
        )
        return (await keyId.get(tx, {}))?.value ?? key_id
      }))
    if (agreed === key_id) this.#agreed = agreed
    return agreed
  }

  async agreed(): Promise<string | null> {
    return (await this.#database.read((c) => keyId.get(c, {})))?.value ?? null
  }
}
