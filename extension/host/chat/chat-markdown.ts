import type { LettaMessage } from '../../../shared/schema/message.ts'
import { isPacked, textOf } from '../../protocol.ts'

/** A conversation as a Markdown document; tool calls and reasoning are folded where HTML is shown. */
export function chatMarkdown(title: string, messages: readonly LettaMessage[]): string {
  const parts = messages.map(partOf).filter((part) => part !== '')
  return `# ${oneLine(title)}\n\n${parts.join('\n\n')}\n`
}

function partOf(message: LettaMessage): string {
  switch (message.message_type) {
    case 'user_message': {
      const text = textOf(message.content)
      return isPacked(text) ? '' : `## You\n\n${when(message.date)}${text}`
    }
    case 'assistant_message':
      return `## Agent\n\n${when(message.date)}${textOf(message.content)}`
    case 'reasoning_message':
      return folded('Reasoning', message.reasoning)
    case 'tool_call_message':
    case 'approval_request_message': {
      const calls = Array.isArray(message.tool_calls) ? message.tool_calls : [message.tool_call]
      const asks = message.message_type === 'approval_request_message' ? ' (waits for approval)' : ''
      return calls
        .map((call) => folded(`Tool ${call.name ?? ''}${asks}`, fenced(call.arguments ?? '', 'json')))
        .join('\n\n')
    }
    case 'tool_return_message':
      return (message.tool_returns ?? [])
        .map((one) => {
          const name = message.name === null ? '' : ` of ${message.name}`
          return folded(
            `${one.status === 'error' ? 'Error' : 'Result'}${name}`,
            fenced(textOf(one.tool_return)),
          )
        })
        .join('\n\n')
    case 'approval_response_message':
      return message.approvals
        .filter((one) => one.type === 'approval')
        .map(
          (one) => `> ${one.approve ? 'Approved' : 'Denied'}${one.reason ? `: ${oneLine(one.reason)}` : ''}`,
        )
        .join('\n')
    case 'system_message':
    case 'hidden_reasoning_message':
    case 'summary_message':
    case 'event_message':
      return ''
  }
}

function when(date: string): string {
  return `<sub>${date}</sub>\n\n`
}

function folded(title: string, text: string): string {
  return `<details><summary>${escaped(oneLine(title))}</summary>\n\n${text}\n\n</details>`
}

/** In a fence longer than any in the text. */
function fenced(text: string, language = ''): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map((match) => match[0].length))
  const fence = '`'.repeat(longest + 1)
  return `${fence}${language}\n${text}\n${fence}`
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim()
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
