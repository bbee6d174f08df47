import {
  EventEmitter,
  lm,
  McpHttpServerDefinition,
  McpStdioServerDefinition,
  Uri,
  workspace,
  type Disposable,
} from 'vscode'
import type { Services } from '../services.ts'
import { dataPlace, readSettings } from '../settings.ts'
import { mcpDefinition } from './definitions.ts'

/** Offers Loci's MCP server to VS Code's own chat. It is started when that chat wants it, not before. */
export function registerMcpProvider({ context, tokens }: Services): Disposable[] {
  const changed = new EventEmitter<void>()
  return [
    changed,
    workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration('loci')) changed.fire()
    }),
    workspace.onDidGrantWorkspaceTrust(() => changed.fire()),
    lm.registerMcpServerDefinitionProvider('loci.mcp', {
      onDidChangeMcpServerDefinitions: changed.event,
      async provideMcpServerDefinitions() {
        if (!workspace.isTrusted) return []
        const settings = readSettings()
        const { url } = settings
        const definition = mcpDefinition({
          extension: context.extensionPath,
          node: process.execPath,
          dataDirectory: dataPlace(settings),
          url,
          token: url === null ? undefined : await tokens.of(url),
        })
        const { version } = context.extension.packageJSON as { version: string }
        if (definition.kind === 'http')
          return [new McpHttpServerDefinition('Loci', Uri.parse(definition.url), definition.headers, version)]
        const { command, args, env } = definition
        return [new McpStdioServerDefinition('Loci', command, args, env, version)]
      },
    }),
  ]
}
