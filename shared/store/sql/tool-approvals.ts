import type { Actor } from '../../core/ports/actor.ts'
import type { StoredMessage } from '../../schema/message.ts'
import type { Tool, ToolRule } from '../../schema/tool.ts'
import { pendingApproval } from '../../core/ports/open-calls.ts'
import { agentOfRow, readAgentRow, rowOfAgent } from './agent-rows.ts'
import type { Transaction } from './database.ts'
import { MESSAGE_COLUMNS, messageOf } from './messages.ts'
import type { Connection } from './query.ts'
import { query, db } from './query.ts'
import { toolsOfAgent } from './tools.ts'

const lastInContext = query<{ conversation: string; org: string }>()((p) =>
  db
    .selectFrom('context_messages')
    .innerJoin('messages', 'messages.seq', 'context_messages.message_seq')
    .select(MESSAGE_COLUMNS)
    .where('context_messages.conversation_id', '=', p.conversation)
    .where('context_messages.organization_id', '=', p.org)
    .orderBy('context_messages.position', 'desc')
    .limit(1),
)

/** The message that asks for an approval at the end of a conversation, if one does. */
export async function pendingApprovalOf(
  connection: Connection,
  actor: Actor,
  conversation_id: string,
): Promise<StoredMessage | null> {
  const row = await lastInContext.get(connection, {
    conversation: conversation_id,
    org: actor.organization_id,
  })
  return row?.role === 'approval' ? pendingApproval([messageOf(row)]) : null
}

/** Gives the agent the rules of tools that ask for an approval by themselves; `before` are those it had already. */
export async function requireApprovals(
  tx: Transaction,
  actor: Actor,
  agent_id: string,
  before: readonly Tool[],
): Promise<void> {
  const had = new Set(before.map((tool) => tool.id))
  const asking = (await toolsOfAgent(tx, actor, agent_id)).filter(
    (tool) => tool.default_requires_approval === true && !had.has(tool.id),
  )
  for (const tool of asking) await setToolApproval(tx, actor, agent_id, tool.name, true)
}

/** Adds the rule that calls of this tool wait for an approval, or takes it away. */
export async function setToolApproval(
  tx: Transaction,
  actor: Actor,
  agent_id: string,
  tool_name: string,
  required: boolean,
): Promise<void> {
  const row = await readAgentRow(tx, actor, agent_id)
  if (!row) return
  const agent = agentOfRow(row)
  const isIt = (rule: ToolRule) => rule.type === 'requires_approval' && rule.tool_name === tool_name
  if (agent.tool_rules.some(isIt) === required) return
  const rest = agent.tool_rules.filter((rule) => !isIt(rule))
  const { data } = rowOfAgent(actor, {
    ...agent,
    tool_rules: required ? [...rest, { type: 'requires_approval', tool_name }] : rest,
  })
  await tx.send(
    db
      .updateTable('agents')
      .set({ data, updated_at: new Date().toISOString(), last_updated_by_id: actor.user_id })
      .where('id', '=', agent_id)
      .where('organization_id', '=', actor.organization_id),
  )
  await tx.event(actor, 'agent.updated', agent_id, agent_id)
}
