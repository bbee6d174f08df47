import type { Scenario } from '../lib/context.ts'
import { call } from '../lib/http.ts'
import type { Row } from '../lib/report.ts'
import { startDouble, startLoci, type Target } from '../lib/servers.ts'
import { percentile } from '../lib/stats.ts'

interface FileNow {
  id: string
  processing_status: string
  error_message: string | null
}

const LOOK_EVERY_MS = 50

/** A large text is uploaded and read while turns go on: how fast, whom it holds up, and what it costs the turns. */
export const files: Scenario = async (context) => {
  const megabytes = context.sized(32, 4, 1)
  const text = textOf(megabytes * 1024 * 1024)
  await using double = await startDouble()
  await using loci = await startLoci(double, await context.folder(), 'stalls')
  const folder = await call<{ id: string }>('POST', `${loci.url}/v1/folders/`, { name: 'bench' })
  const path = `${loci.url}/v1/folders/${folder.id}`
  // What is loaded with the first file is not what is asked here.
  await read(path, (await upload(path, 'small.txt', 'small')).id)
  const talk = await loci.converse(false)
  for (let n = 0; n < 20; n++) await talk.send(`Note ${n}`)
  context.progress('files: turns of an idle server')
  const idle = await turns(
    talk,
    new Promise((resolve) => setTimeout(resolve, context.sized(5_000, 2_000, 100))),
  )
  context.progress(`files: ${megabytes} MB are read`)
  await loci.child.probe()
  const from = performance.now()
  const { id } = await upload(path, 'large.txt', text)
  await read(path, id)
  const alone = performance.now() - from
  const { longest_stall_ms: stall, longest_work_ms: work } = await loci.child.probe()
  context.progress('files: turns while another is read')
  let took = 0
  const reading = (async () => {
    const begun = performance.now()
    await read(path, (await upload(path, 'other.txt', text)).id)
    took = performance.now() - begun
  })()
  const beside = await turns(talk, reading)
  const row = (what: string, unit: Row['unit'], value: number, target?: string): Row => ({
    scenario: 'files',
    what,
    unit,
    value,
    ...(target === undefined ? {} : { target }),
  })
  return [
    row(`a text of ${megabytes} MB is uploaded and read`, 'MB/s', (megabytes * 1000) / alone),
    row('longest stall meanwhile', 'ms', stall, '≤ 20 ms'),
    row('longest work meanwhile, processor time', 'ms', work),
    row('the same while turns go on', 'MB/s', (megabytes * 1000) / took),
    row('p95 of a turn, idle server', 'ms', percentile(idle, 0.95)),
    row('p95 of a turn while a file is read', 'ms', percentile(beside, 0.95)),
  ]
}

async function turns(
  talk: Awaited<ReturnType<Target['converse']>>,
  until: Promise<unknown>,
): Promise<number[]> {
  const waiting = new AbortController()
  const over = until.finally(() => waiting.abort())
  const took: number[] = []
  while (!waiting.signal.aborted) {
    const from = performance.now()
    await talk.send('Note')
    took.push(performance.now() - from)
  }
  await over
  return took
}

async function upload(path: string, name: string, text: string): Promise<FileNow> {
  const form = new FormData()
  form.append('file', new File([text], name))
  const answer = await fetch(`${path}/upload`, { method: 'POST', body: form })
  const body = (await answer.json()) as FileNow & { detail?: string }
  if (!answer.ok) throw new Error(`the upload was refused: ${answer.status} ${body.detail ?? ''}`)
  return body
}

async function read(path: string, id: string): Promise<void> {
  for (;;) {
    const file = await call<FileNow>('GET', `${path}/files/${id}`)
    if (file.processing_status === 'completed') return
    if (file.processing_status === 'error') throw new Error(`it was not read: ${file.error_message ?? ''}`)
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
  }
}

/** Paragraphs of words that differ, so that the index has as much to do as with a real text. */
function textOf(size: number): string {
  const words = Array.from({ length: 4000 }, (_, i) => `w${(i * 7919) % 4000}`)
  const parts: string[] = []
  for (let length = 0, n = 0; length < size; n++) {
    const line = Array.from({ length: 12 }, (_, i) => words[(n * 31 + i * i * 17) % words.length]).join(' ')
    parts.push(n % 6 === 5 ? `${line}.\n` : line)
    length += line.length + 1
  }
  return parts.join('\n')
}
