import { type LociClient } from '../../shared/client/http.ts'
import { isAppError } from '../../shared/schema/errors.ts'
import { ask, isInteractive } from '../ask.ts'
import { Failure } from '../failure.ts'
import { firstModel } from '../models.ts'
import { note, tableText } from '../print.ts'
import { quoted } from '../progress.ts'
import { columns } from '../terminal.ts'

interface Agent {
  id: string
  name: string
}

/** Agents that are offered. */
const OFFERED = 20

/** The agent of this name, made when it is not there and the user wants it. Without a name, the user picks one. */
export async function findOrCreate(
  client: LociClient,
  named: string | undefined,
  options: { create?: boolean; model?: string },
): Promise<Agent> {
  if (named === undefined) return pick(client, options)
  try {
    return await client.findAgent(named)
  } catch (error) {
    if (!isAppError(error, 'not_found')) throw error
    if (!options.create) {
      if (!isInteractive() || !process.stdout.isTTY || /^agent-[0-9a-f-]{36}$/.test(named)) {
        const command = `loci chat '${named.replaceAll("'", "'\\''")}' --create`
        throw new Failure(`${error.message} To create it: ${command}`, { cause: error })
      }
      note(error.message)
      const answer = await ask(`Create '${named}'? [y/N] `)
      if (!/^y(es)?$/i.test(answer)) throw new Failure('Nothing was created.')
    }
  }
  return create(client, named, options.model)
}

async function pick(client: LociClient, options: { model?: string }): Promise<Agent> {
  const { items } = await client.letta.agents.list({ limit: OFFERED, order: 'desc', include: [] })
  const [first] = items
  if (!isInteractive() || !process.stdout.isTTY) {
    const names = items.map(({ name }) => quoted(name)).join(', ')
    throw new Failure(
      first
        ? `Name the agent to talk to: loci chat AGENT. There is: ${names}.`
        : 'There are no agents yet. To create one: loci chat Ada --create',
    )
  }
  if (!first) {
    const name = await ask('There are no agents yet. A name for your first one (Enter: Ada): ')
    return create(client, name || 'Ada', options.model)
  }
  if (items.length === 1) return first
  const rows = items.map(({ name, model }, i) => [String(i + 1), name, model ?? ''])
  const titles = [
    { title: 'N', align: 'right' as const },
    { title: 'AGENT', flexible: true },
    { title: 'MODEL', flexible: true },
  ]
  process.stdout.write(tableText(titles, rows, columns()))
  for (;;) {
    const answer = await ask('Talk to which (a number, or a name; Enter: 1)? ')
    const chosen = answer === '' ? first : items[Number(answer) - 1]
    if (chosen) return chosen
    if (!/^\d+$/.test(answer)) return findOrCreate(client, answer, options)
  }
}

async function create(client: LociClient, name: string, wanted: string | undefined): Promise<Agent> {
  const { agentName } = await import('../../shared/schema/agent.ts')
  const issue = agentName.safeParse(name).error?.issues[0]
  if (issue) throw new Failure(`'${name}' cannot be the name of an agent: ${issue.message}.`)
  const model = wanted ?? firstModel(await client.letta.models.list())
  const agent = await client.letta.agents.create({
    name,
    model,
    memory_blocks: [
      { label: 'human', value: '' },
      { label: 'persona', value: 'I am a friendly assistant.' },
    ],
  })
  note(`Created agent '${agent.name}' on ${model}.`)
  return agent
}
