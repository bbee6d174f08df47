/** What the Responses API wants to see of a thought again, in the one field that a stored thought has for it. */
export interface ThoughtKey {
  id: string
  encrypted_content: string
}

/** As a signature; null when the provider has not encrypted the thought, which then cannot be sent back. */
export function thoughtSignature(id: unknown, encrypted: unknown): string | null {
  if (typeof id !== 'string' || typeof encrypted !== 'string' || encrypted === '') return null
  return `${id.replaceAll(':', '_')}:${encrypted}`
}

/** The key in a signature; null for those of other protocols. */
export function parseThoughtKey(signature: string | null | undefined): ThoughtKey | null {
  const at = signature?.indexOf(':') ?? -1
  if (!signature || at <= 0) return null
  return { id: signature.slice(0, at), encrypted_content: signature.slice(at + 1) }
}
