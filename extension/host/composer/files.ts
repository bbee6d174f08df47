import { randomUUID } from 'node:crypto'
import { FileType, workspace, type TextEditor, type Uri } from 'vscode'
import {
  IMAGE_TYPES,
  inMegabytes,
  LIMITS,
  type Attachment,
  type FileChoice,
} from '../../composer-protocol.ts'
import { t } from '../l10n.ts'
import { matchFiles } from './match-files.ts'

/** Files that are looked through, and for how long a listing of them is good, in milliseconds. */
const MOST = 20_000
const FRESH = 15_000
const SHOWN = 30
const PASSED_OVER = '**/{node_modules,.git,.hg,.svn,__pycache__,.venv,dist,build,out,target,coverage}/**'

interface Listed {
  path: string
  uri: Uri
}

/** Finds files of the workspace by letters of their path, open ones first. */
export function createFileFinder(): (query: string) => Promise<FileChoice[]> {
  let listing: { at: number; files: Promise<Listed[]> } | null = null
  const list = async (): Promise<Listed[]> => {
    const uris = await workspace.findFiles('**/*', PASSED_OVER, MOST)
    return uris.map((uri) => ({ uri, path: pathOf(uri) })).sort((a, b) => a.path.localeCompare(b.path))
  }
  return async (query) => {
    if (!listing || Date.now() - listing.at > FRESH) listing = { at: Date.now(), files: list() }
    const open = workspace.textDocuments
      .filter((document) => !document.isClosed && document.uri.scheme === 'file')
      .map(({ uri }) => ({ uri, path: pathOf(uri) }))
    const listed = await listing.files
    const known = new Set(open.map(({ path }) => path))
    const files = [...open, ...listed.filter(({ path }) => !known.has(path))]
    return matchFiles(files, query, SHOWN).map(({ uri, path }) => {
      const cut = path.lastIndexOf('/')
      return { uri: uri.toString(), name: path.slice(cut + 1), folder: path.slice(0, Math.max(0, cut)) }
    })
  }
}

/** An attachment for a file: an image, or a text that is read when it is sent. Throws a sentence for the user. */
export async function attachFile(uri: Uri): Promise<Attachment> {
  const path = pathOf(uri)
  const { size, type } = await statOf(uri, path)
  if (type & FileType.Directory) throw new Error(t('{0} is a folder: attach files of it.', path))
  const media_type = imageTypeOf(path)
  if (media_type !== null) {
    if (size > LIMITS.image) throw tooLarge(path, size, LIMITS.image)
    const data = Buffer.from(await workspace.fs.readFile(uri)).toString('base64')
    return { kind: 'image', id: randomUUID(), name: path.split('/').at(-1) ?? path, media_type, data }
  }
  await readText(uri)
  return { kind: 'file', id: randomUUID(), uri: uri.toString(), path }
}

/** The text of a file as it is now, unsaved changes included. Throws a sentence for the user. */
export async function readText(uri: Uri): Promise<string> {
  const path = pathOf(uri)
  const open = workspace.textDocuments.find((document) => document.uri.toString() === uri.toString())
  if (open) {
    const text = open.getText()
    if (text.length > LIMITS.file) throw tooLarge(path, text.length, LIMITS.file)
    return text
  }
  const { size } = await statOf(uri, path)
  if (size > LIMITS.file) throw tooLarge(path, size, LIMITS.file)
  const bytes = await workspace.fs.readFile(uri)
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    if (!text.includes('\0')) return text
  } catch {
    // Said below.
  }
  throw new Error(
    t('{0} is not a text file: only texts and images (PNG, JPEG, GIF, WebP) can be attached.', path),
  )
}

/** What is selected in this editor; null when nothing is. Throws a sentence for the user. */
export function attachSelection(editor: TextEditor | undefined): Attachment | null {
  if (!editor || editor.selection.isEmpty) return null
  const { document, selection } = editor
  const text = document.getText(selection)
  const path = pathOf(document.uri)
  if (text.length > LIMITS.file) throw tooLarge(t('The selection in {0}', path), text.length, LIMITS.file)
  // A selection that ends before the first character of a line does not have that line.
  const last = selection.end.character === 0 ? selection.end.line : selection.end.line + 1
  const from = selection.start.line + 1
  return { kind: 'selection', id: randomUUID(), path, from, to: Math.max(from, last), text }
}

/** What `@selection` stands for, among files. */
export const SELECTION = 'loci-selection:present'

/** The selection of this editor as a choice, where these letters may mean it. */
export function selectionChoice(editor: TextEditor | undefined, query: string): FileChoice[] {
  if (!editor || editor.document.isClosed || editor.selection.isEmpty) return []
  if (!'selection'.startsWith(query.toLowerCase())) return []
  return [{ uri: SELECTION, name: 'selection', folder: pathOf(editor.document.uri) }]
}

/** As people write it: from the workspace's folder, with that folder's name when there are several. */
export function pathOf(uri: Uri): string {
  return workspace.asRelativePath(uri).replaceAll('\\', '/')
}

async function statOf(uri: Uri, path: string) {
  try {
    return await workspace.fs.stat(uri)
  } catch {
    throw new Error(t('{0} is not there any more.', path))
  }
}

function imageTypeOf(path: string): string | null {
  const end = path.slice(path.lastIndexOf('.') + 1).toLowerCase()
  const media_type = `image/${end === 'jpg' ? 'jpeg' : end}`
  return IMAGE_TYPES.includes(media_type) ? media_type : null
}

function tooLarge(what: string, size: number, most: number): Error {
  return new Error(t('{0} has {1}; at most {2} can be attached.', what, inMegabytes(size), inMegabytes(most)))
}
