import { FileType, RelativePattern, Uri, workspace, type Disposable } from 'vscode'
import { TOOLS_FOLDER } from '../../../shared/client/tool-files.ts'
import type { Services } from '../services.ts'
import type { Authoring } from './authoring.ts'
import { t } from '../l10n.ts'

/** Writing tools. All but the commands is loaded with the first of them, or where a folder has tools. */
export function registerTools(services: Services): void {
  const { context, command } = services
  let loading: Promise<Authoring> | null = null
  const load = () => {
    loading ??= import('./authoring.ts').then(({ createAuthoring }) => createAuthoring(services))
    return loading
  }
  const acts = (name: string, doing: string, act: keyof Authoring) =>
    command(name, doing, async (given) => (await load())[act](given))
  context.subscriptions.push(
    acts('loci.newTool', t('create the tool'), 'newTool'),
    acts('loci.runTool', t('run the tool'), 'run'),
    acts('loci.debugTool', t('debug the tool'), 'debug'),
    acts('loci.attachThisTool', t('attach the tool'), 'attach'),
    acts('loci.showToolSchema', t('show the schema'), 'schema'),
    acts('loci.pushTool', t('push the tool'), 'push'),
    acts('loci.compareTool', t('compare the tool'), 'compare'),
    acts('loci.openTool', t('open the tool'), 'open'),
    acts('loci.pullTool', t('pull the tool'), 'pull'),
    ...whereToolsAre(() => void load()),
  )
}

/** Calls `found` when a folder of the workspace has tools, or gets some. */
function whereToolsAre(found: () => void): Disposable[] {
  const look = async () => {
    for (const { uri } of workspace.workspaceFolders ?? []) {
      const folder = workspace.fs.stat(Uri.joinPath(uri, ...TOOLS_FOLDER))
      // A folder that is not there is the usual case.
      const type = await folder.then(
        (stat) => stat.type,
        () => null,
      )
      if (type === FileType.Directory) found()
    }
  }
  void look()
  const watchers = (workspace.workspaceFolders ?? []).map((folder) => {
    const watcher = workspace.createFileSystemWatcher(
      new RelativePattern(folder, `${TOOLS_FOLDER.join('/')}/*`),
      false,
      true,
      true,
    )
    watcher.onDidCreate(found)
    return watcher
  })
  return [...watchers, workspace.onDidChangeWorkspaceFolders(() => void look())]
}
