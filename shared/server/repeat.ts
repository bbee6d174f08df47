/**
 * Does `work` every so many milliseconds, never twice at once, without keeping the process alive. What it throws goes to
 * `onError`, and it is done again next time.
 */
export function repeat(ms: number, onError: (error: unknown) => void, work: () => Promise<void>) {
  let under_way: Promise<void> | null = null
  const now = () => {
    under_way ??= work()
      .catch(onError)
      .finally(() => {
        under_way = null
      })
  }
  const timer = setInterval(now, ms).unref()
  return {
    /** Does it once more now, unless it is being done. */
    now,
    /** Resolves when it is not being done and never will be. */
    async stop(): Promise<void> {
      clearInterval(timer)
      await under_way
    },
  }
}
