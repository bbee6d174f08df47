import { commands, FileChangeType, window, workspace, type TextDocument, type Uri } from 'vscode'
import { inBackground, told } from '../failures.ts'
import { t } from '../l10n.ts'
import type { Services } from '../services.ts'
import { BLOCK_SCHEME, VERSION_SCHEME } from './block-address.ts'
import { BlockConflictError, BlockGoneError, createBlockTexts, type BlockText } from './block-texts.ts'
import { createChangeMarks } from './change-marks.ts'
import { createConflicts, replaceText } from './conflicts.ts'
import { blockOf, createDrafts, openDocument, sameText } from './drafts.ts'
import { createBlockFileSystem, notSaved } from './file-system.ts'
import { createOwners, makeAgain } from './owners.ts'
import { authorOf, createVersionContent } from './show-version.ts'

/**
 * Blocks as documents: saved over the version that they were opened at, and kept up with what others write. Returns the
 * texts and the marks of what others changed. All of it ends with the extension.
 */
export function createBlockDocuments(services: Services) {
  const { context, server, library, onDidChangeLibrary, prepare } = services
  const texts = createBlockTexts(async () => {
    if (server.state.kind === 'stopped' && server.state.asked)
      throw new Error(t('The Loci server is stopped. Start it with “Loci: Start Local Server”.'))
    return server.client()
  })
  const newest = async (id: string) => {
    const version = await texts.newest(id)
    const author = version ? authorOf(version, library) : t('Somebody')
    return { author, date: version?.created_at ?? null }
  }
  const drafts = createDrafts(texts, context.workspaceState)
  const marks = createChangeMarks()
  const owners = createOwners(library)
  const conflicts = createConflicts(async (id) => (await newest(id)).author)
  const files = createBlockFileSystem({
    texts,
    describe: (error) => server.describe(error),
    unsaved: (uri) => drafts.unsaved(uri),
    write: (uri, id, text) => {
      const key = uri.toString()
      const saving = save(uri, id, text).finally(() => saves.delete(key))
      saves.set(key, saving)
      return saving
    },
  })
  /** Saves that are under way, also those that wait for the user. */
  const saves = new Map<string, Promise<void>>()
  /** Documents whose user took the other text while a save waited: it is put in when that has ended. */
  const taking = new Map<string, BlockText>()
  /** Documents that are being given the text of the block: saving them writes nothing. */
  const given = new Map<string, BlockText>()

  async function save(uri: Uri, id: string, text: string): Promise<void> {
    const key = uri.toString()
    const theirs = given.get(key)
    if (theirs) return drafts.saved(uri, theirs)
    let base = (await drafts.base(uri)) ?? texts.known(id) ?? (await texts.read(id))
    for (;;) {
      try {
        return drafts.saved(uri, await texts.save(id, text, base))
      } catch (error) {
        if (error instanceof BlockGoneError) void offerToMakeAgain(uri)
        if (!(error instanceof BlockConflictError)) throw error
        // Saved as it was opened: there is nothing to lose.
        const choice = sameText(text, base.value)
          ? 'theirs'
          : await conflicts.ask(uri, error.theirs, { saving: true })
        if (choice === null) throw notSaved(t('Others changed the block meanwhile. Save again to decide.'))
        base = error.theirs
        if (choice === 'theirs') {
          taking.set(key, base)
          return
        }
      }
    }
  }

  async function take(document: TextDocument, theirs: BlockText): Promise<void> {
    const key = document.uri.toString()
    given.set(key, theirs)
    try {
      await replaceText(document, theirs.value)
      if (document.isDirty) await document.save()
      drafts.saved(document.uri, theirs)
    } finally {
      given.delete(key)
    }
  }

  async function follow(document: TextDocument, id: string): Promise<void> {
    const { uri } = document
    const key = uri.toString()
    // What is being saved is newer than what is known of it.
    await saves.get(key)?.catch(() => undefined)
    const base = await drafts.base(uri)
    const listed = library.blocks.get(id)
    if (base && listed && (listed.version ?? null) === base.version && listed.value === base.value) return
    const now = await texts.read(id)
    if (base?.revision === now.revision) return
    if (base?.value === now.value) {
      // Another field: for a document without changes the editor has to learn the new version.
      drafts.rebase(uri, now)
      if (!document.isDirty) files.tell([{ type: FileChangeType.Changed, uri }])
    } else if (!document.isDirty) {
      if (base)
        marks.announce(uri, {
          ...(await newest(id)),
          before: base.value,
          from: base.revision,
          after: now.value,
        })
      files.tell([{ type: FileChangeType.Changed, uri }])
    } else if (sameText(document.getText(), now.value)) drafts.rebase(uri, now)
    else if (base && sameText(document.getText(), base.value)) await take(document, now)
    else await settle(document, now)
  }

  async function settle(document: TextDocument, theirs: BlockText): Promise<void> {
    const { uri } = document
    const choice = await conflicts.ask(uri, theirs, { saving: false })
    // A save that waited for this answer does what it says.
    if (choice === null || saves.has(uri.toString()) || !openDocument(uri)?.isDirty) return
    if (choice === 'theirs') return take(document, theirs)
    drafts.rebase(uri, theirs)
    await document.save()
  }

  /** Blocks that no list has, because they are hidden: they are there all the same. */
  const unlisted = new Set<string>()
  const checks = new Map<string, Promise<void>>()
  async function check(document: TextDocument, id: string): Promise<void> {
    const { uri } = document
    try {
      if (!library.blocks.has(id) && !unlisted.has(id)) {
        await texts.read(id)
        unlisted.add(id)
      }
      await follow(document, id)
    } catch (error) {
      if (!(error instanceof BlockGoneError)) throw error
      files.tell([{ type: FileChangeType.Deleted, uri }])
      if (document.isDirty) await offerToMakeAgain(uri)
    }
  }
  const checkAll = () => {
    if (!library.loaded) return
    for (const document of workspace.textDocuments) {
      const id = blockOf(document)
      if (id === null || document.isClosed) continue
      if (library.blocks.has(id)) owners.remember(id)
      const key = document.uri.toString()
      // One after the other; a question to the user holds up only its own document.
      const done = (checks.get(key) ?? Promise.resolve()).then(() =>
        inBackground(server, t('follow the block'), () => check(document, id)),
      )
      checks.set(key, done)
    }
  }

  const offered = new Set<string>()
  async function offerToMakeAgain(uri: Uri): Promise<void> {
    const key = uri.toString()
    const document = openDocument(uri)
    if (!document || offered.has(key)) return
    offered.add(key)
    const again = t('Make It Again')
    const name = uri.path.split('/').at(-1) ?? ''
    const text = t('The block of {0} has been deleted. Your text is still in its editor.', name)
    const choice = await window.showWarningMessage(text, again).then(undefined, () => undefined)
    offered.delete(key)
    if (choice !== again) return
    await told(t('make the block again'), server, async () => {
      const id = await makeAgain(
        await server.client(),
        owners.of(blockOf(document) ?? ''),
        document.getText(),
      )
      await window.showTextDocument(document)
      await commands.executeCommand('workbench.action.revertAndCloseActiveEditor')
      await commands.executeCommand('loci.openBlock', id)
    })
  }

  context.subscriptions.push(
    drafts,
    marks,
    files,
    workspace.registerFileSystemProvider(BLOCK_SCHEME, files, { isCaseSensitive: true }),
    workspace.registerTextDocumentContentProvider(VERSION_SCHEME, createVersionContent(texts)),
    onDidChangeLibrary(checkAll),
    workspace.onDidOpenTextDocument((document) => {
      // Names of agents, and what changes from now on.
      if (blockOf(document) !== null) void prepare().then(checkAll)
    }),
    workspace.onDidSaveTextDocument((document) => {
      const key = document.uri.toString()
      const theirs = taking.get(key)
      taking.delete(key)
      if (theirs) void told(t('take the other text'), server, () => take(document, theirs))
    }),
    workspace.onDidCloseTextDocument(({ uri }) => checks.delete(uri.toString())),
  )
  return { texts, marks }
}
