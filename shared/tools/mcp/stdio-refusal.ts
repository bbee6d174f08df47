import { type Actor, isGuest } from '../../core/ports/actor.ts'

/** Why no program of this machine is started for somebody; null: it is. */
export function refusalOf(options: { stdioRefused?: () => string | null }, actor: Actor): string | null {
  if (isGuest(actor))
    return (
      "MCP servers that are programs of this machine are started for the server's own organisation alone: reach the " +
      'MCP server over HTTP.'
    )
  return options.stdioRefused?.() ?? null
}
