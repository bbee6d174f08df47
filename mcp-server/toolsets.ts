import type { McpSettings } from './settings.ts'
import type { Tool } from './tool.ts'
import { agentCreate } from './tools/agent-create.ts'
import { agentDelete } from './tools/agent-delete.ts'
import { agentExport } from './tools/agent-export.ts'
import { agentGet } from './tools/agent-get.ts'
import { agentImport } from './tools/agent-import.ts'
import { agentList } from './tools/agent-list.ts'
import { agentSendMessage } from './tools/agent-send-message.ts'
import { agentUpdate } from './tools/agent-update.ts'
import { archivalDelete } from './tools/archival-delete.ts'
import { archivalInsert } from './tools/archival-insert.ts'
import { archivalSearch } from './tools/archival-search.ts'
import { conversationList } from './tools/conversation-list.ts'
import { conversationSearch } from './tools/conversation-search.ts'
import { fileAttach } from './tools/file-attach.ts'
import { fileSearch } from './tools/file-search.ts'
import { memoryEdit } from './tools/memory-edit.ts'
import { memoryRead } from './tools/memory-read.ts'
import { memoryShare } from './tools/memory-share.ts'
import { runCancel } from './tools/run-cancel.ts'
import { runGet } from './tools/run-get.ts'
import { toolAttach } from './tools/tool-attach.ts'
import { toolGet } from './tools/tool-get.ts'
import { toolList } from './tools/tool-list.ts'
import { toolTest } from './tools/tool-test.ts'
import { toolUpsert } from './tools/tool-upsert.ts'

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
  toolList,
  toolGet,
  toolUpsert,
  toolTest,
  toolAttach,
  agentExport,
  agentImport,
  memoryShare,
  archivalDelete,
]

/** The tools that a server with these settings offers. */
export function toolsFor(settings: McpSettings): Tool[] {
  return TOOLS.filter((tool) => tool.fits(settings))
}
