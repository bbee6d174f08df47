import { completable, type McpServer } from '@modelcontextprotocol/server'
import * as z from 'zod'
import type { McpDeps } from './deps.ts'
import { completeAgent } from './resources/complete.ts'
import { asProtocol } from './resources/register.ts'
import type { McpSettings } from './settings.ts'

interface Prompt {
  title: string
  description: string
  /** Arguments besides the agent; optional ones may be left out. */
  args: Record<string, z.ZodType<string | undefined>>
  /** The tools it speaks of; without them it is not offered. */
  needs: readonly string[]
  /** About one agent, which is an argument unless one is pinned. */
  agent: boolean
  text: (args: Record<string, string | undefined>) => string
}

const PROMPTS: Record<string, Prompt> = {
  chat_with_agent: {
    title: 'Chat with an agent',
    description: 'Pass messages between you and an agent',
    needs: ['agent_send_message'],
    args: { message: z.string().optional().describe('What to begin with') },
    agent: true,
    text: ({ agent, message }) =>
      `Let me talk to the stateful agent "${agent}". Send what I say with agent_send_message, word for word and in one ` +
      `conversation, and show me its replies as they are, without comments of your own, until I say that we are done. ` +
      `If a tool of it waits for approval, ask me.${message ? `\n\nBegin with: ${message}` : ' Ask me what to begin with.'}`,
  },
  new_agent: {
    title: 'Make an agent',
    description: 'Design an agent together and create it',
    needs: ['agent_create', 'agent_send_message'],
    args: {
      purpose: z.string().describe('What it is for'),
      name: z.string().optional().describe('Its name'),
    },
    agent: false,
    text: ({ purpose, name }) =>
      `I want a stateful agent${name ? ` named "${name}"` : ''} for this: ${purpose}\n\nAsk me at most three questions ` +
      `that matter for it. Then write its persona (who it is, how it works, what it keeps track of) and what it should ` +
      `know about me, show me both, and create it with agent_create when I agree. Greet it with agent_send_message.`,
  },
  remember_this: {
    title: 'Remember this',
    description: 'Have an agent remember something',
    needs: ['memory_read', 'memory_edit', 'archival_insert'],
    args: { what: z.string().describe('What to remember') },
    agent: true,
    text: ({ agent, what }) =>
      `The agent "${agent}" should remember this: ${what}\n\nRead its memory with memory_read first. What it should always ` +
      `know goes into the block where it fits, with memory_edit: short, no duplicates, correcting what it contradicts. ` +
      `Details to look up later go to archival_insert, with tags. Tell me in a sentence what you stored where.`,
  },
  review_memory: {
    title: 'Review memory',
    description: "Look through an agent's memory for what is wrong, old or double",
    needs: ['memory_read', 'memory_edit'],
    args: {},
    agent: true,
    text: ({ agent }) =>
      `Review the memory of the agent "${agent}": read all blocks with memory_read. List what is outdated, contradictory, ` +
      `duplicated, too vague to be useful, or not meant to be kept, and what is missing. Propose the new text of each block ` +
      `that should change, and change it with memory_edit (with old_text, so that nothing is lost) when I agree.`,
  },
}

/** Puts the prompts on a server. */
export function registerPrompts(
  server: McpServer,
  deps: McpDeps,
  { settings, offered }: { settings: McpSettings; offered: ReadonlySet<string> },
): void {
  for (const [name, prompt] of Object.entries(PROMPTS)) {
    if (settings.agent !== null && !prompt.agent) continue
    if (!prompt.needs.every((tool) => offered.has(tool))) continue
    const takesAgent = prompt.agent && settings.agent === null
    const agent = completable(z.string().min(1).describe('Agent name or id'), completeAgent(deps, settings))
    const argsSchema = z.strictObject({ ...(takesAgent ? { agent } : {}), ...prompt.args })
    server.registerPrompt(
      name,
      { title: prompt.title, description: prompt.description, argsSchema },
      (args, { mcpReq }) =>
        asProtocol(deps, mcpReq.signal, async () => {
          const given = args as Record<string, string | undefined>
          const named = settings.agent ?? given['agent']
          const found =
            named === undefined
              ? null
              : await (await deps.client()).findAgent(named, { signal: mcpReq.signal })
          const text = prompt.text({ ...given, agent: found?.name })
          return {
            description: prompt.description,
            messages: [{ role: 'user' as const, content: { type: 'text' as const, text } }],
          }
        }),
    )
  }
}
