/** Runs in a thread of a reader's process: an upload in, its text out, in parts. Loads its parsers itself; knows nothing of the rest. */
import { open, readFile } from 'node:fs/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { batches } from '../../core/ports/file-chunks.ts'
import type { ParseJob, ParseReport } from './file-parser.ts'
import { decodeText, sniff } from './kinds.ts'
import { readDocx, readHtml, readPdf, readXlsx } from './documents.ts'
import { imageText } from './images.ts'
import { ParserMissing } from './parser-missing.ts'

/** Characters of JSON that are indented at the most: it gets much longer. */
const MAX_INDENTED = 5_000_000

const job = workerData as ParseJob
const port = parentPort
if (!port) throw new Error('this file is a worker')

const next = () => new Promise<unknown>((resolve) => port.once('message', resolve))
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port has no origin
const say = (report: ParseReport) => port.postMessage(report)

try {
  const { type, text } = await textOf(job)
  let lines = 0
  let characters = 0
  for (const batch of batches(text, job.chunk_chars)) {
    for (const piece of batch.pieces) {
      characters += piece.text.length + 1
      lines = piece.first_line + piece.text.split('\n').length
    }
    say({ kind: 'batch', ...batch })
    await next()
  }
  say({ kind: 'end', type, lines, characters: Math.max(0, characters - 1) })
} catch (error) {
  say(error instanceof ParserMissing ? { kind: 'missing' } : { kind: 'error', message: problemOf(error) })
}

async function textOf({ path, name, parsers }: ParseJob): Promise<{ type: string; text: string }> {
  const handle = await open(path)
  const head = new Uint8Array(4096)
  const { bytesRead } = await handle.read(head, 0, head.length, 0)
  const { size } = await handle.stat()
  await handle.close()
  if (size === 0) throw new Error('the file is empty')
  const kind = sniff(head.subarray(0, bytesRead), name)
  switch (kind) {
    case 'pdf':
      return { type: 'application/pdf', text: await readPdf(await readFile(path), parsers) }
    case 'zip':
      return readOffice(await readFile(path), parsers)
    case 'image':
      return imageText(await readFile(path), name)
    case 'html':
      return { type: 'text/html', text: readHtml(decodeText(await readFile(path)).text) }
    case 'text': {
      const { text } = decodeText(await readFile(path))
      return { type: textType(name), text: name.toLowerCase().endsWith('.json') ? readableJson(text) : text }
    }
    default:
      throw new Error(kind.problem)
  }
}

async function readOffice(
  bytes: Buffer,
  parsers: readonly string[],
): Promise<{ type: string; text: string }> {
  const { checkZip } = await import('./zip.ts')
  const names = checkZip(bytes)
  const office = 'application/vnd.openxmlformats-officedocument.'
  if (names.has('word/document.xml'))
    return { type: `${office}wordprocessingml.document`, text: await readDocx(bytes, parsers) }
  if (names.has('xl/workbook.xml'))
    return { type: `${office}spreadsheetml.sheet`, text: await readXlsx(bytes, parsers) }
  throw new Error('it is a ZIP archive that is no DOCX and no XLSX; unpack it and upload what is in it')
}

/** What a user is told; what the engine itself could not bear is told in words, wherever it stands among the causes. */
function problemOf(error: unknown): string {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (!(cause instanceof RangeError)) continue
    if (cause.message.includes('call stack'))
      return 'it is nested too deeply, or in too long pieces, to be read'
    if (cause.message.includes('string length')) return 'it has more text than can be read'
    if (/array (buffer|length)/i.test(cause.message)) return 'reading it takes more memory than there is'
  }
  return error instanceof Error ? error.message : String(error)
}

/** JSON on one long line is nothing that can be read by lines. */
function readableJson(text: string): string {
  if (text.length > MAX_INDENTED) return text
  const newline = text.indexOf('\n')
  if (text.length < 2000 || (newline >= 0 && newline < 2000)) return text
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    // Not JSON, whatever its name says: it is text all the same.
    return text
  }
}

function textType(name: string): string {
  const extension = name.slice(name.lastIndexOf('.') + 1).toLowerCase()
  const types: Record<string, string> = {
    md: 'text/markdown',
    markdown: 'text/markdown',
    csv: 'text/csv',
    tsv: 'text/tab-separated-values',
    json: 'application/json',
    jsonl: 'application/jsonl',
    xml: 'application/xml',
    svg: 'image/svg+xml',
    yaml: 'application/yaml',
    yml: 'application/yaml',
    js: 'text/javascript',
    ts: 'text/x-typescript',
    py: 'text/x-python',
  }
  return types[extension] ?? 'text/plain'
}
