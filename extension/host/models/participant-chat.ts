import type { LociClient } from '../../../shared/client/http.ts'
import { t } from '../l10n.ts'
import { beginTurn, waitingWords } from './agent-chat.ts'
import { chooseAgent, listAgents, type AgentChoice, type ChosenAgent } from './agent-choice.ts'
import { sentenceOf, startConversation, type TurnInput } from './agent-turn.ts'
import { recall, remember } from './memory.ts'

/** What a message to `@loci` is. */
export interface ParticipantRequest {
  prompt: string
  /** Without its slash. */
  command: string | undefined
  /** Files, selections and texts that the user attached, as text. */
  references: readonly string[]
  /** What earlier answers in this chat came to, oldest first. */
  history: readonly ParticipantResult[]
}

/** Kept by the editor with each answer, and given back with the next message. */
export interface ParticipantResult {
  agent_id: string
  agent_name: string
  /** Null before the agent was spoken to in this chat. */
  conversation_id: string | null
  /** Calls wait for an approval. */
  waiting: boolean
}

/** A message that no agent has answered, as the user has to say first which one is meant. Kept as an answer is. */
export interface UnansweredMessage {
  message: string
  /** Names of agents to choose from. */
  agents: readonly string[]
}

/** Where an answer is shown. */
export interface ParticipantStream {
  markdown(text: string): void
  progress(text: string): void
  button(title: string, command: string, ...args: string[]): void
}

/** A message that is proposed to the user. */
export interface Followup {
  prompt: string
  label?: string
  command?: string
}

/**
 * Answers a message to `@loci`. Each chat is a conversation of the agent that it is with; the agent that was named last
 * answers, in later chats, too. Null when there is no agent. Throws what the client throws, and sentences.
 */
export async function respond(
  client: LociClient,
  request: ParticipantRequest,
  stream: ParticipantStream,
  choice: AgentChoice,
  signal: AbortSignal,
): Promise<ParticipantResult | UnansweredMessage | null> {
  const { command, prompt, history } = request
  const last = history.at(-1)
  if (command === 'agents') return showAgents(client, stream, last?.agent_id ?? choice.get(), last)
  if (command === 'agent') {
    const named = await namedIn(client, prompt)
    if (!named) return showAgents(client, stream, last?.agent_id ?? choice.get(), last)
    await choice.set(named.agent.id)
    if (named.rest !== '')
      return speak(client, named.agent, { ...request, prompt: named.rest }, stream, signal)
    stream.markdown(t('You are talking with **{0}** now.', named.agent.name))
    return resultOf(named.agent, history)
  }
  const agent = await present(client, last, choice)
  if (!agent) return askWhich(client, stream, command === undefined ? prompt : '')
  if (command === 'remember') {
    await remember(client, agent, [prompt, ...request.references].join('\n\n'), signal)
    stream.markdown(t('**{0}** keeps that in its archival memory.', agent.name))
    return resultOf(agent, history)
  }
  if (command === 'recall') {
    stream.markdown(await recall(client, agent, prompt, signal))
    return resultOf(agent, history)
  }
  return speak(client, agent, request, stream, signal)
}

/** What to say next, after an answer. */
export function followupsOf(result: ParticipantResult | UnansweredMessage | null): Followup[] {
  if (!result) return []
  if ('message' in result) {
    const { agents, message } = result
    return agents.map((name) => ({ prompt: `${name} ${message}`.trim(), command: 'agent', label: name }))
  }
  if (result.waiting)
    return [
      { prompt: 'approve', label: t('Approve') },
      { prompt: 'deny', label: t('Deny') },
    ]
  if (result.conversation_id === null) return []
  return [{ prompt: '', command: 'recall', label: t('What does {0} remember?', result.agent_name) }]
}

async function speak(
  client: LociClient,
  agent: ChosenAgent,
  { prompt, references, history }: ParticipantRequest,
  stream: ParticipantStream,
  signal: AbortSignal,
): Promise<ParticipantResult> {
  const before = history.findLast((one) => one.agent_id === agent.id && one.conversation_id !== null)
  const start = () => startConversation(client, agent.id, prompt)
  let conversation_id = before?.conversation_id ?? (await start())
  const text = [prompt.trim() || t('Go on.'), ...references].join('\n\n')
  const messages: TurnInput[] = [{ role: 'user', content: text }]
  const turn = await beginTurn(client, { conversation_id, messages }, prompt, signal).catch(
    async (error: unknown) => {
      if (!before || (error as { status?: unknown }).status !== 404) throw error
      conversation_id = await start()
      return beginTurn(client, { conversation_id, messages }, prompt, signal)
    },
  )
  let step = await turn.next()
  for (; !step.done; step = await turn.next()) {
    const piece = step.value
    if (piece.type === 'text') stream.markdown(piece.text)
    else if (piece.type === 'tool') stream.progress(t('Using {0}', piece.name))
    else if (piece.failed) stream.progress(t('{0} failed', piece.name))
  }
  const end = step.value
  const waiting = end.outcome === 'waiting'
  if (waiting) stream.markdown(waitingWords(end.waiting))
  const sentence = sentenceOf(end)
  if (sentence !== null) stream.markdown(`\n\n${sentence}`)
  return { agent_id: agent.id, agent_name: agent.name, conversation_id, waiting }
}

/** The agent of this chat, the one chosen last, or the only one; null when the user has to say which. */
async function present(
  client: LociClient,
  last: ParticipantResult | undefined,
  choice: AgentChoice,
): Promise<ChosenAgent | null> {
  const all = await listAgents(client)
  const wanted = [last?.agent_id, choice.get()]
  for (const id of wanted) {
    const found = all.find((agent) => agent.id === id)
    if (found) return found
  }
  return all.length === 1 ? (all[0] ?? null) : null
}

/** `Ada` or `Ada what do you know?`: names may have several words, and the longest that fits is meant. Null for no text. */
async function namedIn(
  client: LociClient,
  prompt: string,
): Promise<{ agent: ChosenAgent; rest: string } | null> {
  const text = prompt.trim()
  if (text === '') return null
  const all = await listAgents(client)
  const begins = (name: string) =>
    text.toLowerCase().startsWith(name.toLowerCase()) && !/^[\p{L}\p{N}]/u.test(text.slice(name.length))
  const agent = all.filter(({ name }) => begins(name)).toSorted((a, b) => b.name.length - a.name.length)[0]
  if (agent) return { agent, rest: text.slice(agent.name.length).replace(/^[\s,:]+/, '') }
  // Its id, or a name that is not there: says which ones are near.
  return { agent: await chooseAgent(client, text, { get: () => undefined }), rest: '' }
}

async function showAgents(
  client: LociClient,
  stream: ParticipantStream,
  current: string | undefined,
  last: ParticipantResult | undefined,
): Promise<ParticipantResult | null> {
  const all = await listAgents(client)
  if (all.length === 0) return offerNewAgent(stream)
  const lines = all.map(({ id, name, model }) => {
    const mark = id === current ? t(' (talking with you)') : ''
    return `- **${name}**${mark}${model === null ? '' : ` · \`${model}\``}`
  })
  stream.markdown(`${lines.join('\n')}\n\n${t('`/agent NAME` talks with another one.')}`)
  return last ?? null
}

function offerNewAgent(stream: ParticipantStream): null {
  stream.markdown(t('There is no agent yet.'))
  stream.button(t('New Agent'), 'loci.newAgent')
  return null
}

async function askWhich(
  client: LociClient,
  stream: ParticipantStream,
  message: string,
): Promise<UnansweredMessage | null> {
  const all = await listAgents(client)
  if (all.length === 0) return offerNewAgent(stream)
  const agents = all.slice(0, 10).map(({ name }) => name)
  stream.markdown(t('With which agent? {0}', agents.map((name) => `\`/agent ${name}\``).join(', ')))
  return { message, agents }
}

function resultOf(agent: ChosenAgent, history: readonly ParticipantResult[]): ParticipantResult {
  const before = history.findLast((one) => one.agent_id === agent.id)
  return before ?? { agent_id: agent.id, agent_name: agent.name, conversation_id: null, waiting: false }
}
