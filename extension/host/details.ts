import type { LociClient } from '../../shared/client/http.ts'
import type { Event as Change } from '../../shared/schema/event.ts'

export interface ConversationInfo {
  id: string
  /** What it is about, in a few words; null when nobody has said. */
  summary: string | null
  created_at: string | null
  last_message_at: string | null
}
export interface FileInfo {
  id: string
  name: string
  folder_name: string
  /** The agent has it in its context. */
  is_open: boolean
}
export interface AgentDetails {
  conversations: ConversationInfo[]
  files: FileInfo[]
}

/** What is read of an agent only when its row is opened, and kept until it changes. */
export interface DetailsCache {
  of(agent_id: string, getClient: () => Promise<LociClient>): Promise<AgentDetails>
  /** Forgets what these changes concern. */
  apply(changes: readonly Change[]): void
  clear(): void
}

const PAGE = 100

/** An empty cache. A failed reading is not kept. */
export function createDetailsCache(): DetailsCache {
  const known = new Map<string, Promise<AgentDetails>>()
  return {
    of(agent_id, getClient) {
      const kept = known.get(agent_id)
      if (kept) return kept
      const reading = getClient().then(({ letta }) => read(agent_id, letta))
      known.set(agent_id, reading)
      reading.catch(() => {
        if (known.get(agent_id) === reading) known.delete(agent_id)
      })
      return reading
    },
    apply(changes) {
      for (const { type, agent_id, object_id } of changes) {
        if (type.startsWith('conversation.') && agent_id !== null) known.delete(agent_id)
        if (type.startsWith('agent.')) known.delete(object_id)
        // Any number of agents share a folder.
        if (type.startsWith('folder.') || type.startsWith('file.')) known.clear()
      }
    },
    clear: () => known.clear(),
  }
}

async function read(agent_id: string, letta: LociClient['letta']): Promise<AgentDetails> {
  const [conversations, files] = await Promise.all([
    letta.conversations.list({ agent_id, limit: PAGE, order: 'desc', order_by: 'last_message_at' }),
    letta.agents.files.list(agent_id, { limit: PAGE }),
  ])
  return {
    conversations: conversations.map((conversation) => ({
      id: conversation.id,
      summary: conversation.summary ?? null,
      created_at: conversation.created_at ?? null,
      last_message_at: conversation.last_message_at ?? null,
    })),
    files: files.getPaginatedItems().map((file) => ({
      id: file.file_id,
      name: file.file_name,
      folder_name: file.folder_name,
      is_open: file.is_open,
    })),
  }
}
