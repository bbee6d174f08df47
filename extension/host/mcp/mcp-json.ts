import { t } from '../l10n.ts'
/** An entry of `.vscode/mcp.json`. */
export type McpJsonEntry =
  | { type: 'stdio'; command: string; args: string[] }
  | { type: 'http'; url: string; headers?: Record<string, string> }

/** An input of `.vscode/mcp.json`: asked for by VS Code, so that no secret is in the file. */
interface McpJsonInput {
  type: 'promptString'
  id: string
  description: string
  password: true
}

export const TOKEN_INPUT: McpJsonInput = {
  type: 'promptString',
  id: 'loci-token',
  description: 'Token of the Loci server',
  password: true,
}

/**
 * The text of `.vscode/mcp.json` with the server `loci` in it; other servers and inputs stay. Throws for a text that is
 * no JSON object, comments included: what cannot be read is not written over.
 */
export function withLoci(text: string, entry: McpJsonEntry): string {
  const file: unknown = text.trim() === '' ? {} : JSON.parse(text)
  if (typeof file !== 'object' || file === null || Array.isArray(file))
    throw new Error(t('It is no JSON object.'))
  const { servers, inputs, ...rest } = file as { servers?: object; inputs?: McpJsonInput[] }
  const asks = JSON.stringify(entry).includes(`\${input:${TOKEN_INPUT.id}}`)
  const others = (inputs ?? []).filter((input) => input.id !== TOKEN_INPUT.id)
  const wanted = asks ? [...others, TOKEN_INPUT] : others
  const next = {
    ...rest,
    servers: { ...servers, loci: entry },
    ...(wanted.length > 0 ? { inputs: wanted } : {}),
  }
  const indent = /\n([ \t]+)"/.exec(text)?.[1] ?? '  '
  return `${JSON.stringify(next, null, indent)}\n`
}
