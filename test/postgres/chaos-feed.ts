/** A reader of `/v1/events` that comes back from where it was cut off, whichever instance it meets. */
import { pause } from './chaos-model.ts'

/** The feed says something at least so often, in milliseconds. */
const SILENCE_MS = 20_000

export interface Feed {
  /** In the order in which they came. */
  ids: number[]
  connections: number
  /** How often it was told that its place is not known. */
  resets: number
  /** Resolves when this event has come; rejects after so many milliseconds. */
  reached(id: number, ms: number): Promise<void>
  stop(): Promise<void>
}

/** Reads until it is stopped. */
export function followFeed(url: string): Feed {
  const over = new AbortController()
  const seen = new Set<number>()
  let last = 0
  const feed: Feed = {
    ids: [],
    connections: 0,
    resets: 0,
    async reached(id, ms) {
      for (const end = performance.now() + ms; !seen.has(id); await pause(20))
        if (performance.now() > end)
          throw new Error(`event ${id} did not come in ${ms} ms; the last was ${last}`)
    },
    async stop() {
      over.abort()
      await reading
    },
  }
  const read = async () => {
    const abort = new AbortController()
    const signal = AbortSignal.any([abort.signal, over.signal])
    let timer = setTimeout(() => abort.abort(), SILENCE_MS)
    try {
      const response = await fetch(`${url}/v1/events?after=${last}`, { signal })
      if (response.status !== 200 || !response.body) return
      feed.connections++
      let text = ''
      for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
        clearTimeout(timer)
        timer = setTimeout(() => abort.abort(), SILENCE_MS)
        const parts = (text + piece).split('\n\n')
        text = parts.pop() ?? ''
        for (const part of parts) {
          const id = Number(/^id: (\d+)$/m.exec(part)?.[1] ?? 0)
          if (/^event: ready$/m.test(part)) feed.resets += Number(part.includes('"reset":true'))
          else if (id > 0) {
            feed.ids.push((last = id))
            seen.add(id)
          }
        }
      }
    } finally {
      clearTimeout(timer)
    }
  }
  const reading = (async () => {
    while (!over.signal.aborted) {
      // Cut off, or nobody there: it comes again.
      await read().catch(() => undefined)
      if (!over.signal.aborted) await pause(100)
    }
  })()
  return feed
}
