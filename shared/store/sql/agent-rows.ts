import type { Actor } from '../../core/ports/actor.ts'
import type { Agent } from '../../schema/agent.ts'
import type { StopReason } from '../../schema/message.ts'
import type { Connection } from './query.ts'
import { query, db } from './query.ts'
import { withinQuota } from './quota.ts'
import type { AgentRow } from './tables.ts'

/** An agent without its relations; `identity_ids` is empty where they are not read. */
export type BareAgent = Omit<Agent, 'blocks' | 'tools' | 'tags' | 'message_ids'>
type Data = Omit<BareAgent, 'identity_ids' | keyof Omit<AgentRow, 'organization_id' | 'data'>>

const byId = query<{ id: string; org: string }>()((p) =>
  db.selectFrom('agents').selectAll().where('id', '=', p.id).where('organization_id', '=', p.org),
)
const add = query<AgentRow>()((p) =>
  db.insertInto('agents').values({
    id: p.id,
    organization_id: p.organization_id,
    name: p.name,
    created_at: p.created_at,
    updated_at: p.updated_at,
    created_by_id: p.created_by_id,
    last_updated_by_id: p.last_updated_by_id,
    project_id: p.project_id,
    template_id: p.template_id,
    base_template_id: p.base_template_id,
    hidden: p.hidden,
    last_run_completion: p.last_run_completion,
    last_run_duration_ms: p.last_run_duration_ms,
    last_stop_reason: p.last_stop_reason,
    data: p.data,
  }),
)
const agentCount = query<{ org: string }>()((p) =>
  db
    .selectFrom('agents')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('organization_id', '=', p.org),
)
const tagsOf = query<{ agent: string; org: string }>()((p) =>
  db
    .selectFrom('agent_tags')
    .select('tag')
    .where('agent_id', '=', p.agent)
    .where('organization_id', '=', p.org)
    .orderBy('position'),
)

/** Stores an agent, without its relations. Throws `quota_exceeded`. */
export async function insertAgent(tx: Connection, actor: Actor, agent: BareAgent): Promise<void> {
  const most = actor.quota?.agents ?? null
  if (most !== null)
    withinQuota(most, 'agents', (await agentCount.get(tx, { org: actor.organization_id }))?.n ?? 0)
  await add.send(tx, rowOfAgent(actor, agent))
}

/** The row of an agent of the actor's organisation. */
export async function readAgentRow(
  connection: Connection,
  actor: Actor,
  id: string,
): Promise<AgentRow | undefined> {
  return await byId.get(connection, { id, org: actor.organization_id })
}

/** The tags of an agent, in the order they were given. */
export async function tagsOfAgent(connection: Connection, actor: Actor, agent_id: string): Promise<string[]> {
  return (await tagsOf.all(connection, { agent: agent_id, org: actor.organization_id })).map((row) => row.tag)
}

/** The row of an agent: columns for what is queried, JSON for the rest. */
export function rowOfAgent(actor: Actor, agent: BareAgent): AgentRow {
  const {
    id,
    name,
    created_at,
    updated_at,
    created_by_id,
    last_updated_by_id,
    project_id,
    template_id,
    base_template_id,
    hidden,
    last_run_completion,
    last_run_duration_ms,
    last_stop_reason,
    identity_ids: _,
    ...rest
  } = agent
  const data: Data = rest
  return {
    id,
    organization_id: actor.organization_id,
    name,
    created_at,
    updated_at,
    created_by_id,
    last_updated_by_id,
    project_id,
    template_id,
    base_template_id,
    hidden: hidden === null ? null : Number(hidden),
    last_run_completion,
    last_run_duration_ms,
    last_stop_reason,
    data: JSON.stringify(data),
  }
}

/** The agent of a row; its relations are the caller's to fill. */
export function agentOfRow(row: AgentRow): BareAgent {
  return {
    ...(JSON.parse(row.data) as Data),
    identity_ids: [],
    id: row.id,
    name: row.name,
    created_at: row.created_at,
    updated_at: row.updated_at,
    created_by_id: row.created_by_id,
    last_updated_by_id: row.last_updated_by_id,
    project_id: row.project_id,
    template_id: row.template_id,
    base_template_id: row.base_template_id,
    hidden: row.hidden === null ? null : row.hidden === 1,
    last_run_completion: row.last_run_completion,
    last_run_duration_ms: row.last_run_duration_ms,
    last_stop_reason: row.last_stop_reason as StopReason | null,
  }
}
