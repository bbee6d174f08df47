import MarkdownIt from 'markdown-it'

/** HTML of code in a language; null when it is to be shown plain. */
export type Highlight = (code: string, language: string) => string | null
let highlight: Highlight = () => null

/** Code is shown by `next` from now on; without it, plain. */
export function highlightWith(next: Highlight): void {
  highlight = next
}

/** Where a link may lead. Anything else, `command:` and `javascript:` among it, stays text. */
const SAFE_LINK = /^(?:https?:\/\/|mailto:)/i

const markdown = new MarkdownIt({ html: false, linkify: true, breaks: false })
const { escapeHtml } = markdown.utils
markdown.linkify.set({ fuzzyLink: false, fuzzyEmail: false })
markdown.validateLink = (url) => SAFE_LINK.test(url.trim())
// An image is never loaded, it would tell its server that it was seen: its text and, when safe, a link to it.
markdown.renderer.rules['image'] = (tokens, index) => {
  const token = tokens[index]
  const text = escapeHtml(token?.content || 'image')
  const source = String(token?.attrGet('src') ?? '')
  if (!/^https?:\/\//i.test(source)) return text
  return `<a class="image" title="Image, not loaded: ${escapeHtml(source)}" href="${escapeHtml(source)}">${text}</a>`
}
// Said to assistive technology and shown on hover: where a link really leads.
markdown.renderer.rules['link_open'] = (tokens, index, options, _env, self) => {
  const token = tokens[index]
  const href = token?.attrGet('href')
  if (token && href) token.attrSet('title', href)
  return self.renderToken(tokens, index, options)
}
markdown.renderer.rules['fence'] = (tokens, index) => {
  const token = tokens[index]
  return codeBlock(token?.content ?? '', token?.info.trim().split(/\s+/)[0] ?? '')
}
markdown.renderer.rules['code_block'] = (tokens, index) => codeBlock(tokens[index]?.content ?? '', '')

/** `data-act` is what the chat does with the text of the block. */
function codeBlock(code: string, language: string): string {
  const label = escapeHtml(language.slice(0, 30))
  const inner = highlight(code, language) ?? escapeHtml(code)
  return `<div class="code"><div class="code-bar"><span>${label}</span><button data-act="copy" title="Copy the code">Copy</button><button data-act="insert" title="Insert into the editor that was active last">Insert at Cursor</button></div><pre tabindex="0"><code>${inner}</code></pre></div>`
}

/** HTML for text that a model wrote: no markup of its own, links to http, https and mail only, no images. */
export function renderMarkdown(text: string): string {
  return markdown.render(text)
}

const RENDERED = 400
const rendered = new Map<string, string>()

/** As `renderMarkdown`, remembering what was rendered last. */
export function cachedMarkdown(text: string): string {
  const known = rendered.get(text)
  if (known !== undefined) return known
  const html = renderMarkdown(text)
  rendered.set(text, html)
  const oldest = rendered.keys().next()
  if (rendered.size > RENDERED && !oldest.done) rendered.delete(oldest.value)
  return html
}

/** Code can be highlighted now: what was rendered without is rendered anew. */
export function forgetRendered(): void {
  rendered.clear()
}

/** Below this many characters a growing text is rendered whole each time. */
const WHOLE = 4_000

/**
 * HTML for a text that is still growing. What stands before the last paragraph that cannot change any more is rendered
 * once; where that cuts a list in two, the end of the message makes it one again.
 */
export function growingMarkdown(text: string): string {
  if (text.length < WHOLE) return renderMarkdown(text)
  const cut = stableLength(text)
  return cachedMarkdown(text.slice(0, cut)) + renderMarkdown(text.slice(cut))
}

/** Where the text after the last blank line outside of code begins, in steps, so that the front seldom changes. */
function stableLength(text: string): number {
  let fence = ''
  let stable = 0
  let at = 0
  for (const line of text.split('\n')) {
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1]
    if (mark !== undefined && fence === '') fence = mark
    else if (mark !== undefined && mark.startsWith(fence) && line.trim() === mark) fence = ''
    at += line.length + 1
    if (line.trim() === '' && fence === '' && at - stable > WHOLE / 4 && at < text.length) stable = at
  }
  return stable
}
