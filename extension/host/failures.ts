import { commands, window, type Disposable } from 'vscode'
import type { Connection } from './connection.ts'

/** Tells the user when the server cannot be had, once for each time, with the buttons that help. */
export function reportConnectionFailures(connection: Connection): Disposable {
  return connection.onDidChangeState((state) => {
    if (state.kind !== 'failed') return
    void window.showErrorMessage(`Loci: ${state.message}`, 'Retry', 'Show Logs').then((choice) => {
      if (choice === 'Retry') return commands.executeCommand('loci.refresh')
      if (choice === 'Show Logs') return commands.executeCommand('loci.showLogs')
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
    if (connection.state.kind === 'failed' || connection.state.kind === 'stopped') return
    const message = `Loci could not ${doing}: ${await connection.describe(error)}`
    void window.showErrorMessage(message, 'Retry', 'Show Logs').then((choice) => {
      if (choice === 'Retry') return told(doing, connection, work)
      if (choice === 'Show Logs') return commands.executeCommand('loci.showLogs')
      return undefined
    })
  }
}
