import type { ClientSkill } from '../../schema/message.ts'
import { textOf, toModelMessages, type ViewOptions } from '../messages.ts'
import type { ModelMessage } from '../ports/models.ts'
import type { CommitStep, OpenedTurn } from '../ports/turn-store.ts'
import { compilePrompt, isCurrentPrompt, renderPrompt } from '../prompt.ts'

/** What the model is shown at the start of a turn. */
export interface TurnContext {
  messages: ModelMessage[]
  /** The prompt, when it was compiled anew; stored with the first step. */
  system: CommitStep['system']
}

/**
 * The conversation of an opened turn. Its prompt is compiled when anything in it has changed, and stays byte-identical
 * within the turn (DESIGN decision 9).
 */
export function turnContext(
  opened: OpenedTurn,
  options: {
    view: ViewOptions
    conversation_id: string
    override_system: string | null
    client_skills: readonly ClientSkill[]
    now: Date
  },
): TurnContext {
  const { agent, context } = opened
  const { conversation_id, override_system, client_skills } = options
  const messages = toModelMessages(context, options.view)
  const show = (text: string) => {
    messages[0] = { role: 'system', text: withSkills(text, client_skills) }
  }
  const first = context[0]
  if (override_system !== null) {
    show(override_system)
    return { messages, system: undefined }
  }
  if (!first) return { messages, system: undefined }
  const prompt = compilePrompt(agent)
  if (isCurrentPrompt(prompt, textOf(first.content))) {
    if (client_skills.length > 0) show(textOf(first.content))
    return { messages, system: undefined }
  }
  const text = renderPrompt(prompt, {
    agent_id: agent.id,
    conversation_id: conversation_id === agent.id ? 'default' : conversation_id,
    compiled_at: options.now,
    timezone: agent.timezone,
    recall_count: opened.recall_count,
    archival: opened.archival,
  })
  show(text)
  return { messages, system: { message_id: first.id, text } }
}

/** The skills of the client are told in the requests of this turn alone; the stored prompt does not name them. */
function withSkills(text: string, skills: readonly ClientSkill[]): string {
  if (skills.length === 0) return text
  const described = skills.map((skill) =>
    [
      `<skill name="${oneLine(skill.name)}" location="${oneLine(skill.location)}">`,
      oneLine(skill.description),
      '</skill>',
    ].join('\n'),
  )
  return [
    text,
    '',
    '<available_skills>',
    'Skills of the environment that this message comes from; read the file at its location before you use one.',
    ...described,
    '</available_skills>',
  ].join('\n')
}

/** Anybody's text: none may end an attribute, a line or the section. */
function oneLine(text: string): string {
  return text.replaceAll(/[\s<>"]+/g, ' ').trim()
}
