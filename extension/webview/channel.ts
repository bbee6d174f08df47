import type {
  ChatState,
  CommandEnvelope,
  Commands,
  Method,
  NotificationEnvelope,
  RequestEnvelope,
  Requests,
  ToHost,
  ToWebview,
} from '../protocol.ts'

interface VsCodeApi {
  postMessage(message: ToHost): void
  getState(): ChatState | undefined
  setState(state: ChatState): void
}
declare function acquireVsCodeApi(): VsCodeApi

/** The webview's end of the one channel. VS Code hands it out once. */
export interface Channel {
  /** Rejects with a sentence for the user. */
  request<M extends Method>(method: M, params: Requests[M]['params']): Promise<Requests[M]['result']>
  command<C extends keyof Commands>(command: C, params: Commands[C]): void
  /** Calls `listener` with every notification, in order. */
  listen(listener: (news: NotificationEnvelope) => void): void
  getState(): ChatState | undefined
  setState(state: ChatState): void
}

/** Opens the channel; once. */
export function openChannel(): Channel {
  const vscode = acquireVsCodeApi()
  const listeners: ((news: NotificationEnvelope) => void)[] = []
  const waiting = new Map<number, PromiseWithResolvers<unknown>>()
  let last = 0
  window.addEventListener('message', ({ data }: MessageEvent<ToWebview>) => {
    if (data.kind === 'notification') return listeners.forEach((listener) => listener(data))
    const reply = waiting.get(data.id)
    waiting.delete(data.id)
    if ('error' in data) reply?.reject(new Error(data.error))
    else reply?.resolve(data.result)
  })
  return {
    request<M extends Method>(method: M, params: Requests[M]['params']) {
      const id = ++last
      const reply = Promise.withResolvers<unknown>()
      waiting.set(id, reply)
      vscode.postMessage({ kind: 'request', id, method, params } as RequestEnvelope)
      return reply.promise as Promise<Requests[M]['result']>
    },
    command(command, params) {
      vscode.postMessage({ kind: 'command', command, params } as CommandEnvelope)
    },
    listen: (listener) => void listeners.push(listener),
    getState: () => vscode.getState(),
    setState: (state) => vscode.setState(state),
  }
}
