import {
  LanguageModelTextPart,
  LanguageModelToolResult,
  lm,
  type CancellationToken,
  type Disposable,
  type LanguageModelTool,
  type PreparedToolInvocation,
} from 'vscode'
import type { LociClient } from '../../../shared/client/http.ts'
import type { Services } from '../services.ts'
import { chooseAgent, createAgentChoice, type ChosenAgent } from './agent-choice.ts'
import { beforeAsking, beforeRecalling, beforeRemembering } from './confirmations.ts'
import { askAgent, recall, remember } from './memory.ts'

interface Input {
  /** Name or id; the agent that was chosen in the chat, or the only one, when absent. */
  agent?: string
}

interface Work<T extends Input> {
  prepare: (input: T) => PreparedToolInvocation
  run: (client: LociClient, agent: ChosenAgent, input: T, signal: AbortSignal) => Promise<string>
}

/** Tools for the models of the editor's chat: they share what agents know. */
export function registerTools(services: Services): Disposable[] {
  const choice = createAgentChoice(services.context.globalState)
  const tool = <T extends Input>(name: string, { prepare, run }: Work<T>) => {
    const work: LanguageModelTool<T> = {
      prepareInvocation: ({ input }) => prepare(input),
      invoke: ({ input }, token) =>
        invoke(services, token, async (client, signal) =>
          run(client, await chooseAgent(client, input.agent, choice), input, signal),
        ),
    }
    return lm.registerTool(name, work)
  }
  return [
    tool<Input & { message: string }>('loci_ask_agent', {
      prepare: beforeAsking,
      run: (client, agent, { message }, signal) => askAgent(client, agent, message, signal),
    }),
    tool<Input & { text: string }>('loci_remember', {
      prepare: beforeRemembering,
      run: async (client, agent, { text }, signal) => {
        await remember(client, agent, text, signal)
        return `${agent.name} keeps that in its archival memory.`
      },
    }),
    tool<Input & { query: string }>('loci_recall', {
      prepare: beforeRecalling,
      run: (client, agent, { query }, signal) => recall(client, agent, query, signal),
    }),
  ]
}

async function invoke(
  { server }: Services,
  token: CancellationToken,
  work: (client: LociClient, signal: AbortSignal) => Promise<string>,
): Promise<LanguageModelToolResult> {
  const abort = new AbortController()
  if (token.isCancellationRequested) abort.abort()
  token.onCancellationRequested(() => abort.abort())
  try {
    return new LanguageModelToolResult([
      new LanguageModelTextPart(await work(await server.client(), abort.signal)),
    ])
  } catch (error) {
    // Told to the model that called: it can name another agent.
    throw new Error(await server.describe(error), { cause: error })
  }
}
