import type { Client } from '@modelcontextprotocol/client'
import * as z from 'zod'
import type { McpListing, McpToolListing } from '../../core/ports/mcp-servers.ts'
import { cleanText, cleanValue } from './clean-text.ts'
import { MAX_DESCRIPTION, MAX_PAGES, type McpLimits } from './limits.ts'

/** Bytes of the schema of one tool, as JSON. */
const MAX_SCHEMA = 128 * 1024
/** Characters of a text inside a schema. */
const MAX_SCHEMA_TEXT = 8000

/** Loose, so that one tool with a schema that is none does not hide the others. */
const page = z.looseObject({ tools: z.array(z.unknown()), nextCursor: z.string().nullish() })
const listed = z.looseObject({
  name: z.string(),
  title: z.string().nullish(),
  description: z.string().nullish(),
  inputSchema: z.unknown().optional(),
  outputSchema: z.unknown().optional(),
  annotations: z.record(z.string(), z.unknown()).nullish(),
})

/** All tools of a server, page by page, bounded in number and size. */
export async function listTools(
  client: Client,
  limits: McpLimits,
  options: { signal: AbortSignal; timeout: number },
): Promise<McpListing> {
  const tools: McpToolListing[] = []
  const notes: string[] = []
  if (!client.getServerCapabilities()?.tools)
    return { tools, notes: ['The server says that it has no tools.'] }
  const names = new Set<string>()
  let cursor: string | undefined
  for (let pages = 0; pages < MAX_PAGES; pages++) {
    const params = cursor === undefined ? {} : { cursor }
    const answer = await client.request({ method: 'tools/list', params }, page, options)
    for (const item of answer.tools) {
      if (tools.length >= limits.tools)
        return {
          tools,
          notes: [...notes, `The server has more than ${limits.tools} tools; the rest was left out.`],
        }
      const tool = read(item)
      if (typeof tool === 'string') notes.push(tool)
      else if (names.has(tool.name))
        notes.push(`The tool '${tool.name}' is listed twice; the first one counts.`)
      else tools.push(tool)
      if (typeof tool !== 'string') names.add(tool.name)
    }
    if (answer.nextCursor == null || answer.nextCursor === cursor) return { tools, notes: notes.slice(0, 20) }
    cursor = answer.nextCursor
  }
  return { tools, notes: [...notes, `The list has more than ${MAX_PAGES} pages; the rest was left out.`] }
}

/** A tool of the list, or why it is none. */
function read(item: unknown): McpToolListing | string {
  const parsed = listed.safeParse(item)
  if (!parsed.success) return 'An entry of the list is no tool.'
  const { name, title, description, inputSchema, outputSchema, annotations } = parsed.data
  if (name === '' || name.length > 200 || cleanText(name, 200) !== name)
    return `A tool has a name that cannot be used: '${cleanText(name, 60)}'.`
  return {
    name,
    title: title == null ? null : cleanText(title, 200),
    description: description == null ? null : cleanText(description, MAX_DESCRIPTION),
    input_schema: bounded(inputSchema),
    output_schema: bounded(outputSchema) ?? null,
    annotations: annotations == null ? null : (cleanValue(annotations, 200) as Record<string, unknown>),
  }
}

/** A schema that is too large is none. */
function bounded(schema: unknown): unknown {
  if (schema === undefined || schema === null) return null
  return JSON.stringify(schema).length > MAX_SCHEMA ? null : cleanValue(schema, MAX_SCHEMA_TEXT)
}
