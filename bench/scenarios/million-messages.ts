import type { Client } from 'pg'
import type { MessageRole } from '../../shared/schema/message.ts'
import { newId } from '../../shared/schema/ids.ts'
import type { Store } from '../../shared/core/ports/store.ts'
import { openStore } from '../../shared/store/open-store.ts'
import type { BenchContext, Place, Scenario } from '../lib/context.ts'
import type { Cell } from '../lib/copy-format.ts'
import { ACTOR, fillAgent, fillTurn, inParallel, sentence } from '../lib/fill.ts'
import { asking, copyInto, withoutIndexes } from '../lib/postgres.ts'
import type { Row } from '../lib/report.ts'
import { percentile, sample } from '../lib/stats.ts'
import { turn } from './operations.ts'

/** Messages of each agent; the newest of them are in its context. */
const EACH = 1_000
const IN_CONTEXT = 100

/** What reads, searches and turns take when there are very many messages, next to when there are few. */
export const millionMessages: Scenario = async (context) => {
  const many = context.rows ?? context.sized(1_000_000, 40_000, 2_000)
  // The store that the large one stands next to.
  const few = context.sized(10_000, 10_000, 1_000)
  const times = context.sized(200, 40, 2)
  const rows: Row[] = []
  const took = new Map<number, Map<string, number[]>>()
  for (const count of [few, many]) {
    const place = await context.place()
    const began = performance.now()
    const agents = await fill(place, count, context)
    rows.push({
      scenario: 'million-messages',
      what: `${count} messages: filled${place.address === null ? '' : ', most of them with COPY'}`,
      unit: 'messages/s',
      value: count / ((performance.now() - began) / 1000),
    })
    context.progress(`million-messages: measuring ${count}`)
    took.set(count, await measure(place, agents, times))
  }
  for (const [what, large] of took.get(many)!)
    for (const [name, share] of [
      ['p50', 0.5],
      ['p95', 0.95],
    ] as const)
      rows.push({
        scenario: 'million-messages',
        what: `${many} messages, next to ${few}: ${what}, ${name}`,
        unit: 'ms',
        value: percentile(large, share),
        floor: percentile(took.get(few)!.get(what)!, share),
      })
  return rows
}

/** Agents with their messages; gives their ids. */
async function fill(place: Place, count: number, context: BenchContext): Promise<string[]> {
  const store = await openStore({ ...place })
  const ids: string[] = []
  try {
    await inParallel(count / EACH, 4, async (i) => {
      ids[i] = await fillAgent(store, `agent ${i}`, true)
    })
    const { address } = place
    if (address !== null) await asking(address, (client) => fillOlder(client, ids, store, context))
    await inParallel(ids.length, 4, async (i) => {
      context.progress(`million-messages: ${i * EACH} of ${count} messages`)
      // PostgreSQL has these already.
      for (let done = address === null ? 0 : EACH - IN_CONTEXT; done < EACH; done += IN_CONTEXT)
        await fillTurn(store, ids[i]!, IN_CONTEXT, i * EACH + done)
    })
    if (address !== null) await asking(address, (client) => client.query('VACUUM ANALYZE'))
  } finally {
    await store.close()
  }
  return ids
}

/** All but the newest messages of the agents, as the store has written one, with their words. */
async function fillOlder(
  client: Client,
  ids: readonly string[],
  store: Store,
  context: BenchContext,
): Promise<void> {
  const older = EACH - IN_CONTEXT
  const sample = await fillAgent(store, 'sample', true)
  await fillTurn(store, sample, 2, 0)
  const { rows } = await client.query('SELECT data FROM messages WHERE agent_id = $1 AND role = $2', [
    sample,
    'user',
  ])
  const data = (rows as { data: string }[])[0]?.data ?? ''
  const created = new Date().toISOString()
  function* messages(): Generator<Cell[]> {
    for (let n = 0; n < older; n++)
      for (const [i, id] of ids.entries()) {
        if (i === 0 && n % 10 === 0)
          context.progress(`million-messages: ${n * ids.length} of ${older * ids.length} older messages`)
        const text = data.replace(sentence(0), sentence(i * EACH + n))
        const role = n % 2 === 0 ? 'user' : 'assistant'
        yield [newId('message'), ACTOR.organization_id, id, id, role, 0, 1, created, text]
      }
  }
  const columns = 'id organization_id agent_id conversation_id role is_err searchable created_at data'.split(
    ' ',
  )
  await client.query("SET maintenance_work_mem = '1GB'")
  await withoutIndexes(client, ['messages_fts_by_word'], async () => {
    await copyInto(client, 'messages', columns, messages(), await context.folder())
    context.progress('million-messages: words')
    await client.query(
      `INSERT INTO messages_fts (rowid, owner, text) SELECT seq, owner,
        to_tsvector('loci', words) || ('''=' || owner || '''')::tsvector
        FROM (SELECT seq, data::json #>> '{content,0,text}' AS words,
          regexp_replace(agent_id, '[^[:alnum:]]', '', 'g') AS owner
          FROM messages WHERE searchable = 1 AND NOT EXISTS (SELECT FROM messages_fts WHERE rowid = seq)) AS m`,
    )
  })
  await client.query('UPDATE conversations SET message_count = message_count + $1 WHERE id = ANY ($2)', [
    older,
    ids,
  ])
}

async function measure(place: Place, ids: readonly string[], times: number): Promise<Map<string, number[]>> {
  // Nothing is remembered of what was filled.
  const store = await openStore({ ...place })
  const agent = (i: number) => ids[(i * 7919) % ids.length]!
  const index = (i: number) => (i * 7919) % ids.length
  const roles: MessageRole[] = ['user', 'assistant']
  const actions: Record<string, (i: number) => Promise<unknown>> = {
    'the 50 newest messages of an agent': (i) =>
      store.messages.list(ACTOR, { agent_id: agent(i) }, { limit: 50, order: 'desc' }),
    'the 50 newest messages of all agents': () =>
      store.messages.list(ACTOR, {}, { limit: 50, order: 'desc' }),
    [`a context of ${IN_CONTEXT} messages`]: (i) => store.turns.getContext(ACTOR, agent(i), agent(i)),
    "an agent's messages with any of three words": (i) =>
      store.messages.search(ACTOR, {
        agent_id: agent(i),
        query: sentence(index(i) * EACH + 4, 3),
        roles,
        limit: 10,
      }),
    'the messages of all agents with any of three words': (i) =>
      store.messages.search(ACTOR, { query: sentence(index(i) * EACH + 4, 3), roles, limit: 10 }),
    'a turn is opened and committed': (i) => turn(store, agent(i), i, false),
  }
  const all = new Map<string, number[]>()
  try {
    for (const [what, action] of Object.entries(actions)) {
      const few = what.includes('of all agents') ? Math.ceil(times / 8) : times
      // Contexts are remembered: each is read once, where there are enough.
      await sample(5, (i) => action(few + i))
      all.set(what, await sample(few, action))
    }
  } finally {
    await store.close()
  }
  return all
}
