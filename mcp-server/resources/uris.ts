/** The MCP App that shows an agent's memory (SEP-1865). */
export const MEMORY_APP = 'ui://loci/memory'

/** Type of a page that is an MCP App. */
export const APP_TYPE = 'text/html;profile=mcp-app'

/** Templates of what can be read of agents; `agent` is a name or an id. */
export const TEMPLATES = {
  agent: 'agent://{agent}',
  memory: 'agent://{agent}/memory/{label}',
  conversation: 'agent://{agent}/conversations/{conversation}',
  file: 'agent://{agent}/files/{file}',
} as const

/** For example `agent://Ada/memory/human`; names are encoded as needed. */
export function agentUri(agent: string, ...path: string[]): string {
  return `agent://${[agent, ...path].map(encodeURIComponent).join('/')}`
}

/** Whether a URI is of the form of one of the templates. */
export function isAgentUri(uri: string): boolean {
  return /^agent:\/\/[^/]+(\/(memory|conversations|files)\/[^/]+)?$/.test(uri)
}

/** The agent that a URI of that form names. */
export function agentOf(uri: string): string {
  return decoded(uri.slice('agent://'.length).split('/')[0])
}

/** A variable as it stands in a URI. What is no encoding is taken as it is. */
export function decoded(variable: string | string[] | undefined): string {
  const text = Array.isArray(variable) ? variable.join(',') : (variable ?? '')
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
