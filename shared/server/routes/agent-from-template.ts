import { isDeepStrictEqual } from 'node:util'
import type { Actor } from '../../core/ports/actor.ts'
import { createFromTemplate } from '../../core/templates/agents.ts'
import { type Agent, type CreateAgent, createAgent as createAgentBody } from '../../schema/agent.ts'
import { AppError } from '../../schema/errors.ts'
import { createFromTemplate as createFromTemplateBody } from '../../schema/template.ts'
import type { ServerContext } from '../context.ts'
import { versionOf } from './templates.ts'

/** What of an agent its template leaves open; the rest is the version's. */
const OPEN: ReadonlySet<string> = new Set([
  'from_template',
  'memory_variables',
  'name',
  'tags',
  'identity_ids',
  'secrets',
  'tool_exec_environment_variables',
  'initial_message_sequence',
  'project_id',
])

/**
 * Makes an agent from the version of a template that `body.from_template` names (the older way to say it). Throws
 * `validation` for fields that the template decides, `not_found`, and what `createFromTemplate` throws.
 */
export async function agentFromTemplate(
  context: ServerContext,
  actor: Actor,
  from_template: string,
  body: CreateAgent,
): Promise<Agent> {
  const unset: Record<string, unknown> = createAgentBody.parse({})
  const decided = Object.entries(body).filter(
    ([name, value]) => !OPEN.has(name) && value != null && !isDeepStrictEqual(value, unset[name]),
  )
  if (decided.length > 0)
    throw new AppError(
      'validation',
      `body.${decided.map(([name]) => name).join(', body.')}: an agent from a template has what its version says; ` +
        'leave this out, and change it with PATCH /v1/agents/{id} afterwards',
    )
  const { found, version } = await versionOf(context, actor, from_template)
  const asked = createFromTemplateBody.parse({
    agent_name: body.name,
    tags: body.tags,
    identity_ids: body.identity_ids,
    memory_variables: body.memory_variables,
    tool_variables: body.secrets ?? body.tool_exec_environment_variables,
    initial_message_sequence: body.initial_message_sequence,
  })
  return createFromTemplate(context.deps, actor, found, version, asked)
}
