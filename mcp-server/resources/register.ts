import {
  type McpServer,
  ProtocolError,
  ProtocolErrorCode,
  ResourceTemplate,
} from '@modelcontextprotocol/server'
import { withoutCode } from '../answer.ts'
import type { McpDeps } from '../deps.ts'
import type { McpSettings } from '../settings.ts'
import { completions } from './complete.ts'
import { listAgents, listMemory } from './list.ts'
import { type Reading, readAgent, readBlock, readConversation, readFileText } from './read.ts'
import { APP_TYPE, decoded, MEMORY_APP, TEMPLATES } from './uris.ts'

interface Kind {
  title: string
  description: string
  template: string
  mimeType: string
  list?: (deps: McpDeps, settings: McpSettings, signal: AbortSignal) => Promise<Listed[]>
  read: (reading: Reading, variables: Record<string, string | string[]>) => Promise<string>
}

/** A resource in a list. */
export interface Listed {
  uri: string
  name: string
  title?: string
  description?: string
  mimeType: string
}

const KINDS: Record<string, Kind> = {
  agent: {
    title: 'Agent',
    description: 'What an agent is: model, memory blocks, tools, files',
    template: TEMPLATES.agent,
    mimeType: 'text/plain',
    list: listAgents,
    read: readAgent,
  },
  memory: {
    title: 'Memory block',
    description: 'The value of a memory block; can be subscribed to',
    template: TEMPLATES.memory,
    mimeType: 'text/markdown',
    list: listMemory,
    read: (reading, { label }) => readBlock(reading, decoded(label)),
  },
  conversation: {
    title: 'Conversation',
    description: "The latest messages of a conversation; `default` is an agent's main one",
    template: TEMPLATES.conversation,
    mimeType: 'text/markdown',
    read: (reading, { conversation }) => readConversation(reading, decoded(conversation)),
  },
  file: {
    title: 'File',
    description: 'The text of a file of an agent',
    template: TEMPLATES.file,
    mimeType: 'text/plain',
    read: (reading, { file }) => readFileText(reading, decoded(file)),
  },
}

/** Puts agents, their memory, conversations and files on a server. */
export function registerResources(server: McpServer, deps: McpDeps, settings: McpSettings): void {
  server.registerResource(
    'Memory viewer',
    MEMORY_APP,
    { title: 'Memory viewer', description: 'Shows and edits the memory of an agent', mimeType: APP_TYPE },
    async () => {
      const { MEMORY_PAGE } = await import('../app/memory-page.ts')
      // It loads nothing from anywhere: no domain is asked for.
      const _meta = { ui: { prefersBorder: true } }
      return { contents: [{ uri: MEMORY_APP, mimeType: APP_TYPE, text: MEMORY_PAGE, _meta }] }
    },
  )
  for (const [name, kind] of Object.entries(KINDS)) {
    const { title, description, mimeType, list, read } = kind
    const template = new ResourceTemplate(kind.template, {
      list: list
        ? async ({ mcpReq }) => ({
            resources: await asProtocol(deps, mcpReq.signal, () => list(deps, settings, mcpReq.signal)),
          })
        : undefined,
      complete: completions(deps, settings),
    })
    server.registerResource(name, template, { title, description, mimeType }, (uri, variables, { mcpReq }) =>
      asProtocol(deps, mcpReq.signal, async () => {
        const client = await deps.client()
        const { signal } = mcpReq
        const agent = await client.findAgent(decoded(variables['agent']), { signal })
        await onlyPinned(deps, settings, agent.id, signal)
        const text = await read({ client, signal, agent }, variables)
        return { contents: [{ uri: uri.href, mimeType, text }] }
      }),
    )
  }
}

/** Throws for another agent than the pinned one. */
async function onlyPinned(
  deps: McpDeps,
  settings: McpSettings,
  agent_id: string,
  signal: AbortSignal,
): Promise<void> {
  if (settings.agent === null) return
  const pinned = await (await deps.client()).findAgent(settings.agent, { signal })
  if (pinned.id !== agent_id)
    throw new ProtocolError(
      ProtocolErrorCode.InvalidParams,
      `This server is about ${pinned.name} (${pinned.id}) only.`,
    )
}

/** Runs when it is its turn, and gives what is thrown the words that a person can act on, as a protocol error. */
export async function asProtocol<T>(deps: McpDeps, signal: AbortSignal, run: () => Promise<T>): Promise<T> {
  try {
    return await deps.queue.run(run, signal)
  } catch (error) {
    if (error instanceof ProtocolError) throw error
    const { describeFailure } = await import('../../shared/client/http.ts')
    const url = await deps.client().then(
      (client) => client.url,
      () => 'the data directory',
    )
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, withoutCode(describeFailure(error, url)))
  }
}
