import { ViewColumn, window, workspace, type Uri } from 'vscode'
import type { Services } from '../services.ts'
import { attachThisTool, nameOfTool } from './attach.ts'
import { createChecks } from './checks.ts'
import { registerCodeLenses } from './code-lenses.ts'
import { debugTool } from './debug.ts'
import { newTool } from './new-tool.ts'
import { openTool, pullTool } from './open-tool.ts'
import { offerPushOnSave, pushThisTool, showChanges } from './push.ts'
import { createRunPanels } from './run-panel.ts'
import { registerServerDocuments, schemaUri } from './server-documents.ts'
import { createToolTests } from './tests.ts'
import { meantTool } from './tool-document.ts'
import { t } from '../l10n.ts'

/** What can be done with tools; each acts on what it is given, or on the tool in front. */
export type Authoring = Record<
  'newTool' | 'run' | 'debug' | 'attach' | 'schema' | 'push' | 'compare' | 'open' | 'pull',
  (given: unknown) => Promise<unknown>
>

/** Everything about writing tools: checks, lenses, forms, tests. Ends with the extension's context. */
export function createAuthoring(services: Services): Authoring {
  const checks = createChecks(services)
  const panels = createRunPanels(services, checks)
  services.context.subscriptions.push(
    panels,
    createToolTests(services),
    offerPushOnSave(services, checks),
    ...registerCodeLenses(),
    ...registerServerDocuments(services, checks),
  )
  const onTool = (title: string, work: (uri: Uri) => Promise<unknown>) => async (given: unknown) => {
    const uri = await meantTool(given, title)
    if (uri) await work(uri)
  }
  return {
    newTool,
    run: onTool(t('Run Tool'), (uri) => panels.open(uri)),
    debug: onTool(t('Debug Tool'), (uri) => debugTool(uri, services, checks)),
    attach: onTool(t('Attach Tool to Agent'), (uri) => attachThisTool(uri, services, checks)),
    schema: onTool(t('Show Tool Schema'), async (uri) => {
      const document = await workspace.openTextDocument(schemaUri(uri, await nameOfTool(uri, checks)))
      await window.showTextDocument(document, { preview: true, viewColumn: ViewColumn.Beside })
    }),
    push: onTool(t('Push Tool'), (uri) => pushThisTool(uri, services, checks)),
    compare: onTool(t('Compare Tool'), (uri) => showChanges(uri, services, checks)),
    open: (given) => openTool(given, services),
    pull: (given) => pullTool(given, services),
  }
}
