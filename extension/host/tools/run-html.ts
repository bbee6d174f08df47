import { randomBytes } from 'node:crypto'

/**
 * The page of the form that runs a tool. Its policy lets in one script, ours, by a nonce that is new each time: what a
 * tool returns is text and nothing else.
 */
export function runHtml({ cspSource, script }: { cspSource: string; script: string }): string {
  const nonce = randomBytes(18).toString('base64')
  const policy = [
    `default-src 'none'`,
    `script-src 'nonce-${nonce}'`,
    `style-src ${cspSource} 'nonce-${nonce}'`,
    `font-src ${cspSource}`,
    `base-uri 'none'`,
    `form-action 'none'`,
  ].join('; ')
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy.replaceAll('"', '&quot;')}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Run Tool</title>
<style nonce="${nonce}">html, body { height: 100%; margin: 0; padding: 0; }</style>
</head>
<body>
<loci-run-form></loci-run-form>
<script type="module" nonce="${nonce}" src="${script.replaceAll('"', '&quot;')}"></script>
</body>
</html>`
}
