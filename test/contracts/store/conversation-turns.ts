import type { NewConversation } from '../../../shared/core/ports/conversation-store.ts'
import type { OpenTurn } from '../../../shared/core/ports/turn-store.ts'
import { newId } from '../../../shared/schema/ids.ts'
import type { StoredMessage } from '../../../shared/schema/message.ts'
import type { Subject } from '../store.contract.ts'
import { aBlock, aCommit, ADA, aMessage, anAgent, aRun, at, DONE, text } from './samples.ts'

const page = { limit: 50, order: 'asc' } as const

/** A conversation before its first save. */
export function aConversation(agent_id: string, more: Partial<NewConversation> = {}): NewConversation {
  const id = more.id ?? newId('conv')
  return {
    id,
    agent_id,
    created_at: at(0),
    summary: null,
    model: null,
    model_settings: null,
    override: {},
    isolated_block_labels: [],
    hidden: false,
    system_message: aMessage(agent_id, 'system', 'Begin.', { conversation_id: id }),
    ...more,
  }
}

/** Turns of conversations, and what is read of them, in the store under test. */
export function conversationTurns(subject: Subject) {
  const place = (message: StoredMessage, conversation_id: string) => ({ ...message, conversation_id })

  const open = async (
    agent_id: string,
    conversation_id: string,
    words: string[],
    more: Partial<OpenTurn> = {},
  ) => {
    const run = aRun(agent_id, { conversation_id: conversation_id === agent_id ? null : conversation_id })
    const messages = words.map((word) =>
      place(aMessage(agent_id, 'user', word, { run_id: run.id }), conversation_id),
    )
    return {
      run,
      messages,
      opened: await subject.store.turns.open(ADA, { run, conversation_id, messages, ...more }),
    }
  }
  /** A whole turn; answers the messages it added. */
  const turn = async (
    agent_id: string,
    conversation_id: string,
    question: string,
    answers: (string | StoredMessage)[],
    more: Partial<OpenTurn> = {},
  ): Promise<StoredMessage[]> => {
    const { run, opened, messages: asked } = await open(agent_id, conversation_id, [question], more)
    const messages = answers.map((answer) =>
      place(typeof answer === 'string' ? aMessage(agent_id, 'assistant', answer) : answer, conversation_id),
    )
    const commit = aCommit(opened, run, { conversation_id, messages, finish: DONE })
    await subject.store.turns.commit(ADA, commit)
    return [...asked, ...messages]
  }
  const contextOf = async (agent_id: string, conversation_id: string) =>
    (await subject.store.turns.getContext(ADA, agent_id, conversation_id))?.context.map(
      (m) => text(m) || m.role,
    )
  const listed = async (agent_id: string, conversation_id: string, more = {}) =>
    (await subject.store.messages.list(ADA, { agent_id, conversation_id, ...more }, page)).map(
      (m) => text(m) || m.role,
    )
  const begin = async (more: Partial<NewConversation> = {}) => {
    const agent = await subject.store.agents.create(
      ADA,
      anAgent('ada', { new_blocks: [aBlock('human', 'Ada'), aBlock('persona', 'P')] }),
    )
    const made = aConversation(agent.id, more)
    return { agent, conversation: await subject.store.conversations.create(ADA, made), made }
  }

  return { open, turn, contextOf, listed, begin }
}
