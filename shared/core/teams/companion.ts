import { type Agent, type AgentType, createAgent, type CreateAgent } from '../../schema/agent.ts'
import { newId } from '../../schema/ids.ts'
import { MAX_NAME } from '../../schema/names.ts'
import type { NewGroup } from '../ports/group-store.ts'

/** Every how many turns of its agent a companion is at work (reference 2.6). */
const FREQUENCY = 5

const SUFFIX = '-sleeptime'

const PERSONA =
  'I keep the memory of another assistant. I read what it and its user said and see to it that the memory blocks we ' +
  'share are true, short and well ordered. I write down what will matter later, correct what has changed, and leave ' +
  'alone what is right. I never answer the user.'

/** Whether an agent of this type can have a companion: it has memory blocks, and is no companion itself. */
export function canHaveCompanion(type: AgentType): boolean {
  return !['sleeptime_agent', 'voice_sleeptime_agent', 'voice_convo_agent'].includes(type)
}

/** The request for the companion of an agent: its model and time zone, and a persona of its own. */
export function companionBody(
  main: Pick<Agent, 'name' | 'model' | 'timezone' | 'hidden' | 'project_id' | 'llm_config'>,
): CreateAgent {
  return createAgent.parse({
    name: main.name.slice(0, MAX_NAME - SUFFIX.length) + SUFFIX,
    agent_type: 'sleeptime_agent',
    model: main.model,
    context_window_limit: main.llm_config.context_window,
    timezone: main.timezone,
    hidden: main.hidden,
    project_id: main.project_id,
    memory_blocks: [
      {
        label: 'memory_persona',
        value: PERSONA,
        description: 'Who I am and how I look after the memory that I share with the assistant.',
      },
    ],
  })
}

/** The group of an agent and its companion. */
export function companionGroup(
  main: Pick<Agent, 'id' | 'project_id' | 'hidden'>,
  companion_id: string,
  now: Date,
): NewGroup {
  return {
    id: newId('group'),
    manager_type: 'sleeptime',
    manager_agent_id: main.id,
    agent_ids: [companion_id],
    description: 'An agent and the companion that looks after its memory.',
    sleeptime_agent_frequency: FREQUENCY,
    turns_counter: 0,
    last_processed_message_id: null,
    shared_block_ids: [],
    project_id: main.project_id,
    template_id: null,
    base_template_id: null,
    deployment_id: null,
    termination_token: null,
    max_turns: null,
    max_message_buffer_length: null,
    min_message_buffer_length: null,
    hidden: main.hidden,
    created_at: now.toISOString(),
  }
}
