/** Lets so many in at once; the others wait in line. */
export interface Gate {
  /** Resolves with what lets the next one in. Rejects when `signal` aborts. */
  enter(signal: AbortSignal): Promise<() => void>
}

export function createGate(max: number): Gate {
  const line: (() => void)[] = []
  let inside = 0
  const leave = () => {
    const next = line.shift()
    // Whoever comes next has the place of who leaves.
    if (next) next()
    else inside--
  }
  return {
    async enter(signal) {
      signal.throwIfAborted()
      if (inside < max) inside++
      else {
        const { promise, resolve, reject } = Promise.withResolvers<void>()
        const abort = () => {
          line.splice(line.indexOf(resolve), 1)
          reject(signal.reason as Error)
        }
        line.push(resolve)
        signal.addEventListener('abort', abort, { once: true })
        await promise
        signal.removeEventListener('abort', abort)
      }
      return leave
    },
  }
}
