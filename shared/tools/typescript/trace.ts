/** Prints an error with its trace, in the lines of the tool's source; frames of ours and of Node are left out. */
export function printTrace(error: unknown, url: string): void {
  process.stderr.write(`${traceOf(error, url)}\n`)
}

function traceOf(error: unknown, url: string): string {
  try {
    if (!(error instanceof Error)) return String(error)
    const { stack: trace } = error as { stack: unknown }
    const stack = String(trace)
    const [head = '', ...frames] = stack.split(/\n(?= {4}at )/)
    const folder = url.slice(0, url.lastIndexOf('/') + 1)
    const shown = frames
      .filter((frame) => frame.includes(folder))
      .map((frame) => frame.replaceAll(folder, ''))
    const cause = error.cause instanceof Error ? [`caused by ${traceOf(error.cause, url)}`] : []
    return [head, ...shown, ...cause].join('\n').slice(0, 20_000)
  } catch {
    return 'the tool threw something that cannot be shown'
  }
}
