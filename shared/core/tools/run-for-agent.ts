import type { Agent } from '../../schema/agent.ts'
import type { ToolExecutionResult } from '../../schema/custom-tool.ts'
import { agentNotFound, AppError } from '../../schema/errors.ts'
import type { StoredToolCall, StoredToolReturn } from '../../schema/message.ts'
import { WorkingMemory } from '../memory.ts'
import type { Actor } from '../ports/actor.ts'
import type { CoreDeps } from '../ports/deps.ts'
import type { AgentMessaging } from '../ports/tools.ts'
import { runAgain, runToolCalls, type ToolCallScope } from '../turn/tool-calls.ts'
import { ToolRules } from '../turn/tool-rules.ts'
import { isClientTool } from '../turn/turn-tools.ts'

/** How often changes of memory are written again because somebody else changed the same block. */
const MAX_CONFLICTS = 20

/**
 * Runs one of the agent's tools as the agent would, outside of a turn: with its secrets and its memory, which is changed
 * as by a turn, but without rules, approvals and messages. A failing tool is a result. Throws `not_found` for the agent
 * and for a tool that it does not have.
 */
export async function runToolForAgent(
  deps: CoreDeps,
  actor: Actor,
  { agent_id, tool_name, args }: { agent_id: string; tool_name: string; args: Record<string, unknown> },
  options: { messagingOf: (agent: Agent) => AgentMessaging; signal: AbortSignal },
): Promise<ToolExecutionResult> {
  const agent = await deps.store.agents.get(actor, agent_id, ['agent.blocks', 'agent.tools', 'agent.tags'])
  if (!agent) throw agentNotFound()
  const tool = agent.tools.find(({ name }) => name === tool_name)
  if (!tool)
    throw new AppError(
      'not_found',
      `The agent '${agent_id}' has no tool named '${tool_name}'; attach it first.`,
    )
  if (isClientTool(tool))
    throw new AppError(
      'invalid_argument',
      `The tool '${tool_name}' has no code (its source_type is json): the client of the agent runs it.`,
    )
  const memory = new WorkingMemory(agent.blocks)
  const rules = new ToolRules([], [tool_name])
  const scope: ToolCallScope = {
    actor,
    agent,
    run_id: null,
    memory,
    rules,
    messaging: options.messagingOf(agent),
    deps,
    signal: options.signal,
  }
  const call: StoredToolCall = {
    id: 'call',
    type: 'function',
    function: { name: tool_name, arguments: JSON.stringify(args) },
  }
  let executed = await runToolCalls([call], scope)
  for (let attempt = 0; ; attempt++) {
    const edited = await deps.store.agents.editBlocks(actor, agent_id, memory.edits())
    if (edited.status === 'committed') break
    if (attempt >= MAX_CONFLICTS)
      throw new AppError(
        'conflict',
        'A memory block of this agent was changed by others faster than it could be edited; run the tool again.',
      )
    memory.rebase(edited)
    executed = await runAgain(executed, scope)
  }
  const passages = executed.flatMap((one) => one.passages)
  if (passages.length > 0) await deps.store.passages.create(actor, agent_id, passages)
  const [done] = executed
  if (!done) throw new Error('a call has a result')
  return executionResult(done.result)
}

/** What a tool returned, in the shape that V1 answers outside of a turn: what went wrong stands in `stderr`. */
export function executionResult({
  status,
  func_response,
  stdout,
  stderr,
}: Pick<StoredToolReturn, 'status' | 'func_response' | 'stdout' | 'stderr'>): ToolExecutionResult {
  const failed = status === 'error'
  const text = typeof func_response === 'string' ? func_response : JSON.stringify(func_response)
  const errors = stderr ?? []
  return {
    status,
    func_return: failed ? null : func_response,
    agent_state: null,
    stdout: stdout ?? [],
    stderr: failed && !errors.includes(text) ? [...errors, text] : errors,
    sandbox_config_fingerprint: null,
  }
}
