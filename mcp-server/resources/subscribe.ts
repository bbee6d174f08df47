import { type McpServer, ProtocolError, ProtocolErrorCode } from '@modelcontextprotocol/server'
import type { McpDeps } from '../deps.ts'
import { asProtocol } from './register.ts'
import { agentOf, isAgentUri } from './uris.ts'
import type { Change } from './updates.ts'

/**
 * `resources/subscribe` of the protocol before 2026-07-28 on this connection: told of the URIs it has asked for, and,
 * once it has asked for any, of other lists. From 2026-07-28 on the SDK serves `subscriptions/listen` itself.
 */
export function serveSubscriptions(server: McpServer, deps: McpDeps): void {
  const wanted = new Set<string>()
  let leave: (() => void) | null = null
  const connection = server.server
  connection.setRequestHandler('resources/subscribe', async ({ params }, { mcpReq }) => {
    if (!isAgentUri(params.uri))
      throw new ProtocolError(
        ProtocolErrorCode.InvalidParams,
        `'${params.uri}' is no resource of this server; write it like agent://Ada/memory/human.`,
      )
    await asProtocol(deps, mcpReq.signal, async () => {
      const client = await deps.client()
      await client.findAgent(agentOf(params.uri), { signal: mcpReq.signal })
    })
    mcpReq.signal.throwIfAborted()
    wanted.add(params.uri)
    leave ??= deps.updates.listen((change) => sendChange(server, deps, change, (uri) => wanted.has(uri)))
    return {}
  })
  connection.setRequestHandler('resources/unsubscribe', ({ params }) => {
    wanted.delete(params.uri)
    if (wanted.size === 0) {
      leave?.()
      leave = null
    }
    return {}
  })
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- the SDK's objects are no event targets
  connection.onclose = () => {
    leave?.()
    leave = null
  }
}

/** Passes a change on as notifications, of those URIs that are wanted. */
export function sendChange(
  { server }: McpServer,
  deps: Pick<McpDeps, 'log'>,
  change: Change,
  isWanted: (uri: string) => boolean,
): void {
  const failed = (error: unknown) => deps.log(`a change was not delivered: ${String(error)}`)
  if (change.kind === 'listed') server.sendResourceListChanged().catch(failed)
  else for (const uri of change.uris.filter(isWanted)) server.sendResourceUpdated({ uri }).catch(failed)
}
