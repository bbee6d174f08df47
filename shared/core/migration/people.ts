import { AppError } from '../../schema/errors.ts'
import type { Group } from '../../schema/group.ts'
import type { Identity } from '../../schema/identity.ts'
import { oldGroup, oldIdentity } from '../../schema/old-server.ts'
import { idsHere, type Kind } from './bring.ts'
import { readLeniently } from './read.ts'
import { timesOf } from './times.ts'

/** Identities; their agents and blocks are linked as far as they are here. */
export const identities: Kind = {
  async plan(deps, actor, raw) {
    const notes: string[] = []
    const { agent_ids, block_ids, ...read } = readLeniently(oldIdentity, raw, notes)
    const made: Identity = {
      ...read,
      project_id: read.project_id ?? null,
      properties: read.properties ?? [],
      agent_ids: [],
      block_ids: [],
    }
    return {
      id: read.id,
      name: read.name,
      here: read.id,
      view: viewOf(made),
      notes,
      add: () => deps.store.migration.addIdentity(actor, made, timesOf(deps, raw)),
      async change(here) {
        const { identifier_key, name, identity_type, properties } = made
        const patch = { identifier_key, name, identity_type, properties }
        await deps.store.identities.update(actor, here, patch, { replace: true })
      },
      async link(here, linked) {
        const agents = (await idsHere(deps, actor, 'agent', agent_ids ?? [])).here
        const blocks = (await idsHere(deps, actor, 'block', block_ids ?? [])).here
        const all = new Set(linked)
        // A link that was taken away here is not made again.
        for (const agent_id of agents)
          if (!all.has(agent_id) && (await deps.store.agents.get(actor, agent_id, [])))
            await deps.store.identities.attach(actor, here, { agent_id })
        for (const block_id of blocks)
          if (!all.has(block_id) && (await deps.store.blocks.get(actor, block_id)))
            await deps.store.identities.attach(actor, here, { block_id })
        return [...new Set([...linked, ...agents, ...blocks])]
      },
    }
  },
  async view(deps, actor, here) {
    const found = await deps.store.identities.get(actor, here)
    return found && viewOf(found)
  },
}

function viewOf({ identifier_key, name, identity_type, project_id, properties }: Identity) {
  return { identifier_key, name, identity_type, project_id, properties }
}

/** Groups of agents that were brought. */
export const groups: Kind = {
  async plan(deps, actor, raw) {
    const notes: string[] = []
    const read = readLeniently(oldGroup, raw, notes)
    const members = await idsHere(deps, actor, 'agent', read.agent_ids)
    const leader = read.manager_agent_id ?? null
    const led = leader === null ? [] : (await idsHere(deps, actor, 'agent', [leader])).here
    if (leader !== null && led.length === 0)
      throw new AppError(
        'not_found',
        `The agent '${leader}' that leads it is not here. Bring it, then run this again.`,
      )
    for (const id of members.missing) notes.push(`Its agent '${id}' is not here, and so not in it.`)
    const shared = await idsHere(deps, actor, 'block', read.shared_block_ids ?? [])
    const made: Group = {
      id: read.id,
      manager_type: read.manager_type,
      agent_ids: members.here,
      description: read.description,
      project_id: read.project_id ?? null,
      template_id: read.template_id ?? null,
      base_template_id: read.base_template_id ?? null,
      deployment_id: read.deployment_id ?? null,
      shared_block_ids: shared.here,
      manager_agent_id: led[0] ?? null,
      termination_token: read.termination_token ?? null,
      max_turns: read.max_turns ?? null,
      sleeptime_agent_frequency: read.sleeptime_agent_frequency ?? null,
      turns_counter: read.turns_counter ?? null,
      last_processed_message_id: read.last_processed_message_id ?? null,
      max_message_buffer_length: read.max_message_buffer_length ?? null,
      min_message_buffer_length: read.min_message_buffer_length ?? null,
      hidden: read.hidden ?? null,
    }
    return {
      id: read.id,
      name: made.description.slice(0, 60) || read.id,
      here: read.id,
      view: groupView(made),
      notes,
      async add() {
        await deps.store.groups.create(actor, { ...made, created_at: timesOf(deps, raw).created_at })
      },
      async change(here) {
        const { id: _, manager_type: _m, ...patch } = groupView(made)
        await deps.store.groups.update(actor, here, patch)
      },
    }
  },
  async view(deps, actor, here) {
    const found = await deps.store.groups.get(actor, here)
    return found && groupView(found)
  },
}

/** Without what a turn counts. */
function groupView(value: Group) {
  const { id, manager_type, agent_ids, description, project_id, shared_block_ids, manager_agent_id } = value
  const { termination_token, max_turns, sleeptime_agent_frequency } = value
  const { max_message_buffer_length, min_message_buffer_length } = value
  return {
    id,
    manager_type,
    agent_ids,
    description,
    project_id,
    shared_block_ids,
    manager_agent_id,
    termination_token,
    max_turns,
    sleeptime_agent_frequency,
    max_message_buffer_length,
    min_message_buffer_length,
  }
}
