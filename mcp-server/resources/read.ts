import { summaryOf } from '../agent-summary.ts'
import { capped, textOf, when } from '../answer.ts'
import type { LociClient } from '../../shared/client/http.ts'
import { AppError } from '../../shared/schema/errors.ts'
import { didYouMean } from '../../shared/schema/near-names.ts'
import type { AgentState } from '../letta.ts'
import { readLabelled } from '../memory.ts'
import { conversationOf } from '../turn/target.ts'

/** Messages of a conversation that are read as a resource. */
const MESSAGES = 100
/** Bytes of a file or a block that are read as a resource: hosts keep it in memory, and show it. */
const LARGEST = 1_000_000

/** What a resource is read with. */
export interface Reading {
  client: LociClient
  signal: AbortSignal
  agent: AgentState
}

export async function readAgent({ client, signal, agent }: Reading): Promise<string> {
  return (await summaryOf(client, agent.id, { signal })).lines.join('\n')
}

/** The value of a block, as it is. */
export async function readBlock({ client, signal, agent }: Reading, label: string): Promise<string> {
  const { value } = await readLabelled(client, agent, label, { signal })
  return capped(value, (shown) => `memory_read with label "${label}" and offset ${shown} has it.`, LARGEST)
}

/** The latest of what was said, oldest first. */
export async function readConversation(reading: Reading, named: string): Promise<string> {
  const { client, signal, agent } = reading
  const id = named === 'new' ? null : await conversationOf(reading, agent, named)
  const { items } = await client.letta.conversations.messages.list(
    id ?? 'default',
    {
      agent_id: agent.id,
      limit: MESSAGES,
      order: 'desc',
      include_return_message_types: ['user_message', 'assistant_message', 'summary_message'],
    },
    { signal },
  )
  const lines = items.toReversed().flatMap((message) => {
    if (message.message_type === 'user_message')
      return [`[${when(message.date)}] user: ${textOf(message.content)}`]
    if (message.message_type === 'assistant_message')
      return [`[${when(message.date)}] ${agent.name}: ${textOf(message.content)}`]
    return message.message_type === 'summary_message' ? [`[summary] ${message.summary}`] : []
  })
  const earlier = items.length === MESSAGES ? ['[Earlier messages are found with conversation_search.]'] : []
  return [...earlier, ...lines].join('\n\n') || '(Nothing was said yet.)'
}

/** The text of a file. */
export async function readFileText({ client, signal, agent }: Reading, file_id: string): Promise<string> {
  const { files } = await client.letta.agents.files.list(agent.id, { limit: 1000 }, { signal })
  const found = files.find((file) => file.file_id === file_id || file.file_name === file_id)
  if (!found) {
    const hint = didYouMean(
      file_id,
      files.map((file) => file.file_id),
      'file_attach gives it one.',
    )
    throw new AppError('not_found', `${agent.name} has no file '${file_id}'. ${hint}`)
  }
  const file = await client.letta.folders.files.retrieve(
    found.file_id,
    { folder_id: found.folder_id, include_content: true },
    { signal },
  )
  if (file.processing_status !== 'completed')
    return `(${found.file_name} is not read yet: ${file.processing_status}.)`
  return capped(file.content ?? '', () => 'file_search finds what is in the rest.', LARGEST)
}
