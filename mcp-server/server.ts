import { McpServer } from '@modelcontextprotocol/server'
import { VERSION } from '../shared/schema/version.ts'
import type { Tool, ToolDeps } from './tool.ts'
import { agentList } from './tools/agent-list.ts'
import { agentSendMessage } from './tools/agent-send-message.ts'
import { memoryRead } from './tools/memory-read.ts'

/** In the order hosts show them. One file each in tools/. */
const TOOLS: readonly Tool[] = [agentList, agentSendMessage, memoryRead]

/** At most 150 words: hosts put this in front of every conversation. */
const INSTRUCTIONS = `Loci keeps stateful agents on this machine. An agent has memory blocks that it edits itself, a history it can search, and tools; it remembers across conversations and hosts.

Use agent_list to find one, agent_send_message to talk to it, and memory_read to see what it knows without asking it. Tools take an agent's name or its id.

Tell an agent what it should remember in plain words ("My name is Ada"): it decides what to keep. A turn longer than 45 seconds goes on by itself; look again with memory_read.`

/** One MCP server, for one connection. Cheap: nothing is opened before the first call of a tool. */
export function createMcpServer(deps: ToolDeps): McpServer {
  const server = new McpServer(
    { name: 'loci', title: 'Loci', version: VERSION },
    { instructions: INSTRUCTIONS, capabilities: { tools: { listChanged: false } } },
  )
  for (const tool of TOOLS) tool.register(server, deps)
  return server
}
