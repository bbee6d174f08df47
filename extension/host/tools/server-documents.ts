import { Disposable, EventEmitter, Uri, workspace } from 'vscode'
import { fileName, languageOf } from '../../../shared/client/tool-files.ts'
import { describeTool, schemaText, type SourceOrNone } from './tool-texts.ts'
import type { Services } from '../services.ts'
import type { Checks } from './checks.ts'
import { toolNamed } from './server-tool.ts'

/** Of documents that nobody writes: schemas, and the tools of the server. */
export const SCHEME = 'loci-tool'

/** The schema that the model gets of the tool in this file, as it is now. */
export function schemaUri(tool: Uri, name: string): Uri {
  return Uri.from({ scheme: SCHEME, path: `/schema/${name}.json`, query: tool.toString() })
}

/** The server's source of a tool, or what it says of one that has no source. */
export function serverSourceUri(tool: SourceOrNone): Uri {
  const { name, source_type, source_code } = tool
  const written = source_code !== null && (source_type === 'python' || source_type === 'typescript')
  const file = written ? fileName({ name, source_type }) : `${name}.json`
  return Uri.from({ scheme: SCHEME, path: `/server/${file}`, query: name })
}

/** The schema of the server's tool, for a comparison. */
export function serverSchemaUri(name: string): Uri {
  return Uri.from({ scheme: SCHEME, path: `/server-schema/${name}.json`, query: name })
}

/** Whether this document is the source of a tool of the server. */
export function isServerSource(uri: Uri): boolean {
  return uri.scheme === SCHEME && uri.path.startsWith('/server/') && languageOf(uri.path) !== null
}

/** The name of the tool of the server whose document this is. */
export function serverToolName(uri: Uri): string {
  return uri.query
}

/** Fills documents of `loci-tool:` and keeps them up to date: with the file as it is written, with the server's tools. */
export function registerServerDocuments(
  { server, onDidChangeLibrary }: Services,
  checks: Checks,
): Disposable[] {
  const changed = new EventEmitter<Uri>()
  const open = (wanted: (uri: Uri) => boolean) => {
    for (const { uri } of workspace.textDocuments) if (uri.scheme === SCHEME && wanted(uri)) changed.fire(uri)
  }
  const waiting = new Map<string, NodeJS.Timeout>()
  return [
    changed,
    workspace.onDidChangeTextDocument(({ document }) => {
      const source = document.uri.toString()
      clearTimeout(waiting.get(source))
      waiting.set(
        source,
        setTimeout(() => {
          waiting.delete(source)
          open((uri) => uri.path.startsWith('/schema/') && uri.query === source)
        }, 400),
      )
    }),
    new Disposable(() => {
      for (const timer of waiting.values()) clearTimeout(timer)
    }),
    onDidChangeLibrary(() => open((uri) => !uri.path.startsWith('/schema/'))),
    workspace.registerTextDocumentContentProvider(SCHEME, {
      onDidChange: changed.event,
      async provideTextDocumentContent(uri) {
        if (uri.path.startsWith('/schema/')) {
          const { json_schema, errors } = await checks.check(Uri.parse(uri.query, true))
          if (json_schema) return schemaText(json_schema)
          return schemaText({ 'no schema yet': errors.map(({ message }) => message) })
        }
        // What is compared is in the address: settings are small.
        if (uri.path.startsWith('/settings/')) return uri.query
        const tool = await toolNamed(await server.client(), serverToolName(uri))
        return uri.path.startsWith('/server-schema/') ? schemaText(tool?.json_schema) : describeTool(tool)
      },
    }),
  ]
}
