import { commands, window, type Disposable } from 'vscode'
import { UntrustedError, type Connection } from './connection.ts'
import { t } from './l10n.ts'

/** Tells the user when the server cannot be had, once for each time, with the buttons that help. */
export function reportConnectionFailures(connection: Connection): Disposable {
  return connection.onDidChangeState((state) => {
    if (state.kind !== 'failed') return
    const first = state.token ? t('Enter Token…') : t('Retry')
    void window.showErrorMessage(t('Loci: {0}', state.message), first, t('Show Logs')).then((choice) => {
      if (choice === t('Retry')) return commands.executeCommand('loci.refresh')
      if (choice === t('Enter Token…')) return commands.executeCommand('loci.connectToServer')
      if (choice === t('Show Logs')) return commands.executeCommand('loci.showLogs')
      return undefined
    })
  })
}

/**
 * Runs `work`. A failure is told to the user, as `doing`: what, where, and a button that does it again; nobody waits
 * for the answer. When the connection itself failed that has been told already.
 */
export async function told(
  doing: string,
  connection: Connection,
  work: () => Promise<unknown>,
): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (error instanceof UntrustedError) {
      void window.showWarningMessage(error.message, t('Manage Workspace Trust')).then((choice) => {
        if (choice !== undefined) return commands.executeCommand('workbench.trust.manage')
        return undefined
      })
      return
    }
    if (connection.hasTold(error)) return
    const message = t('Loci could not {0}: {1}', doing, await connection.describe(error))
    void window.showErrorMessage(message, t('Retry'), t('Show Logs')).then((choice) => {
      if (choice === t('Retry')) return told(doing, connection, work)
      if (choice === t('Show Logs')) return commands.executeCommand('loci.showLogs')
      return undefined
    })
  }
}

/**
 * As `told`, for what nobody asked for: while no server answers the status bar says that, and a message for each thing
 * that waits would only be in the way. It has to be done again by whoever called, once the library has changed.
 */
export async function inBackground(
  connection: Connection,
  doing: string,
  work: () => Promise<unknown>,
): Promise<void> {
  try {
    await work()
  } catch (error) {
    // What the client throws has a status, but for a server that could not be reached.
    const unreached = 'status' in (error as object) && (error as { status: unknown }).status === undefined
    if (unreached || connection.state.kind !== 'connected') return
    await told(doing, connection, () => Promise.reject(error))
  }
}
