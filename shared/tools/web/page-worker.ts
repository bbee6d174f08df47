/** Runs in a thread of a reader's process: HTML in, Markdown out. Loads its parsers itself; knows nothing of the rest. */
import { parentPort, workerData } from 'node:worker_threads'
import { gfm } from '@joplin/turndown-plugin-gfm'
import { Readability } from '@mozilla/readability'
import { parseHTML } from 'linkedom'
import Turndown from 'turndown'
import type { Page, PageInput } from './page.ts'

/** As much of the document as is used here: the types of the DOM are a browser's, and this is none. */
interface HtmlElement {
  innerHTML: string
  getAttribute(name: string): string | null
  setAttribute(name: string, value: string): void
}
interface HtmlDocument {
  title: string
  body: HtmlElement | null
  querySelectorAll(selector: string): Iterable<HtmlElement>
}

const parse = (html: string) =>
  (parseHTML as unknown as (text: string) => { document: HtmlDocument })(html).document

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port has no origin
parentPort?.postMessage(toMarkdown(workerData as PageInput))

/** The readable part of a page as Markdown, with absolute links; all of its body when no part stands out. */
function toMarkdown({ html, url }: PageInput): Page {
  // The parser adds nothing that a page leaves out.
  const document = parse(/<html[\s>]/i.test(html) ? html : `<html><head></head><body>${html}</body></html>`)
  for (const name of ['href', 'src'])
    for (const element of document.querySelectorAll(`[${name}]`)) {
      const target = URL.parse(element.getAttribute(name) ?? '', url)
      if (target) element.setAttribute(name, target.href)
    }
  const title = document.title.trim()
  // Not every page has a body that is marked as one.
  const whole = document.body?.innerHTML || html
  const article = new Readability(document).parse()
  const turndown = new Turndown({ headingStyle: 'atx', codeBlockStyle: 'fenced', bulletListMarker: '-' })
  turndown.use(gfm)
  turndown.remove(['script', 'style', 'noscript', 'iframe', 'title'])
  const markdown = turndown.turndown(article?.content || whole)
  return { title: (article?.title ?? title).trim(), markdown: markdown.trim() }
}
