import { withDeadline } from './cli-process.ts'

/** A client of Node's inspector (Chrome DevTools Protocol). The caller closes it. */
export interface Inspector {
  send(method: string, params?: object): Promise<Record<string, unknown>>
  /** The next event of this name, also one that has come already and was not asked for. */
  event(name: string): Promise<Record<string, unknown>>
  close(): void
}

interface Incoming {
  id?: number
  method?: string
  params?: Record<string, unknown>
  result?: Record<string, unknown>
  error?: { message: string }
}

const CLOSED = 'the inspector has gone'

export async function openInspector(url: string): Promise<Inspector> {
  const socket = new WebSocket(url)
  const answers = new Map<number, (message: Incoming) => void>()
  const past: Incoming[] = []
  const watchers = new Set<() => void>()
  socket.addEventListener('close', () => {
    for (const answer of answers.values()) answer({ error: { message: CLOSED } })
  })
  socket.addEventListener('message', ({ data }) => {
    const message = JSON.parse(String(data)) as Incoming
    if (message.id !== undefined) return answers.get(message.id)?.(message)
    past.push(message)
    for (const watcher of watchers) watcher()
  })
  await withDeadline(
    new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve, { once: true })
      socket.addEventListener('error', reject, { once: true })
    }),
    `the inspector at ${url}`,
  )
  let sent = 0
  return {
    async send(method, params = {}) {
      const id = ++sent
      const answer = new Promise<Incoming>((resolve) => answers.set(id, resolve))
      if (socket.readyState > WebSocket.OPEN) answers.get(id)?.({ error: { message: CLOSED } })
      socket.send(JSON.stringify({ id, method, params }))
      const { result, error } = await withDeadline(answer, `the inspector's answer to ${method}`)
      answers.delete(id)
      // A process that goes on to its end may be gone before it has said that it goes on.
      if (error?.message === CLOSED && method === 'Debugger.resume') return {}
      if (error) throw new Error(`${method}: ${error.message}`)
      return result ?? {}
    },
    async event(name) {
      const found = Promise.withResolvers<Incoming>()
      const look = () => {
        const at = past.findIndex(({ method }) => method === name)
        const [event] = at < 0 ? [] : past.splice(at, 1)
        if (event) found.resolve(event)
      }
      watchers.add(look)
      look()
      const { params } = await withDeadline(found.promise, `the inspector's event ${name}`)
      watchers.delete(look)
      return params ?? {}
    },
    close: () => socket.close(),
  }
}
