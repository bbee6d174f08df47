import {
  Diagnostic,
  DiagnosticSeverity,
  Disposable,
  languages,
  Position,
  Range,
  window,
  workspace,
  type TextDocument,
  type Uri,
} from 'vscode'
import { settingsName } from '../../../shared/client/tool-files.ts'
import type { CheckedTool } from '../../../shared/schema/custom-tool.ts'
import { isAppError } from '../../../shared/schema/errors.ts'
import { told } from '../failures.ts'
import type { Services } from '../services.ts'
import { checkTool } from './server-tool.ts'
import { isTool, readTool } from './tool-document.ts'
import { t } from '../l10n.ts'

/** How long typing has to rest before the source is checked, in milliseconds. */
const REST = 300

/** The problems of the tools that are being looked at, shown at their lines. */
export interface Checks extends Disposable {
  /** Checks the tool as it is now, and shows what is wrong. Throws what the client throws. */
  check(uri: Uri): Promise<CheckedTool>
}

/**
 * Checks the tools in visible editors: when they are shown, and while they are written. The server is started by that,
 * but not where the user stopped it, and not again where it failed.
 */
export function createChecks({ server, context }: Services): Checks {
  const shown = languages.createDiagnosticCollection('loci-tools')
  const waiting = new Map<string, NodeJS.Timeout>()
  /** The newest check of each file: an older answer that comes later is not shown. */
  const newest = new Map<string, symbol>()
  /** The user was told that checking fails; not again before it has worked. */
  let failing = false

  async function check(uri: Uri): Promise<CheckedTool> {
    const key = uri.toString()
    const token = Symbol(key)
    newest.set(key, token)
    const beside = uri.with({ path: settingsName(uri.path) })
    try {
      const client = await server.client()
      const file = await readTool(uri)
      const checked = await checkTool(client, file)
      if (newest.get(key) === token) {
        shown.set(uri, problems(checked, file.source_code))
        shown.delete(beside)
      }
      return checked
    } catch (error) {
      if (isAppError(error) && error.code === 'invalid_argument')
        shown.set(beside, [new Diagnostic(new Range(0, 0, 0, 1), error.message, DiagnosticSeverity.Error)])
      throw error
    }
  }

  async function checkQuietly(uri: Uri): Promise<void> {
    const { state } = server
    if (!workspace.isTrusted || state.kind === 'failed' || (state.kind === 'stopped' && state.asked)) return
    try {
      await check(uri)
      failing = false
    } catch (error) {
      // Shown at the file of the settings.
      if (isAppError(error) && error.code === 'invalid_argument') return
      if (failing) return
      failing = true
      // Once more, as Retry does.
      await told(t('check the tool'), server, () => check(uri))
    }
  }

  function soon(uri: Uri, rest = REST): void {
    const key = uri.toString()
    clearTimeout(waiting.get(key))
    waiting.set(
      key,
      setTimeout(() => {
        waiting.delete(key)
        void checkQuietly(uri)
      }, rest),
    )
  }
  const ofVisible = () => {
    for (const { document } of window.visibleTextEditors) if (isTool(document.uri)) soon(document.uri, 0)
  }
  const ofSettings = (document: TextDocument) => {
    for (const { document: tool } of window.visibleTextEditors)
      if (isTool(tool.uri) && settingsName(tool.uri.path) === document.uri.path) soon(tool.uri)
  }

  const subscriptions = Disposable.from(
    shown,
    workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
      if (contentChanges.length === 0) return
      if (isTool(document.uri)) soon(document.uri)
      else if (document.uri.path.endsWith('.tool.json')) ofSettings(document)
    }),
    window.onDidChangeVisibleTextEditors(ofVisible),
    workspace.onDidCloseTextDocument(({ uri }) => {
      shown.delete(uri)
      newest.delete(uri.toString())
    }),
    workspace.onDidDeleteFiles(({ files }) => {
      for (const uri of files) shown.delete(uri)
    }),
    workspace.onDidGrantWorkspaceTrust(ofVisible),
    server.onDidChangeState((state) => {
      if (state.kind === 'connected') ofVisible()
    }),
  )
  ofVisible()
  const checks: Checks = {
    check,
    dispose() {
      for (const timer of waiting.values()) clearTimeout(timer)
      subscriptions.dispose()
    },
  }
  context.subscriptions.push(checks)
  return checks
}

function problems({ errors, warnings }: CheckedTool, source: string): Diagnostic[] {
  const lines = source.split('\n')
  const at = (line: number | null, column: number | null) => rangeOf(lines, line, column)
  return [
    ...errors.map(({ message, line, column }) =>
      problem(at(line, column), message, DiagnosticSeverity.Error),
    ),
    ...warnings.map(({ message, line, column }) =>
      problem(at(line, column), message, DiagnosticSeverity.Warning),
    ),
  ]
}

function problem(range: Range, message: string, severity: DiagnosticSeverity): Diagnostic {
  const diagnostic = new Diagnostic(range, message, severity)
  diagnostic.source = 'Loci'
  return diagnostic
}

/** The word at a place that is counted from 1, or the rest of its line. */
function rangeOf(lines: readonly string[], line: number | null, column: number | null): Range {
  const row = Math.min(Math.max((line ?? 1) - 1, 0), Math.max(lines.length - 1, 0))
  const text = lines[row] ?? ''
  const begin = Math.min(Math.max((column ?? 1) - 1, 0), text.length)
  const word = /^[\w$]+/.exec(text.slice(begin))?.[0].length ?? Math.max(text.trimEnd().length - begin, 1)
  return new Range(new Position(row, begin), new Position(row, begin + word))
}
