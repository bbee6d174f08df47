import {
  inputResponse,
  type InputRequests,
  type InputRequiredResult,
  inputRequired,
  type InputResponseView,
  isInputRequiredResult,
  type McpServer,
  SdkError,
  SdkErrorCode,
  type ServerContext,
  type ToolAnnotations,
} from '@modelcontextprotocol/server'
import * as z from 'zod'
import type { LociClient } from '../shared/client/http.ts'
import { didYouMean } from '../shared/schema/near-names.ts'
import type { AgentState } from './letta.ts'
import { withoutCode } from './answer.ts'
import type { Slot } from './call-queue.ts'
import type { McpDeps } from './deps.ts'
import { clientCapabilities } from './host.ts'
import type { McpSettings, Toolset } from './settings.ts'

/** What a tool answers: text for a model, and the same as data where the tool has an output schema. */
export interface ToolAnswer {
  text: string
  structured?: Record<string, unknown> | undefined
  /** True for an answer that says what went wrong. */
  failed?: boolean | undefined
}

/** What a tool works with during one call. */
export interface ToolCall extends Pick<McpDeps, 'log' | 'hostIsGone' | 'finish' | 'decisions'>, Slot {
  client: LociClient
  /** Aborts when the host cancels the call or goes away. */
  signal: AbortSignal
  /** Tells a host that asked for progress what happens; does nothing for the others. */
  progress: (message: string) => void
  /** The agent that the call is about, or the pinned one. Throws `not_found` with near names. */
  agent: () => Promise<AgentState>
  /** The pinned agent's id; null when any agent will do. */
  pinned: () => Promise<string | null>
  /** Asking the host's user; null for a host that cannot. */
  user: UserQuestions | null
  /** The host shows MCP Apps: data that only an app reads goes along. */
  shows_apps: boolean
  settings: McpSettings
}

/** Questions to the host's user: a call that asks ends with `ask`, and is made again with the answers. */
export interface UserQuestions {
  answer: (key: string) => InputResponseView
  /** What the call that asked has left for this one. It was signed: only this server can have written it. */
  state: () => unknown
  ask: (questions: InputRequests, state: unknown) => Promise<InputRequiredResult>
}

type Run<Shape extends z.ZodRawShape> = (
  input: z.output<z.ZodObject<Shape>>,
  call: ToolCall,
) => Promise<string | ToolAnswer | InputRequiredResult>

interface ToolDefinition<Shape extends z.ZodRawShape> {
  /** snake_case, noun first; with the server's name at most 60 characters. */
  name: string
  title: string
  description: string
  /**
   * `agent`: takes one, unless one is pinned. `run`: works on what may be another agent's, and must look itself.
   * `agents`: about all of them, and left out where one is pinned.
   */
  about: 'agent' | 'run' | 'agents'
  /** Fields of a strict object: an argument the tool does not know is an error, not silently dropped. */
  input: Shape
  /** Shape of `structured`, where an answer has handles or values that the caller passes on. */
  output?: z.ZodObject
  annotations: Required<Omit<ToolAnnotations, 'title'>>
  /** Extra metadata for hosts, such as the app that shows the answer. */
  meta?: Record<string, unknown>
  /** What it throws becomes an `isError` answer. */
  run: Run<Shape>
}

/** A tool ready to be put on a server. */
export interface Tool {
  readonly name: string
  readonly toolset: Toolset
  /** Whether it is offered under these settings. */
  fits: (settings: McpSettings) => boolean
  register: (server: McpServer, deps: McpDeps, settings: McpSettings, mint: MintState) => void
}

/** Signs what a call leaves for its next round. */
export type MintState = (payload: unknown, context: ServerContext) => Promise<string>

const AGENT = z.string().min(1).describe('Agent name or id')

/** Annotations of a tool that only reads what this machine keeps. */
export const READS = {
  readOnlyHint: true,
  destructiveHint: false,
  idempotentHint: true,
  openWorldHint: false,
} as const

export function defineTool<Shape extends z.ZodRawShape>(
  definition: ToolDefinition<Shape>,
  toolset: Toolset = 'default',
): Tool {
  const { name, about, annotations } = definition
  return {
    name,
    toolset,
    fits: (settings) =>
      settings.toolsets.includes(toolset) &&
      (!settings.read_only || annotations.readOnlyHint === true) &&
      (settings.agent === null || about !== 'agents'),
    register(server, deps, settings, mint) {
      const takesAgent = about === 'agent' && settings.agent === null
      const shape = takesAgent ? { agent: AGENT, ...definition.input } : definition.input
      const inputSchema = takingNulls(z.strictObject(shape, { error: nearArguments(Object.keys(shape)) }))
      const { title, description, output, meta } = definition
      server.registerTool<z.ZodObject, z.ZodObject>(
        name,
        {
          title,
          description,
          inputSchema,
          annotations,
          ...(output ? { outputSchema: output } : {}),
          ...(meta ? { _meta: meta } : {}),
        },
        async (input, context) => {
          let url = 'the data directory'
          try {
            const client = await deps.client()
            url = client.url
            const answer = await deps.queue.run((slot) => {
              const call = callOf({ client, context, deps, input, mint, server, settings, slot })
              return definition.run(input as z.output<z.ZodObject<Shape>>, call)
            }, context.mcpReq.signal)
            if (typeof answer === 'string') return { content: [{ type: 'text', text: answer }] }
            if (isInputRequiredResult(answer)) return answer
            const { text, structured, failed } = answer
            return {
              content: [{ type: 'text', text }],
              ...(structured ? { structuredContent: structured } : {}),
              ...(failed ? { isError: true } : {}),
            }
          } catch (error) {
            // The official client behind this is large: it is loaded after the host has its first answer.
            const { describeFailure } = await import('../shared/client/http.ts')
            const text = withoutCode(describeFailure(error, url))
            return { content: [{ type: 'text', text }], isError: true }
          }
        },
      )
    },
  }
}

/** The same schema for whom null means "not given", as many models write it. */
function takingNulls(schema: z.ZodObject): z.ZodObject {
  const standard = schema['~standard']
  const validate: typeof standard.validate = (value, options) =>
    standard.validate(withoutNulls(value), options)
  // What the SDK knows of a schema is this property (standardschema.dev).
  return { '~standard': { ...standard, validate } } as unknown as z.ZodObject
}

function withoutNulls(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== null))
}

/** Names those arguments that are near to one that there is not. */
function nearArguments(known: readonly string[]) {
  return (issue: { code?: string | undefined; keys?: unknown }): string | undefined => {
    if (issue.code !== 'unrecognized_keys' || !Array.isArray(issue.keys)) return undefined
    const keys = issue.keys.map(String)
    return keys
      .map((key) => `There is no argument '${key}'. ${didYouMean(key, known, 'It takes none.')}`)
      .join(' ')
  }
}

interface CallParts {
  client: LociClient
  context: ServerContext
  deps: McpDeps
  input: Record<string, unknown>
  mint: MintState
  server: McpServer
  settings: McpSettings
  slot: Slot
}

function callOf(parts: CallParts): ToolCall {
  const { client, context, deps, input, mint, server, settings, slot } = parts
  const { signal } = context.mcpReq
  const host = clientCapabilities(server, context)
  return {
    client,
    signal,
    progress: progressOf(context, deps),
    log: deps.log,
    hostIsGone: () => deps.hostIsGone() || sessionHasEnded(context),
    finish: deps.finish,
    decisions: deps.decisions,
    aside: slot.aside,
    agent: () => client.findAgent(settings.agent ?? String(input['agent']), { signal }),
    pinned: async () => settings.agent && (await client.findAgent(settings.agent, { signal })).id,
    user: host.asks_forms ? questionsOf(context, mint) : null,
    shows_apps: host.shows_apps,
    settings,
  }
}

/**
 * The session of the call was ended, which cancels nothing. From 2026-07-28 on there are no sessions, and a host that closes
 * its HTTP request cancels it.
 */
function sessionHasEnded({ mcpReq }: ServerContext): boolean {
  const { reason } = mcpReq.signal as { reason: unknown }
  return (
    mcpReq.envelope === undefined &&
    SdkError.isInstance(reason) &&
    reason.code === SdkErrorCode.ConnectionClosed
  )
}

function questionsOf(context: ServerContext, mint: MintState): UserQuestions {
  const { mcpReq } = context
  return {
    answer: (key) => inputResponse(mcpReq.inputResponses, key),
    state: () => mcpReq.requestState(),
    ask: async (inputRequests, state) =>
      inputRequired({ inputRequests, requestState: await mint(state, context) }),
  }
}

function progressOf(context: ServerContext, deps: McpDeps): (message: string) => void {
  const progressToken = context.mcpReq._meta?.progressToken
  if (progressToken === undefined) return () => {}
  let progress = 0
  return (message) => {
    context.mcpReq
      .notify({ method: 'notifications/progress', params: { progressToken, progress: ++progress, message } })
      .catch((error: unknown) => deps.log(`progress was not delivered: ${String(error)}`))
  }
}
