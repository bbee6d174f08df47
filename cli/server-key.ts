import { randomBytes } from 'node:crypto'

/** The key that clients must send: the first that the environment has, else a random one. */
export function keyFor(
  wanted: boolean,
  env: NodeJS.ProcessEnv,
): { text: string; from: string; made: boolean } | null {
  if (!wanted) return null
  for (const name of ['LOCI_API_KEY', 'LETTA_API_KEY', 'LETTA_SERVER_PASSWORD']) {
    const text = env[name]
    if (text) return { text, from: `what ${name} says`, made: false }
  }
  return { text: randomBytes(24).toString('base64url'), from: '', made: true }
}
