import MarkdownIt from 'markdown-it'

/** Where a link may lead. Anything else, `command:` and `javascript:` among it, stays text. */
const SAFE_LINK = /^(?:https?:\/\/|mailto:)/i

const markdown = new MarkdownIt({ html: false, linkify: true, breaks: false })
markdown.linkify.set({ fuzzyLink: false, fuzzyEmail: false })
markdown.validateLink = (url) => SAFE_LINK.test(url.trim())
// An image is never loaded, it would tell its server that it was seen: its text and, when safe, a link to it.
markdown.renderer.rules['image'] = (tokens, index) => {
  const token = tokens[index]
  const text = markdown.utils.escapeHtml(token?.content || 'image')
  const source = String(token?.attrGet('src') ?? '')
  if (!/^https?:\/\//i.test(source)) return text
  return `<a href="${markdown.utils.escapeHtml(source)}">${text}</a>`
}
// Said to assistive technology and shown on hover: where a link really leads.
markdown.renderer.rules['link_open'] = (tokens, index, options, _env, self) => {
  const token = tokens[index]
  const href = token?.attrGet('href')
  if (token && href && !token.attrGet('title')) token.attrSet('title', href)
  return self.renderToken(tokens, index, options)
}

/** HTML for text that a model wrote: no markup of its own, links to http, https and mail only, no images. */
export function renderMarkdown(text: string): string {
  return markdown.render(text)
}
