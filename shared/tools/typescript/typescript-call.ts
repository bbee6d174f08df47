import type { CustomToolCall, CustomToolResult } from '../../core/ports/custom-tools.ts'
import type { Agent } from '../../schema/agent.ts'
import { failedCall } from '../sandbox/language-tools.ts'
import type { ProcessOutcome } from '../sandbox/walled-process.ts'
import type { NodeProfile } from './node-command.ts'
import type { CallingAgent, WorkerCall } from './worker-call.ts'

/** A call as the process of a TypeScript tool is told of it. */
export function frameOf(
  call: CustomToolCall,
  { code, entry }: Pick<WorkerCall, 'code' | 'entry'>,
): WorkerCall & Record<string, unknown> {
  return {
    name: call.name,
    code,
    entry,
    arguments: call.arguments,
    env: { ...call.env },
    agent: call.agent && callingAgent(call.agent),
  }
}

/** What a tool sees of the agent that calls it: no secrets, no code of other tools. */
function callingAgent(agent: Agent): CallingAgent {
  const { blocks, tools, ...fields } = agent
  delete fields.secrets
  delete fields.pending_approval
  return {
    ...fields,
    tools: tools.map(({ id, name, description, tool_type }) => ({ id, name, description, tool_type })),
    blocks: blocks.map(({ label, value, description, limit, read_only }) => ({
      label: label ?? '',
      value,
      description: description ?? null,
      limit,
      read_only,
    })),
  }
}

/** Of what Node says of itself when it ends in an abort: addresses, and where its program lies on this machine. */
const NATIVE_TRACE = /^-----.* stack trace -----$|^ *\d+: 0x[0-9a-f]+ /

/** What came of a call, for the model. */
export function resultOf(
  { name, agent }: CustomToolCall,
  { memory_mb }: Pick<NodeProfile, 'memory_mb'>,
  { result, failure, stdout, stderr }: ProcessOutcome,
): CustomToolResult {
  if (!result) {
    const output = { stdout, stderr: stderr.filter((line) => !NATIVE_TRACE.test(line)) }
    const full = stderr.some((line) => /out of memory|Allocation failed|allocate memory/i.test(line))
    if (!full) return failedCall(name, failure, output)
    // What V8 says then is about itself.
    const own = stderr.findIndex((line) => line.startsWith('<--- Last few GCs') || line.startsWith('#'))
    const said = own < 0 ? stderr : stderr.slice(0, own)
    return failedCall(name, `it ran out of memory; its limit is ${memory_mb} MB`, { stdout, stderr: said })
  }
  const output = { stdout, stderr }
  if (result.status === 'error') return failedCall(name, `${result.name}: ${result.message}`, output)
  const labels = new Set(agent?.blocks.map(({ label }) => label ?? ''))
  const memory_edits = Object.fromEntries(
    Object.entries(result.memory_edits).filter(([label]) => labels.has(label)),
  )
  return { status: 'success', func_response: result.value, memory_edits, ...output }
}
