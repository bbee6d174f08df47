import * as z from 'zod'
import { AppError } from '../../schema/errors.ts'
import { isId } from '../../schema/ids.ts'
import { MAX_NAME } from '../../schema/names.ts'

/** In a path: an id, and nothing that would lead elsewhere. */
const inPath = z.string().regex(/^[\w.-]{0,127}[\w-]$/, 'is no id')
const common = { id: z.string().min(1).max(128) }
const target = {
  /** Its id or name. */
  agent_id: z.string().min(1).max(MAX_NAME).optional(),
  conversation_id: inPath.optional(),
}

const turn = { ...common, ...target }
/** Kinds of events, as they begin: `agent.updated` is of `agents`. */
const TOPICS = [
  'agents',
  'blocks',
  'tools',
  'runs',
  'conversations',
  'folders',
  'files',
  'mcp_servers',
] as const

/** What a client asks for, by `type`; what a turn takes beside its target is the body of its REST route. */
const command = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('send'), ...turn }),
  z.looseObject({ type: z.literal('stream'), ...turn }),
  z.looseObject({
    type: z.literal('approve'),
    ...turn,
    approvals: z
      .array(z.object({ tool_call_id: z.string(), approve: z.boolean(), reason: z.string().nullish() }))
      .min(1),
  }),
  z.object({
    type: z.literal('cancel'),
    ...turn,
    run_id: inPath.optional(),
    run_ids: z.array(z.string()).optional(),
  }),
  z.object({
    type: z.literal('resume'),
    ...common,
    run_id: inPath,
    seq_id: z.number().int().min(0).default(0),
  }),
  z.object({
    type: z.literal('subscribe'),
    ...common,
    topic: z.literal('events').default('events'),
    after: z.number().int().min(0).optional(),
    types: z.array(z.enum(TOPICS)).min(1).optional(),
  }),
  z.object({ type: z.literal('stop'), ...common, target: z.string() }),
  z.object({ type: z.literal('ping'), ...common }),
])
export type Command = z.infer<typeof command>

/** The first frame of who has not said in a header who asks. */
export const authFrame = z.object({
  type: z.literal('auth'),
  token: z.string().min(1).max(1024),
  user_id: z.string().max(128).optional(),
})

/** Throws `validation` with the field that is wrong. */
export function parseCommand(value: unknown): Command {
  const parsed = command.safeParse(value)
  if (parsed.success) return parsed.data
  const issues = parsed.error.issues
    .slice(0, 5)
    .map(({ path, message }) => (path.length === 0 ? message : `${path.join('.')}: ${message}`))
  throw new AppError('validation', `this is no command: ${issues.join('; ')}`)
}

/** The agent that a command calls by its name; null when it has an id, or none. */
export function agentNamed(command: Command): string | null {
  const named = 'agent_id' in command ? command.agent_id : undefined
  return named === undefined || isId('agent', named) ? null : named
}

/** A request to the REST API. */
export interface Asked {
  method: 'GET' | 'POST'
  path: string
  body?: object
  /** Whether the same may have been asked before, on a connection that broke: it is one turn then. */
  may_repeat?: boolean
}

/** The request that a command stands for; `agent_id` is that of a socket for one agent. Throws `validation`. */
export function requestOf(
  command: Exclude<Command, { type: 'stop' | 'ping' }>,
  agent_id: string | null,
): Asked {
  switch (command.type) {
    case 'send':
      return {
        ...turnRequest(command, agent_id, { streaming: false, background: false }),
        may_repeat: hasOwnIds(command['messages']),
      }
    case 'stream':
      return turnRequest(command, agent_id, STREAMED)
    case 'approve': {
      const { approvals, ...rest } = command
      const messages = [
        { type: 'approval', approvals: approvals.map((one) => ({ type: 'approval', ...one })) },
      ]
      return turnRequest({ ...rest, messages }, agent_id, STREAMED)
    }
    case 'resume':
      return {
        method: 'POST',
        path: `/v1/runs/${command.run_id}/stream`,
        body: { starting_after: command.seq_id },
      }
    case 'subscribe': {
      const { after } = command
      return { method: 'GET', path: `/v1/events${after === undefined ? '' : `?after=${after}`}` }
    }
    case 'cancel':
      return cancelRequest(command, agent_id)
  }
}

/** Whether a client has named its messages, so that it can say the same again. */
function hasOwnIds(messages: unknown): boolean {
  if (!Array.isArray(messages) || messages.length === 0) return false
  return messages.every((one: { otid?: unknown } | null) => typeof one?.otid === 'string')
}

interface Target {
  agent_id?: string | undefined
  conversation_id?: string | undefined
}

/** As a background run, so that it can be resumed after a reconnect. */
const STREAMED = { streaming: true, background: true }

function turnRequest(
  command: Target & { type: string; id: string; [field: string]: unknown },
  own: string | null,
  fixed: object,
): Asked {
  const { type, id: _, agent_id, conversation_id, ...body } = command
  return {
    method: 'POST',
    path: `${placeOf(type, { agent_id, conversation_id }, own)}/messages`,
    body: { ...(type === 'send' ? {} : { stream_tokens: true }), ...body, ...fixed },
  }
}

function cancelRequest(command: Extract<Command, { type: 'cancel' }>, own: string | null): Asked {
  const { conversation_id, run_id, run_ids } = command
  const ids = run_id === undefined ? run_ids : [...(run_ids ?? []), run_id]
  const place = placeOf('cancel', command, own)
  if (isConversation(conversation_id) && ids === undefined) return { method: 'POST', path: `${place}/cancel` }
  const body = ids === undefined ? {} : { run_ids: ids }
  return {
    method: 'POST',
    path: `${placeOf('cancel', { agent_id: command.agent_id }, own)}/messages/cancel`,
    body,
  }
}

function isConversation(id: string | undefined): id is string {
  return id !== undefined && id !== 'default'
}

function placeOf(type: string, { agent_id, conversation_id }: Target, own: string | null): string {
  if (own !== null && agent_id !== undefined && agent_id !== own)
    throw new AppError(
      'validation',
      `agent_id: this socket is for ${own}; other agents are reached on /v1/ws`,
    )
  if (isConversation(conversation_id)) return `/v1/conversations/${conversation_id}`
  const agent = agent_id ?? own
  if (agent === null)
    throw new AppError('validation', `agent_id: '${type}' needs the id of an agent, or a conversation_id`)
  return `/v1/agents/${agent}`
}
