import type { McpSettings } from './settings.ts'

/** At most 150 words: hosts put this in front of every conversation. */
export function instructionsFor(settings: McpSettings, offered: ReadonlySet<string>): string {
  const text = settings.agent === null ? ALL : PINNED
  const paragraphs = text.split('\n\n').map((paragraph) =>
    paragraph
      .split(/(?<=\.) (?=[A-Z])/)
      .filter((sentence) => [...sentence.matchAll(TOOL)].every(([name]) => offered.has(name)))
      .join(' '),
  )
  return paragraphs.filter((paragraph) => paragraph !== '').join('\n\n')
}

/** A tool's name in a sentence; the sentence is left out where the tool is. */
const TOOL = /\b(?:agent|memory|archival|conversation|run|file)_[a-z]+(?:_[a-z]+)*\b/g

const ALL = `Loci keeps stateful agents on this machine. An agent has memory blocks that it edits itself, a history it can search, files and tools; it remembers across conversations and hosts.

Find one with agent_list. Talk to it with agent_send_message. See what it knows with memory_read without asking it. Correct that with memory_edit. Tools take an agent's name or id.

Tell an agent by agent_send_message what it should remember ("My name is Ada"): it decides what to keep. Facts to look up later go to archival_insert.

A turn that takes longer goes on by itself: run_get waits for its reply. When an agent's tool waits for approval, ask the user, then answer with the approval argument of agent_send_message; never approve on your own.`

const PINNED = `Loci is your long-term memory: one stateful agent that remembers across conversations and hosts.

At the start of a task read what is known with memory_read. Keep what should always be known short and current with memory_edit. Put facts to look up later into archival_insert. Find them with archival_search. conversation_search finds what was said before.

agent_send_message asks the agent itself, which thinks with a model of its own and may edit its memory. A turn that takes longer goes on by itself: run_get waits for its reply. When a tool of it waits for approval, ask the user before agent_send_message decides it; never approve on your own.`
