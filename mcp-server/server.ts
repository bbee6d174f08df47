import { createRequestStateCodec, type McpRequestContext, McpServer } from '@modelcontextprotocol/server'
import { VERSION } from '../shared/schema/version.ts'
import type { McpDeps } from './deps.ts'
import { ICONS } from './icon.ts'
import { instructionsFor } from './instructions.ts'
import { registerPrompts } from './prompts.ts'
import { registerResources } from './resources/register.ts'
import { serveSubscriptions } from './resources/subscribe.ts'
import type { McpSettings } from './settings.ts'
import type { MintState } from './tool.ts'
import { toolsFor } from './toolsets.ts'

/** How long a question to a user may stay open, in milliseconds. */
const QUESTION_MS = 10 * 60_000

/** What is the same as long as this process runs. */
const STATIC = { ttlMs: 10 * 60_000, cacheScope: 'private' as const }

/** Makes servers, one for each connection or request. Cheap: nothing is opened before the first call of a tool. */
export function createServerFactory(
  deps: McpDeps,
  settings: McpSettings,
): (context: Pick<McpRequestContext, 'era'>) => McpServer {
  const codec = createRequestStateCodec({
    key: crypto.getRandomValues(new Uint8Array(32)),
    ttlSeconds: QUESTION_MS / 1000,
  })
  const mint: MintState = (payload, context) => codec.mint(payload, context)
  const tools = toolsFor(settings)
  const offered = new Set(tools.map(({ name }) => name))
  return ({ era }) => {
    const server = new McpServer(
      { name: 'loci', title: 'Loci', version: VERSION, icons: ICONS },
      {
        instructions: instructionsFor(settings, offered),
        capabilities: {
          tools: { listChanged: false },
          prompts: { listChanged: false },
          resources: { listChanged: true, subscribe: true },
          completions: {},
        },
        cacheHints: {
          'tools/list': STATIC,
          'prompts/list': STATIC,
          'resources/templates/list': STATIC,
          'server/discover': STATIC,
        },
        requestState: { verify: (state, context) => codec.verify(state, context) },
        inputRequired: { roundTimeoutMs: QUESTION_MS },
        // Larger arguments than any tool takes, and small enough to check at once.
        maxToolInputElements: 10_000,
      },
    )
    for (const tool of tools) tool.register(server, deps, settings, mint)
    registerResources(server, deps, settings)
    registerPrompts(server, deps, { settings, offered })
    if (era === 'legacy') serveSubscriptions(server, deps)
    return server
  }
}
