import type { McpServer, ServerContext, ToolAnnotations } from '@modelcontextprotocol/server'
import type * as z from 'zod'
import type { LociClient } from '../shared/client/http.ts'

/** What a tool works with during one call. */
export interface ToolCall extends Pick<ToolDeps, 'log' | 'hostIsGone' | 'finish'> {
  client: LociClient
  /** Aborts when the host cancels the call or goes away. */
  signal: AbortSignal
  /** Tells a host that asked for progress what happens; does nothing for the others. */
  progress: (message: string) => void
}

/** What every call needs from the process. `client` opens the core at the first call and answers with the same one. */
export interface ToolDeps {
  client: () => Promise<LociClient>
  /** One line for the operator, on stderr. */
  log: (text: string) => void
  /** True when a call ended because the host left, not because it was cancelled. */
  hostIsGone: () => boolean
  /** The process does not end before this has. */
  finish: (turn: Promise<unknown>) => void
}

interface ToolDefinition<Input extends z.ZodObject> {
  /** snake_case, noun first; with the server's name at most 60 characters. */
  name: string
  title: string
  description: string
  /** A strict object: an argument the tool does not know is an error, not silently dropped. */
  input: Input
  annotations: Required<Omit<ToolAnnotations, 'title'>>
  /** Answers with text for a model, within `capped`. What it throws becomes an `isError` answer. */
  run: (input: z.output<Input>, call: ToolCall) => Promise<string>
}

/** A tool ready to be put on a server. */
export interface Tool {
  readonly name: string
  register: (server: McpServer, deps: ToolDeps) => void
}

export function defineTool<Input extends z.ZodObject>(definition: ToolDefinition<Input>): Tool {
  const { name, title, description, input, annotations, run } = definition
  return {
    name,
    register(server, deps) {
      // The SDK's callback type is conditional on the schema; it stays unresolved for a generic one.
      const callback = async (args: z.output<Input>, context: ServerContext) => {
        let url = 'the data directory'
        try {
          const client = await deps.client()
          url = client.url
          const text = await run(args, {
            client,
            signal: context.mcpReq.signal,
            progress: progressOf(context, deps),
            log: deps.log,
            hostIsGone: deps.hostIsGone,
            finish: deps.finish,
          })
          return { content: [{ type: 'text' as const, text }] }
        } catch (error) {
          // The official client behind this is large: it is loaded after the host has its first answer.
          const { describeFailure } = await import('../shared/client/http.ts')
          return { content: [{ type: 'text' as const, text: describeFailure(error, url) }], isError: true }
        }
      }
      server.registerTool<z.ZodObject, z.ZodObject>(
        name,
        { title, description, inputSchema: input, annotations },
        callback as (args: Record<string, unknown>, context: ServerContext) => ReturnType<typeof callback>,
      )
    },
  }
}

function progressOf(context: ServerContext, deps: ToolDeps): (message: string) => void {
  const progressToken = context.mcpReq._meta?.progressToken
  if (progressToken === undefined) return () => {}
  let progress = 0
  return (message) => {
    context.mcpReq
      .notify({ method: 'notifications/progress', params: { progressToken, progress: ++progress, message } })
      .catch((error: unknown) => deps.log(`progress was not delivered: ${String(error)}`))
  }
}

/** About 8k tokens: hosts cut answers at 25k, and a model reads its whole answer. In UTF-8 bytes. */
const CAP = 32_000

/** `text`, or its beginning and a note: `rest` says, for the count of characters shown, how to see what was left out. */
export function capped(text: string, rest: (shown: number) => string): string {
  const bytes = new TextEncoder().encode(text)
  if (bytes.length <= CAP) return text
  let head = new TextDecoder().decode(bytes.subarray(0, CAP)).replace(/\uFFFD+$/, '')
  if (/[\uD800-\uDBFF]$/.test(head)) head = head.slice(0, -1)
  return `${head}\n\n[Cut here, ${text.length - head.length} characters left out. ${rest(head.length)}]`
}
