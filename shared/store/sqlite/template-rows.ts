import type { Actor } from '../../core/ports/actor.ts'
import type { Deployment, Template } from '../../core/ports/template-store.ts'
import { AppError } from '../../schema/errors.ts'
import type { Transaction } from './database.ts'
import type { Connection } from './query.ts'
import { query, sqlite } from './query.ts'
import type { DeploymentRow, TemplateRow } from './tables.ts'

const byId = query<{ id: string; org: string }>()((p) =>
  sqlite.selectFrom('templates').selectAll().where('id', '=', p.id).where('organization_id', '=', p.org),
)

/** A template of the actor's organisation, by its id. */
export function readTemplateRow(connection: Connection, actor: Actor, id: string): TemplateRow | undefined {
  return byId.get(connection, { id, org: actor.organization_id })
}

export function templateOfRow(row: TemplateRow): Template {
  const { organization_id: _, current: _current, ...template } = row
  return template
}

export function deploymentOfRow(row: DeploymentRow): Deployment {
  const { id, agent_id, template_id, version } = row
  const memory_variables = JSON.parse(row.memory_variables) as Record<string, string>
  return { id, agent_id, template_id, version, memory_variables }
}

/** Notes what an agent was made from. Throws `not_found` for a template that is gone. */
export function insertDeployment(tx: Transaction, actor: Actor, deployment: Deployment): void {
  const { template_id, memory_variables, ...rest } = deployment
  if (template_id === null || !readTemplateRow(tx, actor, template_id))
    throw new AppError('not_found', 'The template was deleted while an agent was made from it.')
  tx.run(
    sqlite.insertInto('deployments').values({
      ...rest,
      template_id,
      memory_variables: JSON.stringify(memory_variables),
      organization_id: actor.organization_id,
      created_at: new Date().toISOString(),
    }),
  )
}
