import { Uri, ViewColumn, window, type ExtensionContext, type WebviewPanel } from 'vscode'
import {
  parseToHost,
  type ChatAgent,
  type Notifications,
  type NotificationEnvelope,
  type RequestEnvelope,
  type ToWebview,
} from '../../protocol.ts'
import { chatHtml } from './chat-html.ts'
import type { ChatSession } from './chat-session.ts'

/** The type by which VS Code brings chats back after a window reload. */
export const CHAT_VIEW_TYPE = 'loci.chat'

export interface ChatPanelActions {
  describe(error: unknown): Promise<string>
  showLogs(): void
}

/** One chat in an editor tab: the VS Code side of the webview. */
export interface ChatPanel {
  reveal(): void
  notify(news: NotificationEnvelope): void
  /** The agent is called otherwise, has another model, or is gone. */
  agentChanged(agent: ChatAgent | null): void
  onDidDispose(listener: () => void): void
}

/** A new, empty tab for a chat; `adoptPanel` fills it. */
export function createWebviewPanel(title: string): WebviewPanel {
  return window.createWebviewPanel(CHAT_VIEW_TYPE, title, ViewColumn.Active, { enableFindWidget: true })
}

/** Makes a tab (new, or brought back by VS Code) the chat of `session`. */
export function adoptPanel(
  panel: WebviewPanel,
  session: ChatSession,
  title: string,
  context: ExtensionContext,
  actions: ChatPanelActions,
): ChatPanel {
  const { webview } = panel
  const folder = Uri.joinPath(context.extensionUri, 'dist', 'webview')
  const media = Uri.joinPath(context.extensionUri, 'extension', 'media')
  webview.options = { enableScripts: true, localResourceRoots: [folder, media] }
  panel.title = title
  panel.iconPath = {
    light: Uri.joinPath(media, 'chat-light.svg'),
    dark: Uri.joinPath(media, 'chat-dark.svg'),
  }

  const post = (envelope: ToWebview) => void webview.postMessage(envelope)
  const notify = <N extends keyof Notifications>(name: N, params: Notifications[N]) =>
    post({ kind: 'notification', name, params } as NotificationEnvelope)

  const reply = async (request: RequestEnvelope) => {
    try {
      post({ kind: 'reply', id: request.id, result: await answer(session, request) })
    } catch (error) {
      post({ kind: 'reply', id: request.id, error: await actions.describe(error) })
    }
  }
  webview.onDidReceiveMessage((value: unknown) => {
    const message = parseToHost(value)
    if (message?.kind === 'request') void reply(message)
    if (message?.kind === 'command') actions.showLogs()
  })
  webview.html = chatHtml({
    cspSource: webview.cspSource,
    script: webview.asWebviewUri(Uri.joinPath(folder, 'chat.js')).toString(),
    agentId: session.agentId,
    title,
  })

  return {
    reveal: () => panel.reveal(),
    notify: post,
    agentChanged(agent) {
      if (agent) panel.title = agent.name
      notify('agent.changed', agent)
    },
    onDidDispose: (listener) => void panel.onDidDispose(listener),
  }
}

async function answer(session: ChatSession, request: RequestEnvelope): Promise<unknown> {
  switch (request.method) {
    case 'chat.open':
      return session.open()
    case 'chat.earlier':
      return session.earlier(request.params.before)
    case 'chat.send':
      session.send(request.params.otid, request.params.content)
      return null
    case 'chat.stop':
      await session.stop()
      return null
  }
}
