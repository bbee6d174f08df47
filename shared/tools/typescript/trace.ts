import { SourceMap, type SourceMapPayload } from 'node:module'
import { refusedText } from './refusal.ts'

/** Where the code of a tool was loaded from, and the code, with its source map inline. */
export interface LoadedTool {
  url: string
  code: string
}

/** A text that is no longer than this; what is cut says so, with three dots. */
export function cutTo(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max - 1)}…`
}

/** Prints an error with its trace, in the lines of the tool's source; frames of ours and of Node are left out. */
export function printTrace(error: unknown, tool: LoadedTool): void {
  process.stderr.write(`${traceOf(error, tool)}\n`)
}

function traceOf(error: unknown, tool: LoadedTool): string {
  try {
    if (!(error instanceof Error)) return String(error)
    const { stack, cause } = error as { stack: unknown; cause?: unknown }
    const [first = '', ...frames] = String(stack).split(/\n(?= {4}at )/)
    const refused = refusedText(error)
    const head = refused === null ? first : `${error.name}: ${refused}`
    const folder = tool.url.slice(0, tool.url.lastIndexOf('/') + 1)
    // Loci itself may lie below the folder.
    const own = frames.filter((frame) => frame.includes(tool.url) || frame.includes(`${folder}node_modules/`))
    const map = own.length > 0 ? mapOf(tool.code) : null
    const shown = own.map((frame) =>
      frame
        .replace(/tool\.ts:(\d+):(\d+)/, (place, line: string, column: string) => {
          const origin = map?.findOrigin(Number(line), Number(column))
          return origin && 'lineNumber' in origin
            ? `tool.ts:${origin.lineNumber}:${origin.columnNumber}`
            : place
        })
        .replaceAll(folder, ''),
    )
    const causes = cause instanceof Error ? [`caused by ${traceOf(cause, tool)}`] : []
    return cutTo([head, ...shown, ...causes].join('\n'), 20_000)
  } catch {
    return 'the tool threw something that cannot be shown'
  }
}

function mapOf(code: string): SourceMap | null {
  const [, base64] = /\/\/# sourceMappingURL=data:application\/json;base64,([\w+/=]+)\s*$/.exec(code) ?? []
  if (base64 === undefined) return null
  const map = JSON.parse(Buffer.from(base64, 'base64').toString()) as SourceMapPayload
  // One that only says that each line is its own knows no columns.
  return map.sourcesContent ? new SourceMap(map) : null
}
