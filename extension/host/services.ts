import {
  commands,
  EventEmitter,
  window,
  workspace,
  type Disposable,
  type Event,
  type ExtensionContext,
} from 'vscode'
import { Connection } from './connection.ts'
import { told } from './failures.ts'
import { createLibrary, type Library } from './library.ts'
import { childEnvironment } from './server/child-environment.ts'
import { createTokens, type Tokens } from './server/tokens.ts'
import { networkSettings, readSettings } from './settings.ts'

/** What every part of the extension builds on. Parts know each other by commands alone. */
export interface Services {
  context: ExtensionContext
  /** The way to the server. `client()` starts or reaches it; nothing else does. */
  server: Connection
  /** Tokens of servers. */
  tokens: Tokens
  /** What the server holds, kept up to date while it is connected. */
  library: Library
  /** After each change of what the library holds. */
  onDidChangeLibrary: Event<void>
  /** Reads the library unless it has been read. After a failure or Stop only the user tries again; then it does nothing. */
  prepare: () => Promise<void>
  /** Writes a line to the log. */
  log: (line: string) => void
  /** Shows the log. */
  showLogs: () => void
  /**
   * A command that tells the user, with Retry, when it fails: `Loci could not <doing>: …`. Its first argument is the
   * row or id it was called with, its second the rows that are selected.
   */
  command: (
    name: string,
    doing: string,
    work: (argument: unknown, selected?: unknown) => Promise<unknown>,
  ) => Disposable
}

/** Wires connection and library together. Nothing is started; all of it ends with `context`. */
export function createServices(context: ExtensionContext): Services {
  const log = window.createOutputChannel('Loci', { log: true })
  const tokens = createTokens(context.secrets)
  const server = new Connection({
    script: context.asAbsolutePath('dist/loci.js'),
    settings: readSettings,
    isTrusted: () => workspace.isTrusted,
    tokens,
    environment: (token) => childEnvironment(process.env, networkSettings(), token),
    log: {
      info: (line) => log.info(line),
      warn: (line) => log.warn(line),
      error: (line) => log.error(line),
      append: (line) => log.info(`[server] ${line}`),
    },
  })
  const changed = new EventEmitter<void>()
  const library = createLibrary(
    () => server.client(),
    () => changed.fire(),
  )
  context.subscriptions.push(
    log,
    server,
    changed,
    server.onDidChangeData((changes) => void told('read what changed', server, () => library.apply(changes))),
    server.onDidMissChanges(() => void told('read the agents', server, () => library.reload())),
  )
  return {
    context,
    server,
    tokens,
    library,
    onDidChangeLibrary: changed.event,
    async prepare() {
      const { state } = server
      if (library.loaded || !workspace.isTrusted || state.kind === 'failed') return
      if (state.kind === 'stopped' && state.asked) return
      await told('read the agents', server, () => library.load())
    },
    log: (line) => log.info(line),
    showLogs: () => log.show(),
    command: (name, doing, work) =>
      commands.registerCommand(name, (argument: unknown, selected: unknown) =>
        told(doing, server, () => work(argument, selected)),
      ),
  }
}
