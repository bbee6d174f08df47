import type { Agent } from '../../schema/agent.ts'
import type { ToolSchema } from '../../schema/tool.ts'
import type { AgentLoop, Continuation, Offer } from './agent-loop.ts'
import type { Answer } from './answer.ts'

/**
 * V1's current loop (reference 3.2): the model chooses whether to call a tool, a plain answer ends the turn, and after
 * calls it is always asked again.
 */
export class LettaV1Loop implements AgentLoop {
  readonly #tools: ToolSchema[]
  readonly #parallel: boolean

  constructor(agent: Agent) {
    this.#tools = agent.tools.flatMap((tool) =>
      tool.json_schema ? [tool.json_schema as unknown as ToolSchema] : [],
    )
    this.#parallel = agent.llm_config.parallel_tool_calls === true
  }

  offer(): Offer {
    return { tools: this.#tools, tool_choice: 'auto', parallel_tool_calls: this.#parallel }
  }

  /** With parallel calls off a model that sends several gets only its first one run. */
  read(answer: Answer): Answer {
    return this.#parallel ? answer : { ...answer, tool_calls: answer.tool_calls.slice(0, 1) }
  }

  afterText(answer: Answer): Continuation {
    return { stop: answer.finish_reason === 'length' ? 'max_tokens_exceeded' : 'end_turn' }
  }

  afterCalls(): Continuation {
    return { stop: null, say: null }
  }
}
