import * as z from 'zod'
import { timestamp } from './page.ts'

export const EVENT_TYPES = [
  'agent.created',
  'agent.updated',
  'agent.deleted',
  'block.created',
  'block.updated',
  'block.deleted',
  'block.attached',
  'block.detached',
  'tool.created',
  'tool.updated',
  'tool.deleted',
  'tool.attached',
  'tool.detached',
  'mcp_server.created',
  'mcp_server.updated',
  'mcp_server.deleted',
  'folder.created',
  'folder.updated',
  'folder.deleted',
  'file.created',
  'file.updated',
  'file.deleted',
  'conversation.created',
  'conversation.updated',
  'conversation.deleted',
  'run.created',
  'run.updated',
] as const
export const eventType = z.enum(EVENT_TYPES)
export type EventType = z.infer<typeof eventType>

/**
 * One change, as `GET /v1/events` streams it. It says what changed, not how: read the object again.
 * `id` grows by time and is the cursor (`?after=`, or the header Last-Event-ID).
 */
export const event = z.object({
  id: z.number().int(),
  type: eventType,
  /** The id of what changed: of an agent, block, tool, MCP server, folder, file, conversation or run. */
  object_id: z.string(),
  /** The agent concerned, when there is exactly one. */
  agent_id: z.string().nullable(),
  date: timestamp,
})
export type Event = z.infer<typeof event>

/** `usage` (not of V1) is what there is of everything that may have a limit, when it is asked for. */
export const health = z.object({
  version: z.string(),
  status: z.literal('ok'),
  usage: z
    .object({
      agents: z.number().int(),
      tools: z.number().int(),
      blocks: z.number().int(),
      files: z.number().int(),
      /** Of the files as they were uploaded. */
      file_bytes: z.number().int(),
    })
    .optional(),
})
