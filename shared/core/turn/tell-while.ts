/** What is told while work is under way, as it comes; ends with what the work answers, or throws what it throws. */
export async function* tellWhile<T, U>(work: (tell: (item: U) => void) => Promise<T>): AsyncGenerator<U, T> {
  const told: U[] = []
  let wake: () => void = () => undefined
  let done = false
  const result = work((item) => {
    told.push(item)
    wake()
  }).finally(() => {
    done = true
    wake()
  })
  // Whoever stops reading hears of a failure no more.
  result.catch(() => undefined)
  for (;;) {
    yield* told.splice(0)
    if (done) return result
    const { promise, resolve } = Promise.withResolvers<void>()
    wake = resolve
    if (!done && told.length === 0) await promise
  }
}
