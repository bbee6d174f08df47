import { Uri, type ExtensionContext, type WebviewPanel } from 'vscode'
import {
  parseContextToHost,
  type ContextCommands,
  type ContextRequest,
  type ContextSnapshot,
  type ContextToWebview,
} from '../../context-protocol.ts'
import { t } from '../l10n.ts'
import { webviewPage } from '../webview-page.ts'
import { answerContext } from './answer-context.ts'
import type { ContextSession } from './context-session.ts'

/** The type by which VS Code brings panels back after a window reload. */
export const CONTEXT_VIEW_TYPE = 'loci.context'

export interface ContextPanelActions {
  describe(error: unknown): Promise<string>
  run<C extends keyof ContextCommands>(command: C, params: ContextCommands[C]): void
}

/** Makes a tab (new, or brought back by VS Code) the Context panel of `session`. Returns what shows a snapshot there. */
export function adoptContextPanel(
  panel: WebviewPanel,
  session: ContextSession,
  conversationId: string | null,
  context: ExtensionContext,
  actions: ContextPanelActions,
): (snapshot: ContextSnapshot) => void {
  const { webview } = panel
  const folder = Uri.joinPath(context.extensionUri, 'dist', 'webview')
  const media = Uri.joinPath(context.extensionUri, 'extension', 'media')
  webview.options = { enableScripts: true, localResourceRoots: [folder] }
  panel.iconPath = {
    light: Uri.joinPath(media, 'context-light.svg'),
    dark: Uri.joinPath(media, 'context-dark.svg'),
  }
  const post = (envelope: ContextToWebview) => void webview.postMessage(envelope)
  const reply = async (request: ContextRequest) => {
    try {
      post({ kind: 'reply', id: request.id, result: await answerContext(session, request) })
    } catch (error) {
      post({ kind: 'reply', id: request.id, error: await actions.describe(error) })
    }
  }
  webview.onDidReceiveMessage((value: unknown) => {
    const message = parseContextToHost(value)
    if (message?.kind === 'request') void reply(message)
    if (message?.kind === 'command') actions.run(message.command, message.params)
  })
  panel.onDidChangeViewState(() => session.setVisible(panel.visible))
  webview.html = webviewPage({
    cspSource: webview.cspSource,
    script: webview.asWebviewUri(Uri.joinPath(folder, 'context.js')).toString(),
    title: panel.title,
    element: 'loci-context',
    attributes: {
      'agent-id': session.agentId,
      ...(conversationId === null ? {} : { 'conversation-id': conversationId }),
    },
  })
  return (snapshot) => {
    if (snapshot.agent) panel.title = contextTitle(snapshot.agent.name)
    post({ kind: 'snapshot', snapshot })
  }
}

/** What the tab of this agent's panel is called. */
export function contextTitle(agent: string): string {
  return t('Context: {0}', agent)
}
