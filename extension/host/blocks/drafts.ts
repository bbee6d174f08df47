import { workspace, type Disposable, type Memento, type TextDocument, type Uri } from 'vscode'
import { BLOCK_SCHEME, blockIdOf } from './block-address.ts'
import type { BlockText, BlockTexts } from './block-texts.ts'

/** Which version of its block each open document began with. */
export interface Drafts extends Disposable {
  /** What the text of an open document is, or was before it was edited. */
  base(uri: Uri): Promise<BlockText | null>
  /** What an unsaved document was when the editor read or saved it; null for one without changes. */
  unsaved(uri: Uri): BlockText | null
  /** From now on the document is based on this: the user knows of it, or it differs in nothing that is text. */
  rebase(uri: Uri, block: BlockText): void
  /** This is what has been saved. */
  saved(uri: Uri, block: BlockText): void
}

/** The versions of unsaved documents, which outlive a reload of the window as those do. */
const KEY = 'loci.block.drafts'

/** Follows documents. `memory` is the workspace's. */
export function createDrafts(texts: BlockTexts, memory: Memento): Drafts {
  const bases = new Map<string, BlockText>()
  const read = new Map<string, BlockText>()
  const set = (key: string, block: BlockText) => {
    bases.set(key, block)
    read.set(key, block)
  }
  const restored = new Map<string, Promise<BlockText | null>>()
  const versions = () => memory.get<Record<string, number>>(KEY) ?? {}
  const remember = (key: string, version: number | null) => {
    const { [key]: known, ...rest } = versions()
    if (known === (version ?? undefined)) return
    void memory.update(KEY, version === null ? rest : { ...rest, [key]: version })
  }
  const follow = (document: TextDocument) => {
    const id = blockOf(document)
    if (id === null) return
    const key = document.uri.toString()
    if (document.isDirty) {
      const base = bases.get(key)
      if (base) remember(key, base.version)
      else restore(key, id)
      return
    }
    remember(key, null)
    const known = texts.known(id)
    if (known && sameText(known.value, document.getText())) set(key, known)
  }
  /** A document that was brought back with its changes, after a reload. */
  const restore = (key: string, id: string) => {
    const version = versions()[key]
    if (version === undefined || restored.has(key)) return
    const reading = Promise.all([texts.read(id), texts.textAfter(id, version)]).then(
      ([block, value]) => {
        const base = { ...block, value, version, revision: version }
        if (!bases.has(key)) set(key, base)
        return base
      },
      () => {
        // Asked again when it is saved.
        restored.delete(key)
        return null
      },
    )
    restored.set(key, reading)
  }
  const listening = [
    workspace.onDidOpenTextDocument(follow),
    workspace.onDidChangeTextDocument(({ document }) => follow(document)),
    workspace.onDidSaveTextDocument(follow),
    workspace.onDidCloseTextDocument((document) => {
      const key = document.uri.toString()
      bases.delete(key)
      read.delete(key)
      restored.delete(key)
    }),
  ]
  for (const document of workspace.textDocuments) follow(document)
  return {
    async base(uri) {
      const key = uri.toString()
      const id = blockIdOf(uri.query)
      if (!bases.has(key) && id !== null) restore(key, id)
      return bases.get(key) ?? (await restored.get(key)) ?? null
    },
    unsaved: (uri) => (openDocument(uri)?.isDirty ? (read.get(uri.toString()) ?? null) : null),
    saved: (uri, block) => set(uri.toString(), block),
    rebase(uri, block) {
      bases.set(uri.toString(), block)
      if (openDocument(uri)?.isDirty) remember(uri.toString(), block.version)
    },
    dispose() {
      for (const each of listening) each.dispose()
    },
  }
}

/** The id of the block that is this document; null for any other. */
export function blockOf({ uri }: TextDocument): string | null {
  return uri.scheme === BLOCK_SCHEME ? blockIdOf(uri.query) : null
}

/** The document that is open at this address. */
export function openDocument(uri: Uri): TextDocument | undefined {
  const key = uri.toString()
  return workspace.textDocuments.find((document) => document.uri.toString() === key)
}

/** Whether texts are one to an editor, which makes line ends alike. */
export function sameText(a: string, b: string): boolean {
  return a === b || plain(a) === plain(b)
}

function plain(text: string): string {
  return text.replace(/^\uFEFF/, '').replaceAll(/\r\n?/g, '\n')
}
