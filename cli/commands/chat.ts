import { createInterface } from 'node:readline'
import { describeFailure, type LociClient } from '../../shared/client/http.ts'
import { isAppError } from '../../shared/schema/errors.ts'
import { isId } from '../../shared/schema/ids.ts'
import { Answer } from '../answer.ts'
import { complain, EXIT, Failure } from '../failure.ts'
import { firstModel } from '../models.ts'
import { bold, dim, plain } from '../terminal.ts'
import { withClient } from '../with-client.ts'

export interface ChatOptions {
  create?: boolean
  model?: string
  /** The id of one of the agent's conversations, or `new`; its default one when absent. */
  conversation?: string
  url?: string
  data?: string
}

interface Agent {
  id: string
  name: string
}

/** Whom the user talks to, and where. */
interface Talk {
  agent: Agent
  /** Null for the agent's default conversation. */
  conversation: string | null
}

/**
 * `loci chat`: a conversation on a terminal, or one message per line of a pipe and only the answers on stdout. Returns
 * at the end of input or `/exit`; a message that fails ends a pipe, and a terminal goes on.
 */
export async function runChat(nameOrId: string, options: ChatOptions): Promise<void> {
  await withClient(options, async (client) => {
    const agent = await findOrCreate(client, nameOrId, options)
    const talk = { agent, conversation: await findConversation(client, agent, options.conversation) }
    if (process.stdin.isTTY && process.stdout.isTTY) await converse(client, talk)
    else await answerLines(client, talk)
  })
}

async function findOrCreate(client: LociClient, nameOrId: string, options: ChatOptions): Promise<Agent> {
  try {
    return await client.findAgent(nameOrId)
  } catch (error) {
    if (!isAppError(error, 'not_found')) throw error
    if (!options.create) {
      const command = `loci chat '${nameOrId.replaceAll("'", "'\\''")}' --create`
      throw new Failure(`${error.message} To create it: ${command}`, { cause: error })
    }
  }
  const { agentName } = await import('../../shared/schema/agent.ts')
  const issue = agentName.safeParse(nameOrId).error?.issues[0]
  if (issue) throw new Failure(`'${nameOrId}' cannot be the name of an agent: ${issue.message}.`)
  const model = options.model ?? firstModel(await client.letta.models.list())
  const agent = await client.letta.agents.create({
    name: nameOrId,
    model,
    memory_blocks: [
      { label: 'human', value: '' },
      { label: 'persona', value: 'I am a friendly assistant.' },
    ],
  })
  process.stderr.write(`${dim(plain(`Created agent '${agent.name}' on ${model}.`), process.stderr)}\n`)
  return agent
}

/** The conversation that is asked for. Throws a `Failure` for one that is not there, or of another agent. */
async function findConversation(
  client: LociClient,
  agent: Agent,
  wanted: string | undefined,
): Promise<string | null> {
  if (wanted === undefined || wanted === 'default' || wanted === agent.id) return null
  if (wanted === 'new') {
    const { id } = await client.letta.conversations.create({ agent_id: agent.id })
    const text = `Conversation ${id}; to go on with it: --conversation ${id}`
    process.stderr.write(`${dim(plain(text), process.stderr)}\n`)
    return id
  }
  const list = `loci chat takes 'new' or the id of a conversation of ${agent.name}`
  if (!isId('conv', wanted)) throw new Failure(`'${wanted}' is no conversation: ${list}.`)
  const { agent_id } = await client.letta.conversations.retrieve(wanted)
  if (agent_id !== agent.id) throw new Failure(`Conversation '${wanted}' is one of another agent: ${list}.`)
  return wanted
}

async function answerLines(client: LociClient, talk: Talk): Promise<void> {
  const stop = new AbortController()
  const interrupt = () => {
    stop.abort()
    process.exitCode = EXIT.interrupted
    process.stdin.destroy()
  }
  process.once('SIGINT', interrupt)
  try {
    for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
      if (stop.signal.aborted) break
      if (line.trim() !== '') await ask(client, talk, line, stop.signal, process.stderr)
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error
  } finally {
    process.off('SIGINT', interrupt)
  }
}

async function converse(client: LociClient, talk: Talk): Promise<void> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout, prompt: bold('> ') })
  let answering: AbortController | null = null
  // Raw mode: Ctrl-C is a key here, not a signal.
  terminal.on('SIGINT', () => {
    if (answering) answering.abort()
    else {
      process.stdout.write('\n')
      terminal.close()
    }
  })
  process.stdout.write(`${dim(plain(`Talking to ${talk.agent.name}. /exit or Ctrl-C leaves.`))}\n`)
  terminal.prompt()
  for await (const line of terminal) {
    const text = line.trim()
    if (text === '/exit' || text === '/quit') break
    if (text !== '') {
      answering = new AbortController()
      try {
        await ask(client, talk, text, answering.signal, process.stdout)
      } catch (error) {
        complain(describeFailure(error, client.url))
      } finally {
        answering = null
      }
    }
    terminal.prompt()
  }
  terminal.close()
}

/** Streams one answer to stdout, what the agent does meanwhile to `notes`. An abort stops the turn, too. */
async function ask(
  client: LociClient,
  talk: Talk,
  message: string,
  signal: AbortSignal,
  notes: NodeJS.WriteStream,
): Promise<void> {
  const answer = new Answer(process.stdout, notes)
  let run: string | null = null
  try {
    const { agent, conversation } = talk
    const { agents, conversations } = client.letta
    const body = { input: message, streaming: true, stream_tokens: true } as const
    const once = { signal, maxRetries: 0 }
    const stream =
      conversation === null
        ? await agents.messages.create(agent.id, body, once)
        : await conversations.messages.create(conversation, body, once)
    for await (const item of stream) {
      if ('run_id' in item && item.run_id) run = item.run_id
      answer.add(item)
    }
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    answer.end(signal.aborted ? 'stopped' : null)
  }
  if (signal.aborted) await cancel(client, talk, run)
}

async function cancel(client: LociClient, talk: Talk, run: string | null): Promise<void> {
  const { agent, conversation } = talk
  const once = { maxRetries: 0 }
  try {
    if (conversation !== null) await client.letta.conversations.cancel(conversation, {}, once)
    else await client.letta.agents.messages.cancel(agent.id, run ? { run_ids: [run] } : {}, once)
  } catch (error) {
    complain(`The turn goes on in the background: ${describeFailure(error, client.url)}`)
  }
}
