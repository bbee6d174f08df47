import type { AgentState, ToolBlock } from '../source/tool.ts'
import type { CallingAgent } from './worker-call.ts'

/** The agent as a tool sees it, and what the tool changed in its memory. */
export function openAgentState(agent: CallingAgent): { state: AgentState; edits(): Record<string, string> } {
  const { blocks: given, ...fields } = agent
  const blocks = new Map<string, { -readonly [field in keyof ToolBlock]: ToolBlock[field] }>(
    given.map((block) => [block.label, { ...block }]),
  )
  const before = new Map(given.map(({ label, value }) => [label, value]))
  const find = (label: string) => {
    const block = blocks.get(label)
    if (!block)
      throw new Error(
        `the agent has no memory block '${label}'; it has: ${[...blocks.keys()].join(', ') || 'none'}`,
      )
    return block
  }
  const state: AgentState = {
    ...fields,
    memory: {
      get blocks() {
        return [...blocks.values()]
      },
      get_block: find,
      update_block_value(label, value) {
        const block = find(label)
        if (typeof value !== 'string')
          throw new TypeError(`the value of memory block '${label}' has to be text`)
        block.value = value
      },
    },
  }
  return {
    state,
    edits: () =>
      Object.fromEntries(
        [...blocks.values()]
          .filter(({ label, value }) => before.get(label) !== value)
          .map(({ label, value }) => [label, value]),
      ),
  }
}
