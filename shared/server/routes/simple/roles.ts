import type { LettaMessage, MessageType } from '../../../schema/message.ts'

const ROLES = {
  system_message: 'system',
  user_message: 'user',
  assistant_message: 'assistant',
  reasoning_message: 'assistant',
  hidden_reasoning_message: 'assistant',
  tool_call_message: 'assistant',
  tool_return_message: 'tool',
  approval_request_message: 'assistant',
  approval_response_message: 'user',
  summary_message: 'user',
  event_message: 'system',
} as const satisfies Record<MessageType, string>

/** A message, and whose it is. */
export function withRole(message: LettaMessage) {
  return { ...message, role: ROLES[message.message_type] }
}
