import { homedir } from 'node:os'
import { join } from 'node:path'
import { workspace } from 'vscode'

/** Where the server is (`url`), or where the one that we start keeps its data. */
export interface ServerSettings {
  /** Null: start a server of our own. */
  url: string | null
  /** Null: the server's own default. */
  dataDirectory: string | null
}

/** Reads the `loci.*` settings as they are now. `~` at the start of a folder is the user's home. */
export function readSettings(): ServerSettings {
  const config = workspace.getConfiguration('loci')
  const text = (key: string) => (config.get<string>(key) ?? '').trim()
  const folder = text('dataDirectory')
  return {
    url: text('server.url') || null,
    dataDirectory: folder === '' ? null : folder.replace(/^~(?=$|[/\\])/, homedir()),
  }
}

/** Where the data of the server that we start lies, for people to read. */
export function dataPlace(settings: ServerSettings): string {
  return settings.dataDirectory ?? process.env['LOCI_HOME'] ?? join(homedir(), '.loci')
}
