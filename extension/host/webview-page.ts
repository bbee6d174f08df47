import { randomBytes } from 'node:crypto'

export interface WebviewPageOptions {
  /** `webview.cspSource`: where the webview may load our own files from. */
  cspSource: string
  /** Webview address of the built script. */
  script: string
  title: string
  /** The custom element that is the page. */
  element: string
  attributes: Record<string, string>
  /** Whether it shows images that are in the page already (`data:`), as pasted ones are. */
  images?: boolean
}

/**
 * The page of a webview. Its policy lets in our script, by a nonce that is new each time, what that script imports, and
 * nothing else: no network, no frame, no form, no inline code, whatever a model writes.
 */
export function webviewPage(options: WebviewPageOptions): string {
  const { cspSource, script, title, element, attributes, images = false } = options
  const nonce = randomBytes(18).toString('base64')
  const policy = [
    `default-src 'none'`,
    `script-src 'nonce-${nonce}'`,
    `style-src ${cspSource} 'nonce-${nonce}'`,
    `font-src ${cspSource}`,
    ...(images ? [`img-src data:`] : []),
    `base-uri 'none'`,
    `form-action 'none'`,
  ].join('; ')
  const given = Object.entries(attributes).map(([name, value]) => ` ${name}="${escape(value)}"`)
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
<${element}${given.join('')}></${element}>
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
