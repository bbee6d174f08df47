import assert from 'node:assert/strict'
import { growingMarkdown, renderMarkdown } from '../../extension/webview/markdown.ts'

describe('Markdown of a model', () => {
  it('renders structure, code and tables', () => {
    const html = renderMarkdown(
      '# T\n\n- one\n- **two**\n\n`x < y`\n\n```ts\nlet a = "<b>"\n```\n\n|a|\n|-|\n|1|',
    )
    for (const part of [
      '<h1>T</h1>',
      '<strong>two</strong>',
      '<code>x &lt; y</code>',
      '&lt;b&gt;',
      '<table>',
    ]) {
      assert.ok(html.includes(part), `${part} in ${html}`)
    }
  })

  it('shows markup as text', () => {
    const html = renderMarkdown(
      '<script>alert(1)</script><img src=x onerror=alert(1)>\n\n<iframe src="https://a.b">',
    )
    assert.doesNotMatch(html, /<(?:script|img|iframe)/)
    assert.match(html, /&lt;script&gt;/)
  })

  it('links to http, https and mail addresses only', () => {
    const hrefs = (text: string) => [...renderMarkdown(text).matchAll(/href="([^"]*)"/g)].map((m) => m[1])
    assert.deepEqual(hrefs('[a](https://x.test/a?b=1) <http://y.test> [m](mailto:a@b.test)'), [
      'https://x.test/a?b=1',
      'http://y.test',
      'mailto:a@b.test',
    ])
    const hostile = [
      '[a](command:workbench.action.quit)',
      '[a](javascript:alert(1))',
      '[a](JaVaScRiPt:alert(1))',
      '[a](&#106;avascript:alert(1))',
      '[a](vscode://file/etc/passwd)',
      '[a](file:///etc/passwd)',
      '[a](data:text/html,<script>1</script>)',
      '[a]( \u0001javascript:alert(1))',
      '[r]\n\n[r]: command:x',
      '<command:x>',
      'example.test',
    ]
    for (const text of hostile) assert.deepEqual(hrefs(text), [], text)
  })

  it('says where a link leads, whatever its text claims', () => {
    assert.match(renderMarkdown('[https://bank.test](https://evil.test)'), /title="https:\/\/evil.test"/)
    const claimed = renderMarkdown('[a](https://evil.test "https://bank.test")')
    assert.match(claimed, /title="https:\/\/evil.test"/)
    assert.doesNotMatch(claimed, /bank/)
  })

  it('loads no image: a link to it, or its text alone', () => {
    const html = renderMarkdown(
      '![cat](https://spy.test/p.png?id=1) ![x"y](data:image/svg+xml,1) ![](//spy.test/p)',
    )
    assert.doesNotMatch(html, /<img/)
    assert.match(html, /<a class="image" title="[^"]*" href="https:\/\/spy.test\/p.png\?id=1">cat<\/a>/)
    assert.equal((html.match(/<a /g) ?? []).length, 1)
  })

  it('gives code a bar with its language, Copy and Insert', () => {
    const html = renderMarkdown('```ts"><script>\nlet a = 1 < 2\n```')
    assert.match(html, /<span>ts&quot;&gt;&lt;script&gt;<\/span>/)
    assert.match(html, /data-act="copy"[^]*data-act="insert"/)
    assert.match(html, /<code>let a = 1 &lt; 2\n<\/code>/)
  })

  it('renders a growing text as the whole one, apart from lists cut in two', () => {
    const paragraphs = Array.from({ length: 200 }, (_, i) => `Paragraph **${i}** of a long answer.`)
    const fence = `\`\`\`js\n${'line()\n\n'.repeat(300)}\`\`\``
    const text = [...paragraphs, fence, ...paragraphs].join('\n\n')
    for (const length of [100, 5_000, 7_777, 9_000, text.length - 1, text.length]) {
      const part = text.slice(0, length)
      assert.equal(growingMarkdown(part), renderMarkdown(part), `${length} characters`)
    }
  })
})
