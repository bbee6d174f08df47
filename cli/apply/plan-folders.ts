import { openAsBlob } from 'node:fs'
import type { Wanted, WantedFile, WantedFolder } from './desired.ts'
import { differences, given, type Plan, wasMade } from './plan.ts'

/** How long a file may take to be read, once it is uploaded. Ms. */
const READ_TIME = 10 * 60_000

const POLL = 100

interface HaveFile {
  id: string
  name: string
}

/** Folders and their files. */
export async function planFolders(plan: Plan): Promise<void> {
  const { client, desired, state, before } = plan
  for (const wanted of desired.folders) {
    const { name, at, files, ...settings } = wanted
    const [found] = (await client.letta.folders.list({ name, limit: 10 })).items
    const last = before.folders[name]
    if (!found) {
      const run = async () => {
        const { id } = await client.letta.folders.create(given({ name, ...settings }) as { name: string })
        plan.ids.folders.set(name, id)
        state.folders[name] = { id, made: true, files: {} }
        await upload(plan, wanted, id, files)
      }
      const fields = [
        ...differences({}, settings),
        ...files.map((file) => ({ field: 'file', before: null, after: file.name })),
      ]
      plan.changes.push({ action: 'create', kind: 'folder', name, at, fields, run })
      continue
    }
    plan.ids.folders.set(name, found.id)
    const known =
      last?.id === found.id
        ? last
        : { id: found.id, made: wasMade(plan, 'folder', name, undefined), files: {} }
    state.folders[name] = { ...known, files: { ...known.files } }
    const there: HaveFile[] = []
    for await (const file of client.letta.folders.files.list(found.id, { limit: 500 }))
      there.push({ id: file.id ?? '', name: file.original_file_name ?? file.file_name ?? '' })
    const changed = files.filter(
      (file) => known.files[file.name] !== file.sha256 || !there.some(({ name: one }) => one === file.name),
    )
    const gone = there.filter(
      (file) => Object.hasOwn(known.files, file.name) && !files.some(({ name: one }) => one === file.name),
    )
    const removed = plan.prune ? gone : []
    if (!plan.prune) plan.stale.push(...gone.map((file) => `file ${name}/${file.name}`))
    const there_settings = {
      description: found.description,
      instructions: found.instructions,
      embedding: embeddingOf(found, settings),
    }
    const setting_fields = differences(there_settings, settings)
    const fields = [
      ...setting_fields,
      ...changed.map((file) => {
        const before = there.some(({ name: one }) => one === file.name) ? file.name : null
        return { field: 'file', before, after: before === null ? file.name : `${file.name} (changed)` }
      }),
      ...removed.map((file) => ({ field: 'file', before: file.name, after: null })),
    ]
    if (fields.length === 0) continue
    const run = async () => {
      if (setting_fields.length > 0)
        await client.letta.patch(`/v1/folders/${found.id}`, { body: given(settings) })
      await upload(plan, wanted, found.id, changed)
      for (const file of removed) {
        await client.letta.folders.files.delete(file.id, { folder_id: found.id })
        delete state.folders[name]?.files[file.name]
      }
    }
    plan.changes.push({ action: 'update', kind: 'folder', name, at, fields, run })
  }
}

/** Uploads files in place of those of their names, and waits until they have been read. */
async function upload(
  plan: Plan,
  { name, at }: Wanted<WantedFolder>,
  folder_id: string,
  files: readonly WantedFile[],
): Promise<void> {
  const { letta } = plan.client
  const reading: { id: string; file: WantedFile }[] = []
  for (const file of files) {
    const blob = new File([await openAsBlob(file.path)], file.name)
    const made = await letta.folders.files.upload(folder_id, { file: blob, duplicate_handling: 'replace' })
    reading.push({ id: made.id ?? '', file })
  }
  const deadline = Date.now() + READ_TIME
  for (const { id, file } of reading) {
    for (;;) {
      const now = await letta.folders.files.retrieve(id, { folder_id })
      if (now.processing_status === 'completed') break
      if (now.processing_status === 'error' || Date.now() > deadline) {
        const why = now.error_message ?? 'it is still being read'
        plan.notes.push(`${at}: the file '${file.name}' of folder '${name}' was not read: ${why}`)
        break
      }
      await new Promise((resolve) => setTimeout(resolve, POLL))
    }
    const record = plan.state.folders[name]
    if (record) record.files[file.name] = file.sha256
  }
}

/** Archives that agents search. */
export async function planArchives(plan: Plan): Promise<void> {
  const { client, desired, state } = plan
  for (const { at, name, ...settings } of desired.archives) {
    const [found] = (await client.letta.archives.list({ name, limit: 10 })).items
    if (!found) {
      const run = async () => {
        const { id } = await client.letta.archives.create(given({ name, ...settings }) as { name: string })
        plan.ids.archives.set(name, id)
        state.archives[name] = { id, made: true }
      }
      const fields = differences({}, settings)
      plan.changes.push({ action: 'create', kind: 'archive', name, at, fields, run })
      continue
    }
    plan.ids.archives.set(name, found.id)
    state.archives[name] = { id: found.id, made: wasMade(plan, 'archive', name, state.archives[name]) }
    const there = { description: found.description, embedding: embeddingOf(found, settings) }
    const fields = differences(there, settings)
    if (fields.length === 0) continue
    const body = given(settings)
    const run = async () => void (await client.letta.patch(`/v1/archives/${found.id}`, { body }))
    plan.changes.push({ action: 'update', kind: 'archive', name, at, fields, run })
  }
}

/** Without a model that can be reached there is none: that one is asked for is no difference then. */
function embeddingOf(
  { embedding_config }: { embedding_config?: { handle?: string | null } | null },
  { embedding }: { embedding?: string | undefined },
): string | undefined {
  return embedding_config?.handle || embedding
}
