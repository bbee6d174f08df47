import { randomBytes } from 'node:crypto'

export interface ChatHtmlOptions {
  /** `webview.cspSource`: where the webview may load our own files from. */
  cspSource: string
  /** Webview address of the built script. */
  script: string
  agentId: string
  conversationId: string | null
  place: 'editor' | 'side'
  title: string
}

/**
 * The page of a chat. Its policy lets in our script, by a nonce that is new each time, what that script imports, and
 * images that are in the page already (pasted ones), and nothing else: no network, no frame, no form, no inline code,
 * whatever a model writes.
 */
export function chatHtml(options: ChatHtmlOptions): string {
  const { cspSource, script, agentId, conversationId, place, title } = options
  const nonce = randomBytes(18).toString('base64')
  const policy = [
    `default-src 'none'`,
    `script-src 'nonce-${nonce}'`,
    `style-src ${cspSource} 'nonce-${nonce}'`,
    `font-src ${cspSource}`,
    `img-src data:`,
    `base-uri 'none'`,
    `form-action 'none'`,
  ].join('; ')
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${escape(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title>
<style nonce="${nonce}">html, body { height: 100%; margin: 0; padding: 0; }</style>
</head>
<body>
<loci-chat agent-id="${escape(agentId)}" conversation-id="${escape(conversationId ?? '')}" place="${place}"></loci-chat>
<script type="module" nonce="${nonce}" src="${escape(script)}"></script>
</body>
</html>`
}

function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('"', '&quot;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
}
