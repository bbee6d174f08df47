import type { CallToolResult, ContentBlock } from '@modelcontextprotocol/client'
import type { McpToolReturn } from '../../core/ports/mcp-servers.ts'
import type { ContentPart } from '../../schema/message.ts'
import { cleanText } from './clean-text.ts'
import { MAX_IMAGES, MAX_RETURN_PARTS, MAX_RETURN_TEXT } from './limits.ts'

/** What models take. */
const IMAGE_TYPES = new Set(['image/png', 'image/jpeg', 'image/gif', 'image/webp'])

/**
 * What a tool returned as an agent reads it: its texts one below the other, what is structured as JSON where no text
 * says it, images as they are, and of everything else what and where it is.
 */
export function toolReturn(result: CallToolResult): McpToolReturn {
  const content = result.content ?? []
  const parts = content.slice(0, MAX_RETURN_PARTS).map(partOf)
  if (content.length > MAX_RETURN_PARTS)
    parts.push(`[${content.length - MAX_RETURN_PARTS} more parts were left out]`)
  const hasText = content.some(({ type }) => type === 'text')
  if (result.structuredContent !== undefined && !hasText)
    parts.push(cleanText(JSON.stringify(result.structuredContent), MAX_RETURN_TEXT))
  const status = result.isError === true ? 'error' : 'success'
  const joined = inOrder(parts)
  const images = joined.filter(({ type }) => type === 'image')
  // An error is read, not looked at.
  if (images.length > 0 && status === 'success') return { status, func_response: joined }
  const text = joined.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n')
  return { status, func_response: text === '' ? nothing(status) : text }
}

function nothing(status: McpToolReturn['status']): string {
  return status === 'error' ? 'the tool failed and said nothing' : 'None'
}

type Part = string | Extract<ContentPart, { type: 'image' }>

/** Texts that follow each other are one; all of them together have a limit, and so have images. */
function inOrder(parts: readonly Part[]): Extract<ContentPart, { type: 'text' | 'image' }>[] {
  const joined: Extract<ContentPart, { type: 'text' | 'image' }>[] = []
  let left = MAX_RETURN_TEXT
  let images = 0
  for (const part of parts) {
    if (typeof part !== 'string') {
      if (++images <= MAX_IMAGES) joined.push(part)
      continue
    }
    if (left <= 0) continue
    const text = cleanText(part, left)
    left -= text.length
    const last = joined.at(-1)
    if (last?.type === 'text') last.text += `\n${text}`
    else joined.push({ type: 'text', text })
  }
  return joined
}

function partOf(block: ContentBlock): Part {
  switch (block.type) {
    case 'text':
      return block.text
    case 'image':
      if (!IMAGE_TYPES.has(block.mimeType)) return leftOut('image', block.mimeType, block.data)
      return { type: 'image', source: { type: 'base64', media_type: block.mimeType, data: block.data } }
    case 'audio':
      return leftOut('audio', block.mimeType, block.data)
    case 'resource_link': {
      const about = [block.mimeType, block.description].filter((word) => word !== undefined).join('; ')
      return `[resource '${block.title ?? block.name}': ${block.uri}${about === '' ? '' : ` (${about})`}]`
    }
    case 'resource': {
      const { resource } = block
      if ('text' in resource) return `[resource ${resource.uri}]\n${resource.text}`
      return `[resource ${resource.uri}: ${leftOut('data', resource.mimeType ?? 'unknown', resource.blob)}]`
    }
  }
}

function leftOut(kind: string, type: string, base64: string): string {
  return `[${kind} of type ${type}, ${Math.ceil((base64.length * 3) / 4 / 1024)} kB: it cannot be shown here]`
}
