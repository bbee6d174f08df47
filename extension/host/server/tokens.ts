import { randomBytes } from 'node:crypto'
import type { SecretStorage } from 'vscode'

/** Tokens of servers, in the editor's secret storage: never in settings, logs or messages. */
export interface Tokens {
  /** The token that servers started here ask for: made once for this profile, so that apps keep it over restarts. */
  own(): Promise<string>
  /** The token for the server at this URL; undefined without one. */
  of(url: string): Promise<string | undefined>
  /** Keeps a token for the server at this URL; an empty one is forgotten. */
  keep(url: string, token: string): Promise<void>
}

const OWN = 'loci.token.own'

/** Tokens in `secrets`. */
export function createTokens(secrets: SecretStorage): Tokens {
  return {
    async own() {
      const known = await secrets.get(OWN)
      if (known) return known
      const token = randomBytes(24).toString('base64url')
      await secrets.store(OWN, token)
      return token
    },
    of: async (url) => secrets.get(keyOf(url)),
    async keep(url, token) {
      if (token === '') await secrets.delete(keyOf(url))
      else await secrets.store(keyOf(url), token)
    },
  }
}

function keyOf(url: string): string {
  return `loci.token.of:${new URL(url).origin}`
}
