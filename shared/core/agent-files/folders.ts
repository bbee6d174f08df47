import type { Raw } from '../../schema/agent-file.ts'
import type { FileMetadata, Folder } from '../../schema/folder.ts'
import { textJson } from '../files/file-json.ts'
import type { Actor } from '../ports/actor.ts'
import type { AgentFile } from '../ports/file-store.ts'
import type { Store } from '../ports/store.ts'
import { type KeptFile, type KeptFolders, linkFields, sourceFields } from './entity-fields.ts'
import { type Kept, restore } from './kept.ts'

/** Files that are listed in one go. */
const PAGE = 200

/** The folders and files of an export, with what is kept of the file that they came with. */
export class FolderNames {
  readonly #store: Pick<Store, 'files' | 'folders'>
  readonly #actor: Actor
  readonly #keptFolders: Record<string, Kept>
  readonly #keptFiles: Record<string, KeptFile>
  readonly #loose: string[]
  readonly #folders = new Map<string, { name: string; folder: Folder }>()
  readonly #files = new Map<string, string>()
  #links = 0

  constructor(
    store: Pick<Store, 'files' | 'folders'>,
    actor: Actor,
    kept: readonly (KeptFolders | undefined)[],
  ) {
    this.#store = store
    this.#actor = actor
    this.#keptFolders = Object.assign({}, ...kept.map((own) => own?.folders)) as Record<string, Kept>
    this.#keptFiles = Object.assign({}, ...kept.map((own) => own?.files)) as Record<string, KeptFile>
    this.#loose = kept.flatMap((own) => own?.loose ?? [])
  }

  /** Gives folders, and those that came with them but are nobody's, and their files names in the file. */
  async add(folders: readonly Folder[]): Promise<void> {
    const all = new Map(folders.map((folder) => [folder.id, folder]))
    for (const id of this.#loose) {
      const folder = all.get(id) ?? (await this.#store.folders.get(this.#actor, id))
      if (folder) all.set(id, folder)
    }
    const older = (a: Folder, b: Folder) =>
      a.created_at < b.created_at || (a.created_at === b.created_at && a.id < b.id) ? -1 : 1
    for (const folder of [...all.values()].sort(older)) {
      this.#folders.set(folder.id, { name: `source-${this.#folders.size}`, folder })
      for await (const file of this.#filesOf(folder.id)) this.#files.set(file.id, `file-${this.#files.size}`)
    }
  }

  /** What an agent says of its folders, in the words of the file that it came from. */
  async linksOf(
    agent: { agent_id: string; local: string; folders: readonly Folder[] },
    kept: KeptFolders | undefined,
  ): Promise<Raw> {
    const lists = listsOf(
      agent.folders.map(({ id }) => id),
      kept?.lists ?? { source_ids: [], folder_ids: [] },
    )
    const names = (ids: readonly string[]) => ids.flatMap((id) => this.#folders.get(id)?.name ?? [])
    const said = Object.fromEntries(
      Object.entries(lists).map(([key, ids]) => [key, ids === null ? null : names(ids)]),
    )
    const files = await this.#store.files.ofAgent(this.#actor, agent.agent_id)
    const links = inOrder(files, kept?.links ?? {})
      .filter((file) => kept?.links?.[file.file_id] || !this.#isUntouched(file))
      .flatMap((file) => {
        const [file_id, source] = [this.#files.get(file.file_id), this.#folders.get(file.folder_id)]
        if (file_id === undefined || !source) return []
        const ids = {
          id: `file_agent-${this.#links++}`,
          agent_id: agent.local,
          file_id,
          source_id: source.name,
        }
        return [{ ...ids, ...restore(linkFields(file), kept?.links?.[file.file_id]) }]
      })
    return kept?.links === null && links.length === 0 ? said : { ...said, files_agents: links }
  }

  /** V1's `SourceSchema` of the folders. */
  sources(): Raw[] {
    return [...this.#folders.values()].map(({ name: id, folder }) => ({
      ...restore(sourceFields(folder), this.#keptFolders[folder.id]),
      id,
    }))
  }

  /** The items of the list of files as JSON text, with what is written in them, a part at a time. */
  async *files(): AsyncGenerator<string> {
    let comma = ''
    for (const [folder_id, { name: source_id }] of this.#folders)
      for await (const file of this.#filesOf(folder_id)) {
        const id = this.#files.get(file.id)
        // Uploaded after the export began.
        if (id === undefined) continue
        const said = this.#saidOf(file)
        yield `${comma}\n${JSON.stringify({ ...said, source_id, id }).slice(0, -1)}`
        if (!Object.hasOwn(said, 'content')) {
          yield ',"content":'
          yield* textJson(this.#store.files, this.#actor, file.id, this.#keptFiles[file.id]?.end)
        }
        yield '}'
        comma = ','
      }
  }

  /** A file without its text, as the agent file said it that it came with: but for its name nothing of it changes here. */
  #saidOf({ id, created_at: _c, updated_at: _u, content: _t, ...live }: FileMetadata): Raw {
    const kept = this.#keptFiles[id]
    if (!kept) return live
    return { ...kept.fields, ...(live.file_name === kept.path ? {} : { file_name: live.file_name }) }
  }

  /** A file that came with its agent, which did not name it then and has not used it since. */
  #isUntouched(file: AgentFile): boolean {
    return Object.hasOwn(this.#keptFiles, file.file_id) && !file.is_open && file.last_accessed_at === null
  }

  async *#filesOf(folder_id: string): AsyncGenerator<FileMetadata> {
    for (let after: string | undefined; ;) {
      const page = { limit: PAGE, order: 'asc' as const, ...(after === undefined ? {} : { after }) }
      const files = await this.#store.files.list(this.#actor, folder_id, page)
      yield* files
      after = files.at(-1)?.id
      if (files.length < PAGE) return
    }
  }
}

/** The folders of an agent in the lists in which its file had them; those it got since are sources. */
function listsOf(attached: readonly string[], kept: KeptFolders['lists']): Record<string, string[] | null> {
  const left = new Set(attached)
  for (const id of kept.implied ?? []) left.delete(id)
  const lists: Record<string, string[] | null> = {}
  for (const key of ['source_ids', 'folder_ids'] as const) {
    const ids = kept[key]
    if (ids === undefined) continue
    lists[key] = ids?.filter((id) => attached.includes(id)) ?? null
    for (const id of ids ?? []) left.delete(id)
  }
  if (left.size > 0) lists['source_ids'] = [...(lists['source_ids'] ?? []), ...left]
  return lists
}

/** Files that the agent file names first, as it did. */
function inOrder(files: readonly AgentFile[], kept: Record<string, Kept>): AgentFile[] {
  const places = new Map(Object.keys(kept).map((id, place) => [id, place]))
  const place = ({ file_id }: AgentFile) => places.get(file_id) ?? Infinity
  return files.toSorted((a, b) => (place(a) === place(b) ? 0 : place(a) - place(b)))
}
