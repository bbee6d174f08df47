import * as z from 'zod'
import { idSchema } from './ids.ts'

/** Body of `POST /v1/tools/{tool_id}/debug`, ours. */
export const debugTool = z.object({
  /** The developer's own file, absolute, on the machine of the server. */
  path: z.string().min(1).max(4096),
})

/** `waiting`: the process is there and waits for a debugger; `running`: one is attached. */
export const debugState = z.enum(['armed', 'waiting', 'running', 'ended'])
export type DebugState = z.infer<typeof debugState>

/** What an editor attaches to: Node's inspector, or debugpy's Debug Adapter Protocol. */
export const debugTarget = z.object({
  protocol: z.enum(['inspector', 'dap']),
  host: z.string(),
  port: z.number().int(),
  /** Of the inspector: its WebSocket. It lets whoever knows it run code. */
  url: z.string().nullable(),
})
export type DebugTarget = z.infer<typeof debugTarget>

/** The next call of a tool, which a debugger may stop: made once, with the developer's own file, without the wall. */
export const debugRun = z.object({
  tool_id: idSchema('tool'),
  name: z.string(),
  source_type: z.enum(['python', 'typescript']),
  path: z.string(),
  state: debugState,
  target: debugTarget.nullable(),
  /** Who called; null until then, and for a developer who tries the tool. */
  agent_id: z.string().nullable(),
  run_id: z.string().nullable(),
  /** How it ended; null until then. */
  outcome: z.enum(['success', 'error', 'cancelled', 'expired']).nullable(),
  /** What the call returned to the model, or why it was not made. */
  result: z.string().nullable(),
  /** What is weaker than in other calls, for people. */
  warning: z.string(),
  /** ISO 8601, UTC; when nobody has called by then, it ends. */
  expires_at: z.string(),
})
export type DebugRun = z.infer<typeof debugRun>
