import { flatMapEach, inPages } from '../each.ts'
import { type Selectable, sql } from 'kysely'
import type { UncalledRun } from '../../core/ports/turn-store.ts'
import type { Database } from './database.ts'
import type { Instance } from './instances.ts'
import { query, db } from './query.ts'
import { readRun } from './runs.ts'
import { jsonText } from './json.ts'
import type { Tables } from './tables.ts'
import { CLAIMS, unlessTaken } from './unless-taken.ts'

/** After this time nobody waits for a callback any more, in milliseconds. */
const TOO_LATE_MS = 24 * 3_600_000

/** In the words of the index `runs_to_call`, which holds next to nothing. */
const TO_CALL = sql<boolean>`completed_at is not null and ${jsonText('data', 'callback_url')} is not null
  and ${jsonText('data', 'callback_sent_at')} is null`

/** Runs that are looked at together, and that are taken over at most. */
const MOST = 100

const runsToCall = query<{ since: string; id: string }>()((p) =>
  db
    .selectFrom('runs')
    .select(['id', 'organization_id', 'instance_id', 'completed_at'])
    .where(TO_CALL)
    .where(sql<boolean>`(completed_at, id) > (${p.since}, ${p.id})`)
    .orderBy('completed_at')
    .orderBy('id')
    .limit(MOST),
)
type RunToCall = Pick<Selectable<Tables['runs']>, 'id' | 'organization_id' | 'instance_id' | 'completed_at'>

const claim = query<{ id: string; holder: string; instance: string }>()((p) =>
  db
    .updateTable('runs')
    .set({ instance_id: p.instance })
    .where(
      'id',
      '=',
      db
        .selectFrom('runs')
        .select('id')
        .where('id', '=', p.id)
        .where('instance_id', '=', p.holder)
        .where(TO_CALL)
        .modifyEnd(unlessTaken),
    ),
)

/** Takes over the callbacks of ended runs whose process died before it called; each is handed to one process. */
export async function takeUncalled(database: Database, instance: Instance): Promise<UncalledRun[]> {
  const since = new Date(database.now().getTime() - TOO_LATE_MS).toISOString()
  const left = await database.read(async (c) => {
    const stateOf = instance.states(c)
    const found: { id: string; organization_id: string; holder: string }[] = []
    const rows = inPages<RunToCall>(MOST, (last) =>
      runsToCall.all(c, { since: last?.completed_at ?? since, id: last?.id ?? '' }),
    )
    for await (const { id, organization_id, instance_id: holder } of rows) {
      if (holder === null || holder === instance.id || (await stateOf(holder)) !== 'dead') continue
      found.push({ id, organization_id, holder })
      if (found.length === MOST) break
    }
    return found
  })
  if (left.length === 0) return []
  return await database.write(async (tx) => {
    await instance.lock()
    await instance.register(tx)
    return await flatMapEach(left, async ({ id, holder, organization_id }) => {
      if ((await claim.run(tx, { id, holder, instance: instance.id })).changes === 0) return []
      const run = await readRun(tx, { user_id: '', organization_id }, id)
      return run ? [{ run, organization_id }] : []
    })
  }, CLAIMS)
}
