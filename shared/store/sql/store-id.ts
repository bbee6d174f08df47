import type { Database } from './database.ts'
import { query, db } from './query.ts'

const KEY = 'store_id'
const stored = query<object>()(() => db.selectFrom('meta').select('value').where('key', '=', KEY))
const store = query<{ value: string }>()((p) => db.insertInto('meta').values({ key: KEY, value: p.value }))

/** What tells this store from all others; made when it is first asked for. */
export async function storeId(database: Database): Promise<string> {
  const found = await database.read((c) => stored.get(c, {}))
  if (found) return found.value
  return await database.write(async (tx) => {
    const there = await stored.get(tx, {})
    if (there) return there.value
    const value = crypto.randomUUID()
    await store.send(tx, { value })
    return value
  })
}
