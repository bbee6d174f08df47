import { homedir } from 'node:os'
import { join } from 'node:path'
import { workspace } from 'vscode'
import type { NetworkSettings } from './server/child-environment.ts'

/** Where the server is (`url`), or where the one that we start keeps its data. */
export interface ServerSettings {
  /** Null: start a server of our own. */
  url: string | null
  /** Null: the server's own default. */
  dataDirectory: string | null
  /** The first port to try for Start Local Server. */
  port: number
  /** Whether a server that we start asks for a token. */
  requireToken: boolean
}

/** Reads the `loci.*` settings as they are now. `~` at the start of a folder is the user's home. */
export function readSettings(): ServerSettings {
  const config = workspace.getConfiguration('loci')
  const text = (key: string) => (config.get<string>(key) ?? '').trim()
  const folder = text('dataDirectory')
  return {
    url: text('server.url') || null,
    dataDirectory: folder === '' ? null : folder.replace(/^~(?=$|[/\\])/, homedir()),
    port: config.get<number>('server.port') ?? 8283,
    requireToken: config.get<boolean>('server.requireToken') ?? true,
  }
}

/** Where the data of the server that we start lies, for people to read. */
export function dataPlace(settings: ServerSettings): string {
  return settings.dataDirectory ?? process.env['LOCI_HOME'] ?? join(homedir(), '.loci')
}

/** What VS Code's own settings say about proxies and certificates. */
export function networkSettings(): NetworkSettings {
  const http = workspace.getConfiguration('http')
  return {
    proxy: (http.get<string>('proxy') ?? '').trim(),
    noProxy: http.get<string[]>('noProxy') ?? [],
    systemCertificates: http.get<boolean>('systemCertificates') ?? true,
  }
}
