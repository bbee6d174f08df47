import type { Actor } from '../../core/ports/actor.ts'
import type { CustomToolCall, CustomToolResult } from '../../core/ports/custom-tools.ts'
import type { Wall } from './walled-command.ts'

/** On whose behalf a tool's `client` asks. */
export interface ApiScope {
  actor: Actor
  agent_id: string | null
  run_id: string | null
}

/** The REST API of this process, as the user of the agent sees it; its URL's host says nothing. Never rejects. */
export type ToolApi = (scope: ApiScope, request: Request) => Promise<Response>

/** The limits of a call where its source declares none. */
export interface ToolLimits {
  /** Milliseconds of wall-clock time; a source may not declare more. */
  timeout_ms: number
  /** Mebibytes; a source may not declare more than `max_memory_mb`. */
  memory_mb: number
  max_memory_mb: number
}

/** V1's limit of time; as much memory as Node gives a heap on a small machine. */
export const DEFAULT_LIMITS: ToolLimits = { timeout_ms: 180_000, memory_mb: 512, max_memory_mb: 4096 }

export interface LanguageOptions {
  wall: Wall
  api: ToolApi
  limits: ToolLimits
}

/** What runs the tools of one language. As `CustomTools.run`. */
export interface LanguageTools {
  run(
    call: CustomToolCall,
    options: { signal: AbortSignal; onProgress?: ((text: string) => void) | undefined },
  ): Promise<CustomToolResult>
  close(): Promise<void>
}

/** What V1 says of a call that failed, for the model; clipped as there. */
export function failedCall(
  name: string,
  text: string,
  output: { stdout: string[]; stderr: string[] } = { stdout: [], stderr: [] },
): CustomToolResult {
  const message = `Error executing function ${name}: ${text}`
  const func_response = message.length <= MAX_ERROR ? message : `${message.slice(0, MAX_ERROR - 1)}…`
  return { status: 'error', func_response, memory_edits: {}, ...output }
}

const MAX_ERROR = 1000
