import type { LociClient } from '../../shared/client/http.ts'
import {
  knownObjects,
  type Migrated,
  type MigratedKind,
  migratedMessages,
  migratedObjects,
  migratedProgress,
  type MigratedProgress,
} from '../../shared/schema/migration.ts'
import type { OldMessage } from './history.ts'
import { idOf, textIn } from './lists.ts'
import type { Report } from './report.ts'
import type { Raw } from './v1-server.ts'

/** Characters of JSON in one request, and what is never sent: Loci takes 32 MB. */
const BATCH = 2_000_000
const MOST = 30_000_000
/** Things in one request. */
const AT_ONCE = 100

/** The Loci that everything is brought to. */
export class Target {
  readonly #client: LociClient
  readonly #report: Report
  /** Called after each request, with how many messages have come. */
  onStep: () => void = () => undefined

  constructor(client: LociClient, report: Report) {
    this.#client = client
    this.#report = report
  }

  /** Brings things of a kind; answers what became of each. */
  async bring(kind: MigratedKind, values: readonly Raw[]): Promise<Migrated[]> {
    const results: Migrated[] = []
    for (const some of batches(values, (value) => JSON.stringify(value).length)) {
      const [only] = some
      if (only && some.length === 1 && JSON.stringify(only).length > MOST) {
        this.#report.add({
          ...named(kind, only),
          outcome: 'refused',
          notes: ['It is too large to be stored here (30 MB).'],
        })
        continue
      }
      const body = { objects: some.map((value) => ({ kind, value })) }
      const answer = migratedObjects.parse(await this.#client.letta.post('/v1/migration/objects', { body }))
      for (const result of answer.results) this.#report.add(result)
      results.push(...answer.results)
      this.onStep()
    }
    return results
  }

  /** Which of these were brought before. */
  async known(kind: MigratedKind, ids: string[]): Promise<Set<string>> {
    const answer = await this.#client.letta.post('/v1/migration/known', { body: { kind, ids } })
    return new Set(knownObjects.parse(answer).ids)
  }

  async progress(agent_id: string): Promise<MigratedProgress> {
    return migratedProgress.parse(
      await this.#client.letta.post('/v1/migration/progress', { body: { agent_id } }),
    )
  }

  /** Brings messages as they come, few of them in memory. */
  async bringMessages(
    agent: { id: string; name: string },
    messages: AsyncIterable<OldMessage>,
  ): Promise<void> {
    let some: { conversation_id: string | null; parts: Raw[] }[] = []
    let size = 0
    const flush = async () => {
      if (some.length === 0) return
      const body = { agent_id: agent.id, messages: some }
      some = []
      size = 0
      const sent = await this.#client.letta.post('/v1/migration/messages', { body })
      const { added, problems } = migratedMessages.parse(sent)
      this.#report.messages.added += added
      for (const { id, reason } of problems) this.#refuse(agent, id, reason)
      this.onStep()
    }
    for await (const { conversation_id, id, parts } of messages) {
      const length = JSON.stringify(parts).length
      if (length > MOST) {
        this.#refuse(agent, id, 'it is too large to be stored here (30 MB)')
        continue
      }
      if (size + length > BATCH || some.length === AT_ONCE) await flush()
      // What only tells that a context was made shorter is no message.
      const told = parts.filter((part) => part['message_type'] !== 'event_message')
      if (told.length > 0) some.push({ conversation_id, parts: told })
      size += length
    }
    await flush()
  }

  #refuse(agent: { id: string; name: string }, id: string, reason: string): void {
    this.#report.messages.refused++
    this.#report.tell({
      kind: 'message',
      id,
      name: `of ${agent.name}`,
      outcome: 'refused',
      reason: `It was left out: ${reason}.`,
    })
  }
}

function named(kind: MigratedKind, value: Raw) {
  return { kind, id: idOf(value), name: textIn(value, 'name', 'label', 'file_name', 'id').slice(0, 200) }
}

function* batches<T>(values: readonly T[], lengthOf: (value: T) => number): Generator<T[]> {
  let some: T[] = []
  let size = 0
  for (const value of values) {
    const length = lengthOf(value)
    if (some.length > 0 && (size + length > BATCH || some.length === AT_ONCE)) {
      yield some
      some = []
      size = 0
    }
    some.push(value)
    size += length
  }
  if (some.length > 0) yield some
}
