import {
  CodeLens,
  EventEmitter,
  languages,
  Range,
  workspace,
  type Disposable,
  type TextDocument,
} from 'vscode'
import { languageOf } from '../../../shared/client/tool-files.ts'
import { isServerSource, SCHEME } from './server-documents.ts'
import { findTool } from './outline.ts'
import { isTool, TOOL_DOCUMENTS } from './tool-document.ts'
import { t } from '../l10n.ts'

/** What can be done with a tool, above its function: here and in the source of a server. */
export function registerCodeLenses(): Disposable[] {
  const changed = new EventEmitter<void>()
  return [
    changed,
    workspace.onDidGrantWorkspaceTrust(() => changed.fire()),
    languages.registerCodeLensProvider(TOOL_DOCUMENTS, {
      onDidChangeCodeLenses: changed.event,
      provideCodeLenses: lensesOf,
    }),
    languages.registerCodeLensProvider(
      { scheme: SCHEME },
      {
        provideCodeLenses: ({ uri }) =>
          isServerSource(uri)
            ? [
                lens(
                  new Range(0, 0, 0, 0),
                  `$(cloud-download) ${t('Pull into Workspace')}`,
                  'loci.pullTool',
                  uri,
                ),
              ]
            : [],
      },
    ),
  ]
}

function lensesOf(document: TextDocument): CodeLens[] {
  const { uri } = document
  const language = languageOf(uri.path)
  const place = language && isTool(uri) ? findTool(document.getText(), language) : null
  if (!place) return []
  const range = new Range(place.line, 0, place.line, 0)
  if (!workspace.isTrusted) {
    const title = `$(workspace-untrusted) ${t('Tools do not run in a workspace that is not trusted')}`
    return [lens(range, title, 'workbench.trust.manage')]
  }
  return [
    lens(range, t('Run'), 'loci.runTool', uri),
    lens(range, t('Debug'), 'loci.debugTool', uri),
    lens(range, t('Attach to Agent…'), 'loci.attachThisTool', uri),
    lens(range, t('Schema'), 'loci.showToolSchema', uri),
  ]
}

function lens(range: Range, title: string, command: string, ...args: unknown[]): CodeLens {
  return new CodeLens(range, { title, command, arguments: args })
}
