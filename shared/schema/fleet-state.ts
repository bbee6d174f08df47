import * as z from 'zod'

const made = z.object({ id: z.string(), made: z.boolean() })

/** An agent as the last apply left it; names of what that apply gave to it, and hashes of texts. */
const agentRecord = made.extend({
  blocks: z.record(z.string(), made.extend({ value: z.string().nullable() })).default({}),
  tools: z.array(z.string()).default([]),
  tags: z.array(z.string()).default([]),
  shared_blocks: z.array(z.string()).default([]),
  folders: z.array(z.string()).default([]),
  archives: z.array(z.string()).default([]),
  secrets: z.array(z.string()).default([]),
  /** What was asked for, and what the server made of it. */
  settled: z.record(z.string(), z.tuple([z.string(), z.string()])).default({}),
})
export type AgentRecord = z.infer<typeof agentRecord>

/** What an apply has made of a fleet: the next one sees by it what was changed elsewhere, and what it may remove. */
export const fleetState = z.object({
  /** When the last apply began to change something. */
  applied_at: z.string().optional(),
  /** What it was to make: what is there of it was made, also when the apply was broken off before it could say so. */
  creating: z.array(z.string()).default([]),
  agents: z.record(z.string(), agentRecord).default({}),
  blocks: z.record(z.string(), made.extend({ value: z.string().nullable() })).default({}),
  folders: z
    .record(z.string(), made.extend({ files: z.record(z.string(), z.string()).default({}) }))
    .default({}),
  archives: z.record(z.string(), made).default({}),
  tools: z.record(z.string(), made).default({}),
  mcp_servers: z.record(z.string(), made.extend({ config: z.string() })).default({}),
})

export type FleetState = z.infer<typeof fleetState>
