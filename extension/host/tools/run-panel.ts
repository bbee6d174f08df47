import {
  Disposable,
  Uri,
  ViewColumn,
  window,
  workspace,
  type ExtensionContext,
  type WebviewPanel,
} from 'vscode'
import { parseFromRunForm, type RunForm, type RunOutcome, type ToRunForm } from '../../run-form.ts'
import type { Services } from '../services.ts'
import type { Checks } from './checks.ts'
import { argumentsOf, fieldsOf } from './form-fields.ts'
import { callTool } from './run-call.ts'
import { runHtml } from './run-html.ts'
import { readTool } from './tool-document.ts'
import { t } from '../l10n.ts'

/** Where a window keeps what each tool was called with last. */
const ARGUMENTS = 'loci.tools.arguments'

/** The forms that run tools, one for each. */
export interface RunPanels extends Disposable {
  /** Shows the form of the tool beside its file. */
  open(uri: Uri): Promise<void>
}

export function createRunPanels(services: Services, checks: Checks): RunPanels {
  const panels = new Map<string, WebviewPanel>()
  const subscriptions = new Map<string, Disposable>()
  return {
    async open(uri) {
      const key = uri.toString()
      const open = panels.get(key)
      if (open) return open.reveal(open.viewColumn, false)
      // Says what is wrong before there is a form.
      const { name } = await checks.check(uri)
      const { context } = services
      const folder = Uri.joinPath(context.extensionUri, 'dist', 'webview')
      const panel = window.createWebviewPanel(
        'loci.runTool',
        t('Run {0}', name ?? workspace.asRelativePath(uri)),
        ViewColumn.Beside,
        { enableScripts: true, localResourceRoots: [folder] },
      )
      panels.set(key, panel)
      subscriptions.set(key, adopt(panel, uri, services, checks))
      panel.onDidDispose(() => {
        panels.delete(key)
        subscriptions.get(key)?.dispose()
        subscriptions.delete(key)
      })
      panel.webview.html = runHtml({
        cspSource: panel.webview.cspSource,
        script: panel.webview.asWebviewUri(Uri.joinPath(folder, 'run-form.js')).toString(),
      })
    },
    dispose() {
      for (const panel of panels.values()) panel.dispose()
    },
  }
}

function adopt(panel: WebviewPanel, uri: Uri, { server, context }: Services, checks: Checks): Disposable {
  const { webview } = panel
  const post = (message: ToRunForm) => void webview.postMessage(message)
  let form: RunForm | null = null
  let outcome: RunOutcome | null = null
  let call: AbortController | null = null
  let typing: NodeJS.Timeout | undefined

  const refresh = async () => {
    try {
      form = await formOf(uri, checks, lastArguments(context, uri))
    } catch (error) {
      const problem = await server.describe(error)
      form = {
        ...(form ?? { name: '', description: '', fields: [] }),
        place: workspace.asRelativePath(uri),
        problem,
      }
    }
    post({ kind: 'form', form })
  }
  const run = async (values: Record<string, string>) => {
    if (call || !form) return
    const read = argumentsOf(form.fields, values)
    if ('problems' in read) return post({ kind: 'refused', problems: read.problems })
    call = new AbortController()
    post({ kind: 'running' })
    try {
      await keepArguments(context, uri, read.args)
      outcome = await callTool(await server.client(), await readTool(uri), read.args, call.signal)
    } catch (error) {
      const text = await server.describe(error)
      outcome = { state: 'failed', text, stdout: '', stderr: '', duration: 0 }
    } finally {
      call = null
    }
    post({ kind: 'outcome', outcome })
  }
  return Disposable.from(
    new Disposable(() => {
      clearTimeout(typing)
      call?.abort()
    }),
    webview.onDidReceiveMessage((value: unknown) => {
      const message = parseFromRunForm(value)
      if (message?.kind === 'run') void run(message.values)
      if (message?.kind === 'cancel') call?.abort()
      if (message?.kind !== 'ready') return
      // New, or shown again: it has forgotten all but what was written into it.
      void refresh()
      if (call) post({ kind: 'running' })
      else if (outcome) post({ kind: 'outcome', outcome })
    }),
    workspace.onDidChangeTextDocument(({ document }) => {
      if (document.uri.toString() !== uri.toString()) return
      clearTimeout(typing)
      typing = setTimeout(() => void refresh(), 500)
    }),
  )
}

async function formOf(uri: Uri, checks: Checks, last: Record<string, unknown>): Promise<RunForm> {
  const { name, description, json_schema, errors } = await checks.check(uri)
  return {
    name: name ?? '',
    description: description ?? '',
    place: workspace.asRelativePath(uri),
    fields: fieldsOf(json_schema, last),
    problem: errors.length === 0 ? null : errors.map(({ message }) => message).join(' '),
  }
}

function lastArguments({ workspaceState }: ExtensionContext, uri: Uri): Record<string, unknown> {
  const all = workspaceState.get<Record<string, Record<string, unknown>>>(ARGUMENTS, {})
  return all[uri.toString()] ?? {}
}

async function keepArguments(
  { workspaceState }: ExtensionContext,
  uri: Uri,
  args: Record<string, unknown>,
): Promise<void> {
  const all = workspaceState.get<Record<string, Record<string, unknown>>>(ARGUMENTS, {})
  await workspaceState.update(ARGUMENTS, { ...all, [uri.toString()]: args })
}
