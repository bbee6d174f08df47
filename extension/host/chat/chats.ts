import { Disposable, window, type ExtensionContext, type WebviewPanel } from 'vscode'
import { parseChatState } from '../../protocol.ts'
import type { Connection } from '../connection.ts'
import type { Library } from '../library.ts'
import {
  adoptPanel,
  CHAT_VIEW_TYPE,
  createWebviewPanel,
  type ChatPanel,
  type ChatPanelActions,
} from './chat-panel.ts'
import { ChatSession } from './chat-session.ts'

/** All chats of this window: one session and at most one tab for each agent. */
export interface Chats extends Disposable {
  /** Shows the chat with this agent, in the tab that it has or in a new one. */
  open(agentId: string, name: string): void
  /** The library changed: titles and models may be others, agents may be gone. */
  refresh(): void
}

/** Keeps tabs up to date with the connection's changes and brings them back after a window reload. */
export function createChats(
  context: ExtensionContext,
  connection: Connection,
  library: Library,
  actions: ChatPanelActions,
): Chats {
  const sessions = new Map<string, ChatSession>()
  const panels = new Map<string, ChatPanel>()

  const sessionOf = (agentId: string) => {
    let session = sessions.get(agentId)
    if (!session) {
      session = new ChatSession(agentId, connection, (news) => panels.get(agentId)?.notify(news))
      sessions.set(agentId, session)
    }
    return session
  }
  const show = (tab: WebviewPanel, agentId: string, name: string) => {
    const panel = adoptPanel(tab, sessionOf(agentId), name, context, actions)
    panels.set(agentId, panel)
    panel.onDidDispose(() => panels.delete(agentId))
  }
  const stale = (agentId: string) => {
    panels.get(agentId)?.notify({ kind: 'notification', name: 'chat.stale', params: null })
  }

  // A window that ended without saving brings its tabs back without their state.
  const agentCalled = async (name: string) => {
    if (!library.loaded) await library.load()
    return [...library.agents.values()].find((agent) => agent.name === name)?.id
  }

  const subscriptions = Disposable.from(
    connection.onDidChangeState((state) => {
      if (state.kind === 'connected') for (const agentId of panels.keys()) stale(agentId)
    }),
    connection.onDidChangeData((changes) => {
      const foreign = changes.filter(({ type, object_id, agent_id }) => {
        if (!type.startsWith('run.') || agent_id === null) return false
        return !sessions.get(agent_id)?.isOwnRun(object_id)
      })
      for (const agentId of new Set(foreign.map((change) => change.agent_id))) if (agentId) stale(agentId)
      for (const { type, object_id } of changes) {
        if (type === 'agent.deleted') panels.get(object_id)?.agentChanged(null)
      }
    }),
    window.registerWebviewPanelSerializer(CHAT_VIEW_TYPE, {
      async deserializeWebviewPanel(tab, value) {
        const agentId = parseChatState(value)?.agentId ?? (await agentCalled(tab.title))
        if (agentId !== undefined) show(tab, agentId, tab.title)
        else tab.dispose()
      },
    }),
  )

  return {
    open(agentId, name) {
      const open = panels.get(agentId)
      if (open) open.reveal()
      else show(createWebviewPanel(name), agentId, name)
    },
    refresh() {
      for (const [agentId, panel] of panels) {
        const agent = library.agents.get(agentId)
        if (agent) panel.agentChanged({ id: agent.id, name: agent.name, model: agent.model })
      }
    },
    // Tabs stay: closing them here, when the window reloads, would keep VS Code from bringing them back.
    dispose: () => void subscriptions.dispose(),
  }
}
