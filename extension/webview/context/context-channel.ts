import type {
  ContextCommands,
  ContextMethod,
  ContextRequests,
  ContextSnapshot,
  ContextState,
  ContextToHost,
  ContextToWebview,
} from '../../context-protocol.ts'

interface VsCodeApi {
  postMessage(message: ContextToHost): void
  getState(): ContextState | undefined
  setState(state: ContextState): void
}
declare function acquireVsCodeApi(): VsCodeApi

/** The panel's end of its channel. VS Code hands it out once. */
export interface ContextChannel {
  /** Rejects with a sentence for the user. */
  request<M extends ContextMethod>(
    method: M,
    params: ContextRequests[M]['params'],
  ): Promise<ContextRequests[M]['result']>
  command<C extends keyof ContextCommands>(command: C, params: ContextCommands[C]): void
  getState(): ContextState | undefined
  setState(state: ContextState): void
}

/** Opens the channel; `listener` gets every new snapshot. */
export function openContextChannel(listener: (snapshot: ContextSnapshot) => void): ContextChannel {
  const vscode = acquireVsCodeApi()
  const waiting = new Map<number, PromiseWithResolvers<unknown>>()
  let last = 0
  window.addEventListener('message', ({ data }: MessageEvent<ContextToWebview>) => {
    if (data.kind === 'snapshot') return listener(data.snapshot)
    const reply = waiting.get(data.id)
    waiting.delete(data.id)
    if ('error' in data) reply?.reject(new Error(data.error))
    else reply?.resolve(data.result)
  })
  return {
    request<M extends ContextMethod>(method: M, params: ContextRequests[M]['params']) {
      const id = ++last
      const reply = Promise.withResolvers<unknown>()
      waiting.set(id, reply)
      vscode.postMessage({ kind: 'request', id, method, params } as ContextToHost)
      return reply.promise as Promise<ContextRequests[M]['result']>
    },
    command(command, params) {
      vscode.postMessage({ kind: 'command', command, params } as ContextToHost)
    },
    getState: () => vscode.getState(),
    setState: (state) => vscode.setState(state),
  }
}
