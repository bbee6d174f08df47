import type { Actor } from '../../core/ports/actor.ts'
import type { SecretStore } from '../../core/ports/secret-store.ts'
import type { AgentSecret } from '../../schema/agent.ts'
import { isAppError } from '../../schema/errors.ts'
import { newId } from '../../schema/ids.ts'
import type { SecretBox, SecretKeys } from '../secret-box.ts'
import type { Database, Transaction } from './database.ts'
import type { Connection } from './query.ts'
import { query, db } from './query.ts'
import type { AgentSecretRow } from './tables.ts'

const ofAgent = query<{ agent: string; org: string }>()((p) =>
  db
    .selectFrom('agent_secrets')
    .selectAll()
    .where('agent_id', '=', p.agent)
    .where('organization_id', '=', p.org)
    .orderBy('position'),
)
const namesOf = query<{ agent: string; org: string }>()((p) =>
  db
    .selectFrom('agent_secrets')
    .select('name')
    .where('agent_id', '=', p.agent)
    .where('organization_id', '=', p.org)
    .orderBy('position'),
)

/** Secrets of agents, each value encrypted for its agent and name. */
export class SqlSecrets implements SecretStore {
  readonly #database: Database
  readonly #box: SecretBox

  constructor(database: Database, box: SecretBox) {
    this.#database = database
    this.#box = box
  }

  async values(actor: Actor, agent_id: string): Promise<Record<string, string>> {
    const rows = await this.#database.read(async (c) => await rowsOf(c, actor, agent_id))
    if (rows.length === 0) return {}
    const keys = await this.#box.keys()
    return Object.fromEntries(rows.map((row) => [row.name, valueOf(row, keys)]))
  }

  names(actor: Actor, agent_id: string): Promise<string[]> {
    return this.#database.read(async (c) =>
      (await namesOf.all(c, { agent: agent_id, org: actor.organization_id })).map(({ name }) => name),
    )
  }

  unread(actor: Actor, agent_id: string): Promise<AgentSecret[]> {
    return this.#database.read((c) => unreadSecretsOfAgent(c, actor, agent_id))
  }
}

/** The secrets of an agent in clear. Throws `secrets_unreadable`. */
export async function secretsOfAgent(
  connection: Connection,
  actor: Actor,
  agent_id: string,
  keys: SecretKeys,
): Promise<AgentSecret[]> {
  return (await rowsOf(connection, actor, agent_id)).map((row) => secretOf(row, valueOf(row, keys), null))
}

/** The secrets of an agent without their values; their descriptions say why. */
export async function unreadSecretsOfAgent(
  connection: Connection,
  actor: Actor,
  agent_id: string,
): Promise<AgentSecret[]> {
  return (await rowsOf(connection, actor, agent_id)).map((row) =>
    secretOf(row, '', `its value cannot be read here: it was encrypted with another key ('${row.key_id}')`),
  )
}

function secretOf(row: AgentSecretRow, value: string, description: string | null): AgentSecret {
  return {
    id: row.id,
    agent_id: row.agent_id,
    key: row.name,
    value,
    description,
    created_at: row.created_at,
    updated_at: row.updated_at,
    created_by_id: row.created_by_id,
    last_updated_by_id: row.last_updated_by_id,
  }
}

/** Makes these the agent's secrets; the rows of those that stay as they are stay. */
export async function replaceSecrets(
  tx: Transaction,
  actor: Actor,
  agent_id: string,
  secrets: Readonly<Record<string, string>>,
  keys: SecretKeys,
): Promise<void> {
  const before = new Map((await rowsOf(tx, actor, agent_id)).map((row) => [row.name, row]))
  const now = new Date().toISOString()
  for (const [position, [name, value]] of Object.entries(secrets).entries()) {
    const row = before.get(name)
    before.delete(name)
    const { key_id, data } =
      row && isValue(row, keys, value)
        ? { key_id: row.key_id, data: row.value }
        : keys.seal(value, contextOf(agent_id, name))
    const written = { position, key_id, value: data, last_updated_by_id: actor.user_id, updated_at: now }
    if (!row) {
      const { organization_id } = actor
      const made = { organization_id, agent_id, name, created_at: now, created_by_id: actor.user_id }
      await tx.send(db.insertInto('agent_secrets').values({ ...written, ...made, id: newId('agent-env') }))
    } else if (data !== row.value || position !== row.position)
      await tx.send(db.updateTable('agent_secrets').set(written).where('id', '=', row.id))
  }
  for (const { id } of before.values()) await tx.send(db.deleteFrom('agent_secrets').where('id', '=', id))
}

async function rowsOf(connection: Connection, actor: Actor, agent_id: string): Promise<AgentSecretRow[]> {
  return await ofAgent.all(connection, { agent: agent_id, org: actor.organization_id })
}

function valueOf(row: AgentSecretRow, keys: SecretKeys): string {
  return keys.open({ key_id: row.key_id, data: row.value }, contextOf(row.agent_id, row.name))
}

/** Whether the row says this already; one that cannot be read is written anew. */
function isValue(row: AgentSecretRow, keys: SecretKeys, value: string): boolean {
  try {
    return valueOf(row, keys) === value
  } catch (error) {
    if (isAppError(error, 'secrets_unreadable')) return false
    throw error
  }
}

/** A value that is moved to another agent or name on disk cannot be read there. */
export function contextOf(agent_id: string, name: string): string {
  return `agent secret\n${agent_id}\n${name}`
}
