import type { ComposerEnvelope, Fix, RequestEnvelope, Requests, Method } from '../../protocol.ts'
import type { ChatSession, ChatServer } from './chat-session.ts'
import type { MemoryEdits } from './memory-edits.ts'
import { toolTimes } from './tool-details.ts'

/** One conversation with what belongs to it. */
export interface OpenChat {
  session: ChatSession
  memory: MemoryEdits
}

/** What VS Code does for a chat. */
export interface ChatActions {
  /** Shows a conversation of the agent. */
  show(agent_id: string, conversation_id: string): void
  /** Offers to save a document. */
  save(chat: OpenChat): Promise<void>
  /** What comes before the turn is tried again; false when the user changed their mind. */
  prepare(fix: Fix, agent_id: string): Promise<boolean>
}

/** The reply to a request of the webview. Rejects with what the client throws, or with a sentence for the user. */
export async function answerRequest(
  chat: OpenChat,
  request: Exclude<RequestEnvelope, ComposerEnvelope>,
  server: Pick<ChatServer, 'client'>,
  actions: ChatActions,
): Promise<Requests[Method]['result']> {
  const { session, memory } = chat
  const { agent_id } = session.target
  switch (request.method) {
    case 'chat.open':
      return session.open()
    case 'chat.earlier':
      return session.earlier(request.params.before)
    case 'chat.send':
      session.send(request.params.otid, request.params.content)
      return null
    case 'chat.edit': {
      const { otid, message_id, content } = request.params
      session.edit(otid, message_id, content)
      return null
    }
    case 'chat.retry': {
      const { otid, fix } = request.params
      if (fix === null || (await actions.prepare(fix, agent_id))) await session.retry(otid, fix)
      return null
    }
    case 'chat.decide': {
      const { otid, decisions, always } = request.params
      await session.decide(otid, decisions, always)
      return null
    }
    case 'chat.stop':
      await session.stop()
      return null
    case 'chat.fork':
      actions.show(agent_id, await session.fork(request.params.message_id))
      return null
    case 'chat.rewind':
      await session.rewind(request.params.message_id)
      return null
    case 'chat.export':
      await actions.save(chat)
      return null
    case 'tool.details': {
      const { runs, steps } = request.params
      const { letta } = await server.client()
      const [edits, times] = await Promise.all([memory.ofRuns(letta, runs), toolTimes(letta, steps)])
      return { edits, times }
    }
    case 'memory.undo':
      await memory.undo((await server.client()).letta, request.params.block_id, request.params.version)
      return null
  }
}
