import type { Memento } from 'vscode'
import type { ChatIndex } from './agent-chat.ts'

const KEY = 'loci.models.chats'
/** Chats that are remembered; the oldest go first. */
const MOST = 300

/** Which conversations the chats of a workspace are, kept across windows. */
export function createChatIndex(state: Pick<Memento, 'get' | 'update'>): ChatIndex {
  return {
    get: (key) => state.get<[string, string][]>(KEY, []).findLast(([known]) => known === key)?.[1],
    set(key, conversation_id) {
      const others = state.get<[string, string][]>(KEY, []).filter(([known]) => known !== key)
      void state.update(KEY, [...others, [key, conversation_id]].slice(-MOST))
    },
  }
}
