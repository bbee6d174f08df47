import assert from 'node:assert/strict'
import { chatHtml } from '../../extension/host/chat/chat-html.ts'

const options = {
  cspSource: 'https://*.webview.test',
  script: 'https://file.webview.test/dist/webview/chat.js',
  agentId: 'agent-1',
  conversationId: null,
  place: 'editor' as const,
  title: 'Scout',
}
const policyOf = (html: string) => /Content-Security-Policy" content="([^"]*)"/.exec(html)?.[1] ?? ''

describe('the page of a chat', () => {
  it('allows its one script by a nonce that is new each time, and no other source', () => {
    const [one, two] = [chatHtml(options), chatHtml(options)]
    const nonce = /script-src 'nonce-([^']+)'/.exec(policyOf(one))?.[1]
    assert.ok(nonce && nonce.length >= 22, 'a nonce of at least 128 bits')
    assert.ok(one.includes(`<script type="module" nonce="${nonce}" src="${options.script}">`))
    assert.notEqual(policyOf(one), policyOf(two))
    assert.equal(
      policyOf(one).replaceAll(nonce, 'N'),
      [
        "default-src 'none'",
        "script-src 'nonce-N'",
        "style-src https://*.webview.test 'nonce-N'",
        'font-src https://*.webview.test',
        'img-src data:',
        "base-uri 'none'",
        "form-action 'none'",
      ].join('; '),
    )
  })

  it('writes names of agents as text', () => {
    const html = chatHtml({ ...options, title: '"><script>x</script>', agentId: '"><b>' })
    assert.equal((html.match(/<script/g) ?? []).length, 1)
    assert.doesNotMatch(html, /<b>/)
  })
})
