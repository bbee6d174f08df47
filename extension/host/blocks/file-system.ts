import {
  Disposable,
  EventEmitter,
  FilePermission,
  FileSystemError,
  FileType,
  type FileChangeEvent,
  type FileStat,
  type FileSystemProvider,
  type Uri,
} from 'vscode'
import { t } from '../l10n.ts'
import { blockIdOf } from './block-address.ts'
import { BlockGoneError, type BlockText, type BlockTexts } from './block-texts.ts'

export interface BlockFiles {
  texts: BlockTexts
  /** Whatever was thrown, in a sentence for the user. */
  describe: (error: unknown) => Promise<string>
  /** What an unsaved document was when it was read; null for one without changes, or that is not open. */
  unsaved: (uri: Uri) => BlockText | null
  /** Writes the text of a document, asking the user where others have changed the block. */
  write: (uri: Uri, id: string, text: string) => Promise<void>
}

/** Blocks as files: one for each, none can be listed, made, renamed or deleted here. */
export interface BlockFileSystem extends FileSystemProvider, Disposable {
  /** Documents that have no unsaved changes are read again, or close. */
  tell(changes: FileChangeEvent[]): void
}

/** What the editor sees of blocks. Every failure is a sentence. */
export function createBlockFileSystem({ texts, describe, unsaved, write }: BlockFiles): BlockFileSystem {
  const changed = new EventEmitter<FileChangeEvent[]>()
  const failing = async <T>(uri: Uri, work: (id: string) => Promise<T>): Promise<T> => {
    const id = blockIdOf(uri.query)
    if (id === null) throw FileSystemError.FileNotFound(uri)
    try {
      return await work(id)
    } catch (error) {
      if (error instanceof FileSystemError) throw error
      if (error instanceof BlockGoneError) throw FileSystemError.FileNotFound(error.message)
      throw notSaved(await describe(error))
    }
  }
  const refuse = () => {
    throw FileSystemError.NoPermissions(t('Use the views of Loci for that.'))
  }
  return {
    onDidChangeFile: changed.event,
    tell: (changes) => changed.fire(changes),
    // Every open block is told of.
    watch: () => new Disposable(() => undefined),
    async stat(uri) {
      if (uri.query === '') return folder()
      // An unsaved text is compared with the block by us, when it is saved: the editor would compare sizes.
      return failing(uri, async (id) => fileStat(unsaved(uri) ?? (await texts.read(id))))
    },
    readFile: (uri) => failing(uri, async (id) => new TextEncoder().encode((await texts.read(id)).value)),
    writeFile: (uri, content) => failing(uri, (id) => write(uri, id, decode(content))),
    readDirectory: () => [],
    createDirectory: refuse,
    delete: refuse,
    rename: refuse,
    dispose: () => changed.dispose(),
  }
}

/** The document cannot be read or saved, for this reason. */
export function notSaved(reason: string): FileSystemError {
  const error = FileSystemError.Unavailable(reason)
  // VS Code puts the name of an error before its message, for the user to read: there is none to read.
  error.name = ''
  return error
}

function decode(content: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content)
  } catch {
    throw notSaved(t('Memory is UTF-8: choose “Save with Encoding” and UTF-8.'))
  }
}

function fileStat(block: BlockText): FileStat {
  // Not a time: it has to grow with each change, and nothing shows it.
  return { type: FileType.File, ctime: 0, mtime: block.revision, size: Buffer.byteLength(block.value) }
}

function folder(): FileStat {
  return { type: FileType.Directory, ctime: 0, mtime: 0, size: 0, permissions: FilePermission.Readonly }
}
