import type { McpSettings } from './settings.ts'

/** At most 150 words: hosts put this in front of every conversation. */
export function instructionsFor(settings: McpSettings): string {
  return settings.agent === null ? ALL : PINNED
}

const ALL = `Loci keeps stateful agents on this machine. An agent has memory blocks that it edits itself, a history it can search, files and tools; it remembers across conversations and hosts.

Find one with agent_list, talk to it with agent_send_message, see what it knows with memory_read without asking it, and correct that with memory_edit. Tools take an agent's name or id.

Tell an agent what it should remember in plain words ("My name is Ada"): it decides what to keep. Facts to look up later go to archival_insert.

A turn that takes longer goes on by itself and has a run_id: run_get waits for its reply. When an agent's tool waits for approval, ask the user, then answer with the approval argument; never approve on your own.`

const PINNED = `Loci is your long-term memory: one stateful agent that remembers across conversations and hosts.

At the start of a task read what is known with memory_read. Keep what should always be known short and current with memory_edit; put facts to look up later into archival_insert, and find them with archival_search. conversation_search finds what was said before.

agent_send_message asks the agent itself, which thinks with a model of its own and may edit its memory. A turn that takes longer goes on by itself and has a run_id: run_get waits for its reply. When a tool of it waits for approval, ask the user first; never approve on your own.`
