import { commands, FileSystemError, Uri, window, workspace } from 'vscode'
import type { Services } from '../services.ts'
import { childEnvironment } from '../server/child-environment.ts'
import { runLoci } from '../server/run-loci.ts'
import { dataPlace, networkSettings, readSettings } from '../settings.ts'
import { TOKEN_INPUT, withLoci, type McpJsonEntry } from './mcp-json.ts'
import { t } from '../l10n.ts'

/**
 * Writes `.vscode/mcp.json` of a workspace folder, so that everybody's editor there offers Loci's MCP server, after showing
 * what changes. Throws with what to do when the file cannot be read.
 */
export async function installMcpServer(services: Services): Promise<void> {
  const folder =
    (workspace.workspaceFolders?.length ?? 0) > 1
      ? await window.showWorkspaceFolderPick({ placeHolder: t('In which folder?') })
      : workspace.workspaceFolders?.[0]
  if (!folder) {
    if (workspace.workspaceFolders === undefined)
      void window.showInformationMessage(
        t(
          'Open a folder first: what is written is its .vscode/mcp.json. VS Code’s own chat lists Loci without that.',
        ),
      )
    return
  }
  const file = Uri.joinPath(folder.uri, '.vscode', 'mcp.json')
  const before = await textOf(file)
  const after = changed(before, await entryFor(services), file)
  if (after === before) {
    void window.showInformationMessage(t('{0} has Loci already.', workspace.asRelativePath(file)))
    return
  }
  if (!(await agreed(file, before, after))) return
  await workspace.fs.createDirectory(Uri.joinPath(folder.uri, '.vscode'))
  await workspace.fs.writeFile(file, new TextEncoder().encode(after))
  const text = t('VS Code offers Loci’s MCP server in this folder.')
  void window.showInformationMessage(text, t('List Servers')).then((choice) => {
    if (choice !== undefined) return commands.executeCommand('workbench.mcp.listServer')
    return undefined
  })
}

function changed(before: string, entry: McpJsonEntry, file: Uri): string {
  try {
    return withLoci(before, entry)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new Error(
      t(
        '{0} was left as it is, because it cannot be read: {1} Correct it (comments have to go), or add the server by hand: {2}',
        file.fsPath,
        why,
        JSON.stringify(entry),
      ),
      { cause },
    )
  }
}

/** The launcher that `loci mcp install` writes, which finds Loci after an update too; or the address of the server. */
async function entryFor({ context, tokens }: Services): Promise<McpJsonEntry> {
  const settings = readSettings()
  if (settings.url !== null) {
    const url = `${settings.url.replace(/\/+$/, '')}/mcp`
    if ((await tokens.of(settings.url)) === undefined) return { type: 'http', url }
    return { type: 'http', url, headers: { Authorization: `Bearer \${input:${TOKEN_INPUT.id}}` } }
  }
  const { code, stdout, stderr } = await runLoci(
    context.asAbsolutePath('dist/loci.js'),
    ['mcp', 'install', 'vscode', '--print', '--data', dataPlace(settings)],
    { ...childEnvironment(process.env, networkSettings(), ''), LOCI_HOME: dataPlace(settings) },
  )
  if (code !== 0) throw new Error(stderr.trim() || t('loci mcp install ended with {0}.', code))
  const { servers } = JSON.parse(stdout) as { servers: { loci: McpJsonEntry } }
  return servers.loci
}

async function textOf(file: Uri): Promise<string> {
  try {
    return new TextDecoder().decode(await workspace.fs.readFile(file))
  } catch (error) {
    if (error instanceof FileSystemError && error.code === 'FileNotFound') return ''
    throw error
  }
}

/** Shows the change as a diff and asks. */
async function agreed(file: Uri, before: string, after: string): Promise<boolean> {
  const name = workspace.asRelativePath(file)
  const texts: Record<string, string> = { before, after }
  const scheme = 'loci-mcp-diff'
  const provider = workspace.registerTextDocumentContentProvider(scheme, {
    provideTextDocumentContent: (uri) => texts[uri.query] ?? '',
  })
  const side = (query: string) => Uri.from({ scheme, path: file.path, query })
  try {
    await commands.executeCommand('vscode.diff', side('before'), side('after'), t('{0} ← Loci', name))
    // Stays while the difference is looked at, which a notification does not.
    const choice = await window.showQuickPick([t('Write'), t('Leave It')], {
      title: t('Write Loci’s MCP server to {0}?', name),
      ignoreFocusOut: true,
    })
    return choice === t('Write')
  } finally {
    provider.dispose()
  }
}
