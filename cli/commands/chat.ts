import { createInterface } from 'node:readline'
import { connect, describeFailure, type LociClient } from '../../shared/client/http.ts'
import { isAppError } from '../../shared/schema/errors.ts'
import { Answer } from '../answer.ts'
import { complain, EXIT, Failure, logFailure } from '../failure.ts'
import { firstModel } from '../models.ts'
import { bold, dim, plain } from '../terminal.ts'

export interface ChatOptions {
  create?: boolean
  model?: string
  url?: string
  data?: string
}

interface Agent {
  id: string
  name: string
}

/**
 * `loci chat`: a conversation on a terminal, or one message per line of a pipe and only the answers on stdout. Returns
 * at the end of input or `/exit`; a message that fails ends a pipe, and a terminal goes on.
 */
export async function runChat(nameOrId: string, options: ChatOptions): Promise<void> {
  const client = await open(options)
  try {
    // Says at once, without retries, that nothing is there, or something else.
    if (options.url !== undefined) await client.health()
    const agent = await findOrCreate(client, nameOrId, options)
    if (process.stdin.isTTY && process.stdout.isTTY) await converse(client, agent)
    else await answerLines(client, agent)
  } catch (error) {
    throw new Failure(describeFailure(error, client.url), { cause: error })
  } finally {
    await client.close()
  }
}

async function open({ url, data }: ChatOptions): Promise<LociClient> {
  if (url !== undefined) return connect({ url, token: process.env['LOCI_TOKEN'] })
  const { openInProcess } = await import('../../shared/client/in-process.ts')
  return openInProcess({ data, onFailure: logFailure })
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

async function answerLines(client: LociClient, agent: Agent): Promise<void> {
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
      if (line.trim() !== '') await ask(client, agent, line, stop.signal, process.stderr)
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error
  } finally {
    process.off('SIGINT', interrupt)
  }
}

async function converse(client: LociClient, agent: Agent): Promise<void> {
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
  process.stdout.write(`${dim(plain(`Talking to ${agent.name}. /exit or Ctrl-C leaves.`))}\n`)
  terminal.prompt()
  for await (const line of terminal) {
    const text = line.trim()
    if (text === '/exit' || text === '/quit') break
    if (text !== '') {
      answering = new AbortController()
      try {
        await ask(client, agent, text, answering.signal, process.stdout)
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
  agent: Agent,
  message: string,
  signal: AbortSignal,
  notes: NodeJS.WriteStream,
): Promise<void> {
  const answer = new Answer(process.stdout, notes)
  let run: string | null = null
  try {
    const stream = await client.letta.agents.messages.create(
      agent.id,
      { messages: [{ role: 'user', content: message }], streaming: true, stream_tokens: true },
      { signal, maxRetries: 0 },
    )
    for await (const item of stream) {
      if ('run_id' in item && item.run_id) run = item.run_id
      answer.add(item)
    }
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    answer.end(signal.aborted ? 'stopped' : null)
  }
  if (signal.aborted) await cancel(client, agent, run)
}

async function cancel(client: LociClient, agent: Agent, run: string | null): Promise<void> {
  try {
    await client.letta.agents.messages.cancel(agent.id, run ? { run_ids: [run] } : {}, { maxRetries: 0 })
  } catch (error) {
    complain(`The turn goes on in the background: ${describeFailure(error, client.url)}`)
  }
}
