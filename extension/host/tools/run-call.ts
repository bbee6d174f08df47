import type { LociClient } from '../../../shared/client/http.ts'
import type { ToolFile } from '../../../shared/client/tool-files.ts'
import type { RunOutcome } from '../../run-form.ts'

/** What the server answers to a call of a source. */
interface Answer {
  status: string
  tool_return: unknown
  stdout?: string[] | null
  stderr?: string[] | null
}

/**
 * Calls the tool once with these arguments, behind the wall and without an agent. A tool that fails is an outcome, and so
 * is a call that `signal` cancels. Throws what the client throws.
 */
export async function callTool(
  client: LociClient,
  { source_code, source_type, settings }: ToolFile,
  args: Record<string, unknown>,
  signal: AbortSignal,
): Promise<RunOutcome> {
  const { json_schema, args_json_schema, pip_requirements, npm_requirements } = settings
  const schemas = { json_schema, args_json_schema, pip_requirements, npm_requirements }
  const begun = performance.now()
  const took = () => performance.now() - begun
  try {
    const body = { source_code, source_type, ...schemas, args }
    const answer = (await client.letta.post('/v1/tools/run', { body, signal, maxRetries: 0 })) as Answer
    return {
      state: answer.status === 'error' ? 'failed' : 'returned',
      text: textOf(answer.tool_return),
      stdout: (answer.stdout ?? []).join('\n'),
      stderr: (answer.stderr ?? []).join('\n'),
      duration: took(),
    }
  } catch (error) {
    if (!signal.aborted) throw error
    return { state: 'cancelled', text: '', stdout: '', stderr: '', duration: took() }
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value, null, 2)
}
