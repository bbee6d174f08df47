import type { FeedItem, LociClient } from '../../shared/client/http.ts'
import { isAppError, messageOf } from '../../shared/schema/errors.ts'
import type { Event } from '../../shared/schema/event.ts'
import { agentUri } from './uris.ts'

/** What a listener hears. `uris` are spelled with the agent's id and with its name. */
export type Change = { kind: 'updated'; uris: string[] } | { kind: 'listed' }
type Listener = (change: Change) => void

/** Pause before a lost feed is asked for again, in milliseconds. */
const AGAIN_MS = 500

/**
 * Which resources change, by whichever process: follows the feed of events as long as somebody listens. One for all
 * connections of a process.
 */
export class ResourceUpdates {
  readonly #client: () => Promise<LociClient>
  readonly #log: (text: string) => void
  readonly #listeners = new Set<Listener>()
  #following: AbortController | null = null

  constructor(client: () => Promise<LociClient>, log: (text: string) => void) {
    this.#client = client
    this.#log = log
  }

  /** Tells the listener of changes from now on, until the function that this answers is called. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener)
    if (!this.#following) {
      this.#following = new AbortController()
      this.#follow(this.#following.signal).catch((error: unknown) => this.#log(messageOf(error)))
    }
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size > 0) return
      this.#following?.abort()
      this.#following = null
    }
  }

  close(): void {
    this.#listeners.clear()
    this.#following?.abort()
    this.#following = null
  }

  async #follow(signal: AbortSignal): Promise<void> {
    let last: number | undefined
    while (!signal.aborted) {
      try {
        const client = await this.#client()
        for await (const item of client.events(last, { signal })) {
          last = item.id
          await this.#pass(client, item, signal)
        }
      } catch (error) {
        if (signal.aborted) return
        this.#log(`changes are not followed: ${messageOf(error)}`)
        // A Letta V1 server has no feed.
        if (isAppError(error, 'not_implemented')) return
      }
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS).unref())
    }
  }

  async #pass(client: LociClient, item: FeedItem, signal: AbortSignal): Promise<void> {
    if (item.type === 'ready') {
      // After a gap anything may have changed.
      if (item.reset === true) this.#tell({ kind: 'listed' })
      return
    }
    try {
      const uris = await changedBy(client, item, signal)
      if (uris.length > 0) this.#tell({ kind: 'updated', uris })
    } catch (error) {
      if (!signal.aborted) this.#log(`a change was not passed on: ${messageOf(error)}`)
    }
    if (LISTED.has(item.type)) this.#tell({ kind: 'listed' })
  }

  #tell(change: Change): void {
    for (const listener of this.#listeners) listener(change)
  }
}

/** After these there are other resources. */
const LISTED = new Set<Event['type']>([
  'agent.created',
  'agent.deleted',
  'block.attached',
  'block.detached',
  'block.deleted',
])

async function changedBy(client: LociClient, event: Event, signal: AbortSignal): Promise<string[]> {
  const { type, object_id, agent_id } = event
  if (type === 'block.updated') {
    const [block, agents] = await Promise.all([
      client.letta.blocks.retrieve(object_id, { signal }),
      client.letta.blocks.agents.list(object_id, { limit: 100, include: [] }, { signal }),
    ])
    return agents.items.flatMap(({ id, name }) =>
      [id, name].flatMap((agent) => [agentUri(agent, 'memory', block.label ?? ''), agentUri(agent)]),
    )
  }
  if (agent_id === null || type === 'agent.deleted') return []
  const paths: string[][] = type.startsWith('agent.') || type.startsWith('tool.') ? [[]] : []
  if (type === 'conversation.updated') paths.push(['conversations', object_id])
  if (type === 'run.updated') paths.push([], ['conversations', 'default'])
  if (paths.length === 0) return []
  const { name } = await client.letta.agents.retrieve(agent_id, { include: [] }, { signal })
  return [agent_id, name].flatMap((agent) => paths.map((path) => agentUri(agent, ...path)))
}
