import type { Agent } from '../schema/agent.ts'
import type { Conversation, CreateConversation, UpdateConversation } from '../schema/conversation.ts'
import { AppError } from '../schema/errors.ts'
import { newId } from '../schema/ids.ts'
import type { ModelSettings } from '../schema/model.ts'
import { applySettings, checkFallbacks, llmConfigOf, modelSettingsOf } from './model-settings.ts'
import { systemMessage } from './messages.ts'
import type { Actor } from './ports/actor.ts'
import type { AgentOverride, ConversationPatch } from './ports/conversation-store.ts'
import type { CoreDeps } from './ports/deps.ts'
import { compilePrompt, renderPrompt } from './prompt.ts'

/**
 * Begins a conversation of an agent with a fresh system message. Throws `not_found` for the agent, `invalid_argument` for
 * a label it has no block of, `model_not_found`.
 */
export async function createConversation(
  deps: CoreDeps,
  actor: Actor,
  agent_id: string,
  body: CreateConversation,
): Promise<Conversation> {
  const id = newId('conv')
  const { model = null, model_settings = null } = body
  const { agent, text, now } = await freshPrompt(deps, actor, { agent_id, source: agent_id, id })
  return deps.store.conversations.create(actor, {
    id,
    agent_id,
    created_at: now.toISOString(),
    summary: body.summary ?? null,
    model,
    model_settings,
    override: await overrideOf(deps, actor, agent, { model, model_settings }),
    isolated_block_labels: body.isolated_block_labels ?? [],
    hidden: body.hidden ?? false,
    system_message: systemMessage(text, { ...NOWHERE, agent_id, conversation_id: id }, now),
  })
}

/** Changes what `body` names. Null when there is no such conversation; throws `model_not_found`, `invalid_argument`. */
export async function updateConversation(
  deps: CoreDeps,
  actor: Actor,
  id: string,
  body: UpdateConversation,
): Promise<Conversation | null> {
  const present = await deps.store.conversations.get(actor, id)
  if (!present) return null
  const patch: ConversationPatch = {}
  if (body.summary !== undefined) patch.summary = body.summary
  if (body.last_message_at !== undefined) patch.last_message_at = body.last_message_at
  if (body.model !== undefined || body.model_settings !== undefined) {
    if (present.id === present.agent_id)
      throw new AppError(
        'invalid_argument',
        'the default conversation uses the model of its agent; change the agent, or make another conversation',
      )
    const agent = await deps.store.agents.get(actor, present.agent_id, [])
    if (!agent) return null
    const { model = present.model, model_settings = present.model_settings } = body
    Object.assign(patch, { model, model_settings })
    patch.override = await overrideOf(deps, actor, agent, { model, model_settings })
  }
  return deps.store.conversations.update(actor, id, patch)
}

/**
 * A new conversation that shares the context of this one, up to a message when one is named, with a freshly compiled
 * system message. Throws as `ConversationStore.fork`.
 */
export async function forkConversation(
  deps: CoreDeps,
  actor: Actor,
  source: { agent_id: string; conversation_id: string },
  options: { message_id: string | null; hidden: boolean },
): Promise<Conversation> {
  const { agent_id, conversation_id } = source
  const id = newId('conv')
  const { text, now } = await freshPrompt(deps, actor, { agent_id, source: agent_id, id })
  return deps.store.conversations.fork(actor, conversation_id, {
    id,
    created_at: now.toISOString(),
    ...options,
    system_message: systemMessage(text, { ...NOWHERE, agent_id, conversation_id: id }, now),
  })
}

const NOWHERE = { run_id: null, step_id: null }

async function freshPrompt(
  deps: CoreDeps,
  actor: Actor,
  { agent_id, source, id }: { agent_id: string; source: string; id: string },
): Promise<{ agent: Agent; text: string; now: Date }> {
  const now = deps.clock.now()
  const context = await deps.store.turns.getContext(actor, agent_id, source)
  if (!context) throw new AppError('not_found', 'Agent not found', { data: { bare: true } })
  const { agent, recall_count, archival } = context
  const text = renderPrompt(compilePrompt(agent), {
    agent_id,
    conversation_id: id,
    compiled_at: now,
    timezone: agent.timezone,
    recall_count,
    archival,
  })
  return { agent, text, now }
}

/** A model of its own brings its own settings; settings alone are laid over the agent's, whatever those become. */
async function overrideOf(
  deps: CoreDeps,
  actor: Actor,
  agent: Agent,
  asked: { model: string | null; model_settings: ModelSettings | null },
): Promise<AgentOverride> {
  const { model, model_settings } = asked
  await checkFallbacks(deps.models, actor, model ?? agent.model ?? '', model_settings)
  const format = model_settings?.response_format
  const plain = format === undefined ? {} : { response_format: format }
  if (model === null)
    return model_settings === null
      ? {}
      : { ...plain, model_settings, llm_config: applySettings({}, { model_settings }) }
  const { info, handle } = await deps.models.resolve(actor, model)
  const llm_config = llmConfigOf(info, agent.agent_type, { model_settings })
  return {
    ...plain,
    model: handle,
    llm_config,
    model_settings: modelSettingsOf(info, llm_config, model_settings),
  }
}
