import { Uri, workspace, type Disposable, type ExtensionContext, type Webview } from 'vscode'
import { isComposerMethod } from '../../composer-protocol.ts'
import {
  parseToHost,
  type CommandEnvelope,
  type ComposerEnvelope,
  type NotificationEnvelope,
  type RequestEnvelope,
  type ToWebview,
} from '../../protocol.ts'
import { chatHtml } from './chat-html.ts'
import { answerRequest, type ChatActions, type OpenChat } from './chat-requests.ts'
import type { ChatServer } from './chat-session.ts'
import { t } from '../l10n.ts'

export interface ChatViewOptions {
  context: ExtensionContext
  server: ChatServer
  title: string
  /** A tab, or the narrower view in the side bar. */
  place: 'editor' | 'side'
  actions: ChatActions
  /** Answers a request of the composer. */
  compose(request: ComposerEnvelope): Promise<unknown>
  /** Does a command of the webview. */
  run(command: CommandEnvelope): void
}

/** A webview that shows a conversation. Disposing leaves the webview as it is. */
export interface ChatView extends Disposable {
  notify(news: NotificationEnvelope): void
}

/** Fills a webview with the chat; `null` when no agent is chosen yet. */
export function fillChatView(webview: Webview, chat: OpenChat | null, options: ChatViewOptions): ChatView {
  const { context, server, actions } = options
  const folder = Uri.joinPath(context.extensionUri, 'dist', 'webview')
  webview.options = { enableScripts: true, localResourceRoots: [folder] }
  const post = (envelope: ToWebview) => void webview.postMessage(envelope)
  const reply = async (request: RequestEnvelope) => {
    try {
      if (!chat) throw new Error(t('Choose an agent first.'))
      const result = isComposers(request)
        ? await options.compose(request)
        : await answerRequest(chat, request, server, actions)
      post({ kind: 'reply', id: request.id, result })
    } catch (error) {
      post({ kind: 'reply', id: request.id, error: await server.describe(error) })
    }
  }
  const received = webview.onDidReceiveMessage((value: unknown) => {
    const message = parseToHost(value)
    if (message?.kind === 'request') void reply(message)
    if (message?.kind === 'command') options.run(message)
  })
  const deaf = chat?.session.listen(post)
  webview.html = chatHtml({
    cspSource: webview.cspSource,
    script: webview.asWebviewUri(Uri.joinPath(folder, 'chat.js')).toString(),
    agentId: chat?.session.target.agent_id ?? '',
    conversationId: chat?.session.target.conversation_id ?? null,
    place: options.place,
    title: options.title,
    trusted: workspace.isTrusted,
  })
  return {
    notify: post,
    dispose() {
      received.dispose()
      deaf?.()
    },
  }
}

function isComposers(request: RequestEnvelope): request is ComposerEnvelope {
  return isComposerMethod(request.method)
}
