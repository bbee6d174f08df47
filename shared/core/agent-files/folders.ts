import type { Raw } from '../../schema/agent-file.ts'
import type { Folder } from '../../schema/folder.ts'
import type { Actor } from '../ports/actor.ts'
import type { Store } from '../ports/store.ts'

/** Files whose text is read at once. */
const PAGE = 5

/** The folders and files of an export: those that came with a file, and behind them those that are here. */
export class FolderNames {
  readonly #store: Pick<Store, 'files'>
  readonly #actor: Actor
  readonly #carried: { sources: readonly Raw[]; files: readonly Raw[] }
  readonly #folders = new Map<string, { name: string; folder: Folder }>()
  readonly #files = new Map<string, string>()
  #links = 0

  constructor(
    store: Pick<Store, 'files'>,
    actor: Actor,
    carried: { sources: readonly Raw[]; files: readonly Raw[] },
  ) {
    this.#store = store
    this.#actor = actor
    this.#carried = carried
  }

  /** Gives folders and their files names in the file. */
  async add(folders: readonly Folder[]): Promise<void> {
    for (const folder of folders) {
      if (this.#folders.has(folder.id)) continue
      this.#folders.set(folder.id, {
        name: nextName('source', this.#carried.sources, this.#folders.size),
        folder,
      })
      for await (const file of this.#filesOf(folder.id, false))
        this.#files.set(file.id, nextName('file', this.#carried.files, this.#files.size))
    }
  }

  /** What an agent says of its folders; `carried` is what its file said. */
  async linksOf(agent_id: string, local: string, carried: Raw | undefined): Promise<Raw> {
    const links: Raw = carried ?? { source_ids: [], folder_ids: [], files_agents: [] }
    const own = (await this.#store.files.ofAgent(this.#actor, agent_id)).flatMap((file) => {
      const [file_id, source] = [this.#files.get(file.file_id), this.#folders.get(file.folder_id)]
      if (file_id === undefined || !source) return []
      const { path: file_name, is_open, start_line, end_line, last_accessed_at } = file
      const id = `file_agent-${this.#links++}`
      const place = { start_line: start_line === null ? null : start_line + 1, end_line }
      const base = { id, agent_id: local, file_id, source_id: source.name, file_name, is_open }
      return [{ ...base, visible_content: null, last_accessed_at, ...place }]
    })
    const sources = [...new Set(own.map(({ source_id }) => source_id))]
    if (sources.length === 0) return links
    return {
      ...links,
      source_ids: [...listOf(links['source_ids']), ...sources],
      files_agents: [...listOf(links['files_agents']), ...own],
    }
  }

  /** V1's `SourceSchema` of the folders that are here. */
  sources(): Raw[] {
    return [...this.#folders.values()].map(({ name: id, folder }) => ({
      name: folder.name,
      description: folder.description,
      instructions: folder.instructions,
      metadata: folder.metadata,
      embedding: null,
      embedding_chunk_size: null,
      embedding_config: folder.embedding_config,
      id,
    }))
  }

  /** The items of the list of files as JSON text, with what is written in them. */
  async *files(): AsyncGenerator<string> {
    let comma = ''
    for (const file of this.#carried.files) {
      yield `${comma}\n${JSON.stringify(file)}`
      comma = ','
    }
    for (const [folder_id, { name: source_id }] of this.#folders)
      for await (const file of this.#filesOf(folder_id, true)) {
        const id = this.#files.get(file.id)
        // Uploaded after the export began.
        if (id === undefined) continue
        const { created_at: _c, updated_at: _u, ...fields } = file
        yield `${comma}\n${JSON.stringify({ ...fields, source_id, id })}`
        comma = ','
      }
  }

  async *#filesOf(folder_id: string, content: boolean) {
    for (let after: string | undefined; ;) {
      const page = { limit: PAGE, order: 'asc' as const, ...(after === undefined ? {} : { after }) }
      const files = await this.#store.files.list(this.#actor, folder_id, page, { content })
      yield* files
      after = files.at(-1)?.id
      if (files.length < PAGE) return
    }
  }
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : []
}

/** A name that none of the carried things has. */
function nextName(prefix: string, carried: readonly Raw[], taken: number): string {
  const used = carried.flatMap(({ id }) => Number(/-(\d+)$/.exec(String(id))?.[1] ?? -1))
  return `${prefix}-${Math.max(-1, ...used) + 1 + taken}`
}
