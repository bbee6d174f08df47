import { webviewPage } from '../webview-page.ts'

export interface ChatHtmlOptions {
  /** `webview.cspSource`: where the webview may load our own files from. */
  cspSource: string
  /** Webview address of the built script. */
  script: string
  agentId: string
  conversationId: string | null
  place: 'editor' | 'side'
  title: string
  /** Whether the user trusts the workspace: nothing is talked of before. */
  trusted?: boolean
}

/** The page of a chat, which may show images that are in it already: pasted ones. */
export function chatHtml(options: ChatHtmlOptions): string {
  const { cspSource, script, agentId, conversationId, place, title, trusted = true } = options
  return webviewPage({
    cspSource,
    script,
    title,
    element: 'loci-chat',
    attributes: {
      'agent-id': agentId,
      'conversation-id': conversationId ?? '',
      place,
      trusted: String(trusted),
    },
    images: true,
  })
}
