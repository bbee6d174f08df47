import {
  CodeLens,
  env,
  EventEmitter,
  languages,
  OverviewRulerLane,
  Range,
  ThemeColor,
  window,
  workspace,
  type Disposable,
  type TextDocument,
  type Uri,
} from 'vscode'
import { t } from '../l10n.ts'
import { BLOCK_SCHEME } from './block-address.ts'
import { changedLines } from './block-changes.ts'
import { sameText } from './drafts.ts'
import { shownTime } from './show-version.ts'

/** A change by others of a block that is open. */
export interface BlockChange {
  /** The text that the document had, and its version. */
  before: string
  from: number
  /** The text that it gets. */
  after: string
  author: string
  /** ISO 8601; null when it is not known. */
  date: string | null
}

/** Marks of what others changed in open documents: coloured lines and a line above the text. */
export interface ChangeMarks extends Disposable {
  /** The document is about to show this change. Several are shown as one, until they have been seen. */
  announce(uri: Uri, change: BlockChange): void
  /** The version before what is marked; null when nothing is. */
  changedFrom(uri: Uri): number | null
  dismiss(uri: Uri): void
}

/** Editing, or dismissing, takes the marks away. */
export function createChangeMarks(): ChangeMarks {
  const marks = new Map<string, BlockChange>()
  const lenses = new EventEmitter<void>()
  const look = window.createTextEditorDecorationType({
    isWholeLine: true,
    backgroundColor: new ThemeColor('diffEditor.insertedLineBackground'),
    // High contrast themes have this one in place of a background; the others have none.
    borderColor: new ThemeColor('diffEditor.insertedTextBorder'),
    borderStyle: 'solid',
    borderWidth: '1px',
    overviewRulerColor: new ThemeColor('editorOverviewRuler.addedForeground'),
    overviewRulerLane: OverviewRulerLane.Left,
  })
  const shown = (document: TextDocument) => {
    const mark = marks.get(document.uri.toString())
    return mark && sameText(document.getText(), mark.after) ? mark : null
  }
  const paint = (document: TextDocument) => {
    const mark = shown(document)
    const lines = mark ? (changedLines(mark.before, mark.after) ?? []) : []
    for (const editor of window.visibleTextEditors) {
      if (editor.document !== document) continue
      editor.setDecorations(
        look,
        lines.map(({ start, end }) => new Range(start, 0, end - 1, 0)),
      )
    }
    lenses.fire()
  }
  const drop = (document: TextDocument) => {
    if (marks.delete(document.uri.toString())) paint(document)
  }
  const listening = [
    lenses,
    look,
    languages.registerCodeLensProvider(
      { scheme: BLOCK_SCHEME },
      {
        onDidChangeCodeLenses: lenses.event,
        provideCodeLenses(document) {
          const mark = shown(document)
          return mark ? lensesOf(mark, document.uri) : []
        },
      },
    ),
    workspace.onDidChangeTextDocument(({ document }) => {
      if (document.isDirty) drop(document)
      else if (marks.has(document.uri.toString())) paint(document)
    }),
    workspace.onDidCloseTextDocument(drop),
    window.onDidChangeVisibleTextEditors((editors) => {
      for (const { document } of editors) if (marks.has(document.uri.toString())) paint(document)
    }),
  ]
  return {
    announce(uri, change) {
      const earlier = marks.get(uri.toString())
      const since = earlier ? { before: earlier.before, from: earlier.from } : {}
      marks.set(uri.toString(), { ...change, ...since })
      const text = t('{0} changed {1}', change.author, uri.path.split('/').at(-1) ?? '')
      window.setStatusBarMessage(`$(edit-sparkle) ${text}`, 5_000)
    },
    changedFrom: (uri) => marks.get(uri.toString())?.from ?? null,
    dismiss(uri) {
      const document = workspace.textDocuments.find((each) => each.uri.toString() === uri.toString())
      if (document) drop(document)
    },
    dispose() {
      for (const each of listening) each.dispose()
    },
  }
}

function lensesOf(mark: BlockChange, uri: Uri): CodeLens[] {
  const top = new Range(0, 0, 0, 0)
  const said =
    mark.date === null
      ? t('{0} changed this', mark.author)
      : t('{0} changed this, {1}', mark.author, shownTime(mark.date, env.language))
  const lens = (title: string, command: string) => new CodeLens(top, { title, command, arguments: [uri] })
  return [
    lens(said, 'loci.showBlockChange'),
    lens(t('Show Changes'), 'loci.showBlockChange'),
    lens(t('Undo'), 'loci.undoBlockChange'),
    lens(t('Got It'), 'loci.dismissBlockChange'),
  ]
}
