import type { FileMetadata } from '../../schema/folder.ts'
import type { Actor } from '../ports/actor.ts'
import type { FileStore } from '../ports/file-store.ts'

/** Characters that are read in one go. */
const READ = 64_000

/** A file with its text as JSON, in pieces: a long text is never held at once. */
export async function* fileJson(
  files: Pick<FileStore, 'read'>,
  actor: Actor,
  file: FileMetadata,
): AsyncGenerator<string> {
  const { content: _, ...fields } = file
  yield `${JSON.stringify(fields).slice(0, -1)},"content":`
  yield* textJson(files, actor, fields.id)
  yield '}'
}

/** The text of a file, and what else stands at its end, as a JSON string in pieces. */
export async function* textJson(
  files: Pick<FileStore, 'read'>,
  actor: Actor,
  file_id: string,
  end = '',
): AsyncGenerator<string> {
  const inside = (text: string) => JSON.stringify(text).slice(1, -1)
  yield '"'
  for (let start_line = 0; ;) {
    const part = await files.read(actor, file_id, { start_line, end_line: null, max_chars: READ })
    if (!part) break
    yield inside(`${start_line > 0 ? '\n' : ''}${part.text}`)
    start_line = part.next_line
  }
  yield `${inside(end)}"`
}
