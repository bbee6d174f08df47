import { db, query } from './query.ts'

/** The row of an event. */
export const insertEvent = query<{
  org: string
  type: string
  object: string
  agent: string | null
  date: string
}>()((p) =>
  db
    .insertInto('events')
    .values({ organization_id: p.org, type: p.type, object_id: p.object, agent_id: p.agent, date: p.date }),
)
