import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type * as Mammoth from 'mammoth'
import type * as Excel from 'read-excel-file/node'
import type * as Unpdf from 'unpdf'
import { parseHTML } from 'linkedom'
import { gfm } from '@joplin/turndown-plugin-gfm'
import Turndown from 'turndown'
import { ParserMissing } from './parser-missing.ts'

type ParserName = 'unpdf' | 'mammoth' | 'read-excel-file'

/** A page without text in many of a PDF is nothing special; none at all is a scan. */
const NO_TEXT =
  'there is no text in this PDF; it is probably a scan. Run it through text recognition (OCR) first, then upload that'

/** HTML as Markdown: all of it, not only what reads well. Throws nothing of its own. */
export function readHtml(html: string): string {
  const { document } = (parseHTML as unknown as (text: string) => { document: HtmlDocument })(
    /<html[\s>]/i.test(html) ? html : `<html><head></head><body>${html}</body></html>`,
  )
  const turndown = new Turndown({ headingStyle: 'atx', codeBlockStyle: 'fenced', bulletListMarker: '-' })
  turndown.use(gfm)
  turndown.remove(['script', 'style', 'noscript', 'iframe', 'title'])
  const title = document.title.trim()
  const body = turndown.turndown(document.body?.innerHTML || html).trim()
  return title === '' || body.startsWith(`# ${title}`) ? body : `# ${title}\n\n${body}`
}

/** As much of the document as is used here: the types of the DOM are a browser's, and this is none. */
interface HtmlDocument {
  title: string
  body: { innerHTML: string } | null
}

/** The text of a PDF, page by page. Throws for one that is encrypted, broken or without text. */
export async function readPdf(bytes: Uint8Array, parsers: readonly string[]): Promise<string> {
  const { getDocumentProxy } = await load<typeof Unpdf>('unpdf', parsers)
  const document = await getDocumentProxy(new Uint8Array(bytes), { verbosity: 0 }).catch((error: unknown) => {
    const { name, message } = error as Error
    throw new Error(
      name === 'PasswordException'
        ? 'this PDF is encrypted; save it without a password'
        : brokenText('PDF', message),
      { cause: error },
    )
  })
  const pages: string[] = []
  try {
    for (let number = 1; number <= document.numPages; number++) {
      const page = await document.getPage(number)
      const { items } = await page.getTextContent()
      let text = ''
      for (const item of items) if ('str' in item) text += item.str + (item.hasEOL ? '\n' : '')
      pages.push(text.trim())
      page.cleanup()
    }
  } catch (error) {
    throw new Error(brokenText('PDF', (error as Error).message), { cause: error })
  }
  if (pages.every((page) => page === '')) throw new Error(NO_TEXT)
  return pages.map((page, i) => `[Page ${i + 1}]\n${page}`).join('\n\n')
}

/** A Word document as Markdown, without its images. */
export async function readDocx(bytes: Buffer, parsers: readonly string[]): Promise<string> {
  const mammoth = await load<{ default: typeof Mammoth }>('mammoth', parsers)
  const { convertToHtml, images } = mammoth.default
  const { value } = await convertToHtml(
    { buffer: bytes },
    { convertImage: images.imgElement(async () => ({ src: '' })) },
  ).catch((error: unknown) => {
    throw new Error(brokenText('DOCX', (error as Error).message), { cause: error })
  })
  return readHtml(value)
}

/** The sheets of a workbook as tables of comma-separated values. */
export async function readXlsx(bytes: Buffer, parsers: readonly string[]): Promise<string> {
  const excel = await load<typeof Excel>('read-excel-file', parsers)
  const sheets = await excel.default(bytes).catch((error: unknown) => {
    throw new Error(brokenText('XLSX', (error as Error).message), { cause: error })
  })
  return sheets
    .map(({ sheet, data }) => `# ${sheet}\n\n${data.map((row) => row.map(cellText).join(',')).join('\n')}`)
    .join('\n\n')
}

/** What a parser says of a broken document, without its own marks; where the parser gave way itself, not its words. */
function brokenText(kind: string, said: string): string {
  const why = said
    .replaceAll(/\[\w+ \w*error\]|^\w*error:|@#\[.*?\]/gi, '')
    .replaceAll(/\s+/g, ' ')
    .replace(/[\s.]+$/, '')
    .trim()
  const reason = /is not a (function|constructor)|undefined|Cannot read|not iterable/.test(why) ? '' : why
  return `this ${kind} is broken${reason === '' ? '' : ` (${reason.slice(0, 200)})`}; save it anew in its program, and upload that`
}

function cellText(cell: Excel.CellValue | null): string {
  const text = cell instanceof Date ? cell.toISOString() : String(cell ?? '')
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/**
 * A parser that is not part of this file: beside it in the npm package, in the repository's packages, or in one of the
 * folders where they are installed. Throws `ParserMissing`.
 */
async function load<T>(name: ParserName, folders: readonly string[]): Promise<T> {
  const beside = new URL(`./parsers/${name}.js`, import.meta.url)
  if (existsSync(beside)) return (await import(beside.href)) as T
  const specifier = name === 'read-excel-file' ? 'read-excel-file/node' : name
  const places = folders.map((folder) => pathToFileURL(join(folder, 'package.json')).href)
  for (const base of [import.meta.url, ...places]) {
    try {
      const file = createRequire(base).resolve(specifier)
      return (await import(pathToFileURL(file).href)) as T
    } catch (error) {
      if ((error as { code?: string }).code !== 'MODULE_NOT_FOUND') throw error
    }
  }
  throw new ParserMissing(`the parser ${name} is not installed`)
}
