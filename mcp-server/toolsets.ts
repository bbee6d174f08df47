import type { McpSettings } from './settings.ts'
import type { Tool } from './tool.ts'
import { agentCreate } from './tools/agent-create.ts'
import { agentDelete } from './tools/agent-delete.ts'
import { agentGet } from './tools/agent-get.ts'
import { agentList } from './tools/agent-list.ts'
import { agentSendMessage } from './tools/agent-send-message.ts'
import { agentUpdate } from './tools/agent-update.ts'
import { archivalInsert } from './tools/archival-insert.ts'
import { archivalSearch } from './tools/archival-search.ts'
import { conversationList } from './tools/conversation-list.ts'
import { conversationSearch } from './tools/conversation-search.ts'
import { fileAttach } from './tools/file-attach.ts'
import { fileSearch } from './tools/file-search.ts'
import { memoryEdit } from './tools/memory-edit.ts'
import { memoryRead } from './tools/memory-read.ts'
import { runCancel } from './tools/run-cancel.ts'
import { runGet } from './tools/run-get.ts'

/** In the order hosts show them, which never changes between two lists. One file each in tools/. */
const TOOLS: readonly Tool[] = [
  agentList,
  agentGet,
  agentCreate,
  agentUpdate,
  agentDelete,
  agentSendMessage,
  runGet,
  runCancel,
  memoryRead,
  memoryEdit,
  archivalSearch,
  archivalInsert,
  conversationList,
  conversationSearch,
  fileAttach,
  fileSearch,
]

/** The tools that a server with these settings offers. */
export function toolsFor(settings: McpSettings): Tool[] {
  return TOOLS.filter((tool) => tool.fits(settings))
}
