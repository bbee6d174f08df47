import type { LociClient } from '../../../shared/client/http.ts'
import { runTurn, sentenceOf, startConversation, textOf } from './agent-turn.ts'
import { waitingWords } from './agent-chat.ts'
import type { ChosenAgent } from './agent-choice.ts'

/** Of what was found, as many of each kind. */
const FOUND = 5
/** Characters of one passage, message or block that are told. */
const LONGEST = 2_000

/** Keeps a fact where the agent finds it by search. Throws what the client throws. */
export async function remember(
  client: LociClient,
  agent: ChosenAgent,
  text: string,
  signal: AbortSignal,
): Promise<void> {
  if (text.trim() === '') throw new Error('There is nothing to remember: give a text.')
  await client.letta.agents.passages.create(agent.id, { text: text.trim() }, { signal, maxRetries: 0 })
}

/**
 * What an agent knows of something, as Markdown: its memory blocks, and the passages and messages that fit. No model is
 * asked. Throws what the client throws.
 */
export async function recall(
  { letta }: LociClient,
  agent: ChosenAgent,
  query: string,
  signal: AbortSignal,
): Promise<string> {
  const asked = query.trim()
  const [blocks, passages, messages] = await Promise.all([
    letta.agents.blocks.list(agent.id, { limit: 100 }, { signal }),
    asked === '' ? [] : letta.agents.passages.search(agent.id, { query: asked, top_k: FOUND }, { signal }),
    asked === '' ? [] : letta.messages.search({ query: asked, agent_id: agent.id, limit: FOUND }, { signal }),
  ])
  const notes = 'results' in passages ? passages.results : []
  const sections = [
    section(
      'Memory blocks',
      blocks.items.flatMap(({ label, value }) => (value === '' ? [] : [`**${label}**: ${cut(value)}`])),
    ),
    section(
      'Passages',
      notes.map(({ content, timestamp }) => `${day(timestamp)}: ${cut(content)}`),
    ),
    section(
      'Said before',
      messages.flatMap((message) => {
        const text = 'content' in message ? textOf(message.content) : ''
        const who = message.message_type === 'user_message' ? 'user' : agent.name
        return text === '' ? [] : [`${day(message.created_at)} ${who}: ${cut(text)}`]
      }),
    ),
  ].filter((text) => text !== '')
  if (sections.length === 0) return `${agent.name} knows nothing of that.`
  return `# What ${agent.name} knows\n\n${sections.join('\n\n')}`
}

/**
 * Asks an agent in a conversation of its own and answers what it says. It may use its tools and change its memory. An abort
 * cancels its turn. Throws what the client throws.
 */
export async function askAgent(
  client: LociClient,
  agent: ChosenAgent,
  message: string,
  signal: AbortSignal,
): Promise<string> {
  if (message.trim() === '') throw new Error('There is nothing to ask: give a message.')
  const id = await startConversation(client, agent.id, message)
  const turn = runTurn(
    client,
    { conversation_id: id, messages: [{ role: 'user', content: message }] },
    signal,
  )
  let said = ''
  let step = await turn.next()
  for (; !step.done; step = await turn.next()) if (step.value.type === 'text') said += step.value.text
  const end = step.value
  if (end.outcome === 'cancelled') throw new Error(`${agent.name} was stopped.`)
  if (end.outcome === 'waiting') {
    // Nobody could answer in this conversation: the caller is a model.
    await client.letta.conversations.cancel(id)
    const asks = waitingWords(end.waiting).split('\n\nAnswer')[0] ?? ''
    return `${said}${asks}\n\nThat was not done, because only a person may approve it: in a chat with ${agent.name}.`
  }
  const sentence = sentenceOf(end)
  return (
    [said, sentence].filter((text) => text !== null && text !== '').join('\n\n') ||
    `${agent.name} said nothing.`
  )
}

function section(title: string, lines: string[]): string {
  return lines.length === 0 ? '' : `## ${title}\n\n${lines.map((line) => `- ${line}`).join('\n')}`
}

function cut(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text
}

function day(date: string | null | undefined): string {
  return date?.slice(0, 10) ?? ''
}
