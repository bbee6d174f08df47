import type { Block } from '../../shared/schema/block.ts'
import type { ContextWindowOverview } from '../../shared/schema/compaction.ts'
import type { Conversation } from '../../shared/schema/conversation.ts'
import { didYouMean } from '../../shared/schema/near-names.ts'
import { Failure } from '../failure.ts'
import { ago, number, tableText } from '../print.ts'
import { bold, columns, cyan, dim, oneLine, plain, wrap } from '../terminal.ts'
import type { Keyboard } from './keyboard.ts'
import { findConversation, newestMessages, pathOf, type Talk } from './talk.ts'

/** What of a chat the commands may change. */
export interface ChatState {
  talk: Talk
  keyboard: Keyboard
  thoughts: boolean
}

interface SlashCommand {
  argument?: string
  does: string
  /** True ends the chat. */
  run(state: ChatState, argument: string): Promise<boolean | void>
}

/** Conversations that are listed. */
const LISTED = 20

const say = (text: string) => void process.stdout.write(`${text}\n`)
const hint = (text: string) => say(dim(wrap(plain(text), columns())))

const COMMANDS: Record<string, SlashCommand> = {
  help: { does: 'this list', run: () => Promise.resolve(help()) },
  new: { does: 'begin a new conversation; memory goes with you', run: startConversation },
  conversations: {
    argument: '[N or ID]',
    does: 'list conversations, and go on with one',
    run: pickConversation,
  },
  memory: {
    argument: '[LABEL]',
    does: 'what the agent keeps in mind: all blocks, or one in full',
    run: showMemory,
  },
  model: { argument: '[HANDLE]', does: 'its model; with a handle, use that one from now on', run: showModel },
  context: { does: 'what fills the context window', run: showContext },
  compact: { does: 'sum up what was said, to make room', run: compact },
  tools: { does: 'the tools that the agent has', run: showTools },
  history: { argument: '[N]', does: 'the last messages of this conversation', run: showHistory },
  thoughts: { does: 'show thoughts, or do not', run: toggleThoughts },
  quit: { does: 'leave; Ctrl-D and Ctrl-C do, too', run: () => Promise.resolve(true) },
}
const ALIASES: Record<string, string> = {
  exit: 'quit',
  q: 'quit',
  '?': 'help',
  c: 'conversations',
  mem: 'memory',
}

/** Runs `/name argument`; true ends the chat. Throws a `Failure` for a command that is not there. */
export async function runSlash(state: ChatState, line: string): Promise<boolean> {
  const [, name = '', argument = ''] = /^\/(\S*)\s*(.*)$/s.exec(line) ?? []
  const key = ALIASES[name] ?? name
  const command = Object.hasOwn(COMMANDS, key) ? COMMANDS[key] : undefined
  if (!command) {
    const hint = didYouMean(name, Object.keys(COMMANDS), '').replaceAll("'", '')
    const near = hint.startsWith('Did') ? hint.replace(/(mean | or )/g, '$1/') : '/help lists them.'
    throw new Failure(`There is no command /${name}. ${near} A message that begins with a slash: //${name}`)
  }
  return (await command.run(state, argument.trim())) === true
}

/** What Tab makes of a line that begins with a slash. */
export function completeSlash(line: string): [string[], string] {
  if (!line.startsWith('/') || line.includes(' ')) return [[], line]
  const found = Object.keys(COMMANDS).map((name) => `/${name} `)
  return [found.filter((name) => name.startsWith(line)), line]
}

function help(): void {
  const rows = Object.entries(COMMANDS).map(([name, { argument, does }]) => ({
    term: argument === undefined ? `/${name}` : `/${name} ${argument}`,
    does,
  }))
  const width = Math.max(...rows.map(({ term }) => term.length))
  const narrow = columns() < width + 30
  for (const { term, does } of rows)
    say(
      narrow
        ? `${cyan(term)}\n${wrap(does, columns(), '  ')}`
        : `${cyan(term.padEnd(width))}  ${wrap(does, columns() - width - 2).replaceAll('\n', `\n${' '.repeat(width + 2)}`)}`,
    )
  hint('Alt-Enter, or a backslash at the end of a line, goes on in a new line. Ctrl-C stops an answer.')
}

async function startConversation({ talk }: ChatState): Promise<void> {
  const { id } = await talk.client.letta.conversations.create({ agent_id: talk.agent.id })
  talk.conversation = id
  hint(`A new conversation, ${id}. The one before is still there: /conversations`)
}

async function pickConversation({ talk, keyboard }: ChatState, argument: string): Promise<void> {
  const query = { agent_id: talk.agent.id, limit: LISTED, order: 'desc', order_by: 'last_message_at' }
  const listed = (await talk.client.letta.get('/v1/conversations/', { query })) as Conversation[]
  const ids: (string | null)[] = [null, ...listed.map(({ id }) => id)]
  const rows = ids.map((id, i) => {
    const one = listed[i - 1]
    const here = id === talk.conversation ? '*' : ''
    const title = one ? (one.summary ?? one.id) : 'the one it always has'
    return [String(i + 1), here, title, one ? ago(one.last_message_at ?? one.created_at) : '']
  })
  if (argument === '') {
    const titles = [
      { title: 'N', align: 'right' as const },
      { title: '' },
      { title: 'CONVERSATION', flexible: true },
      { title: 'LAST' },
    ]
    process.stdout.write(tableText(titles, rows, columns()))
    if (listed.length === 0) return hint('Begin another one: /new')
  }
  const wanted = argument || (await keyboard.answer(dim('Which (Enter: stay)? ')))
  if (!wanted) return
  const picked = /^\d+$/.test(wanted)
    ? ids[Number(wanted) - 1]
    : await findConversation(talk.client, talk.agent, wanted)
  if (picked === undefined) throw new Failure(`There is no conversation ${wanted} in that list.`)
  talk.conversation = picked
  hint(picked === null ? 'In the conversation it always has.' : `In conversation ${picked}.`)
  await showHistory({ talk }, '4')
}

async function showHistory({ talk }: Pick<ChatState, 'talk'>, argument: string): Promise<void> {
  const n = argument === '' ? 10 : Number(argument)
  if (!Number.isInteger(n) || n < 1 || n > 200) throw new Failure('/history takes a number from 1 to 200.')
  // Tool calls and thoughts lie between what was said.
  const messages = (await newestMessages(talk, Math.min(200, n * 5))).toReversed()
  const said = messages.flatMap((message) => {
    if (message.message_type !== 'user_message' && message.message_type !== 'assistant_message') return []
    const { content } = message
    const text =
      typeof content === 'string'
        ? content
        : content.map((part) => ('text' in part ? part.text : '')).join('')
    return [{ who: message.message_type === 'user_message' ? 'you' : talk.agent.name, text }]
  })
  if (said.length === 0) return hint('Nothing was said here yet.')
  for (const { who, text } of said.slice(-n)) say(`${bold(`${plain(who)}:`)} ${plain(text)}`)
}

async function showMemory({ talk }: ChatState, label: string): Promise<void> {
  const path = `/v1/agents/${talk.agent.id}/core-memory/blocks`
  const blocks = (await talk.client.letta.get(path, { query: { order: 'asc' } })) as Block[]
  if (blocks.length === 0) return hint(`${talk.agent.name} has no memory blocks.`)
  if (label !== '') {
    const labels = blocks.flatMap((block) => block.label ?? [])
    const block = blocks.find((one) => one.label === label)
    if (!block)
      throw new Failure(`${talk.agent.name} has no block '${label}'. ${didYouMean(label, labels, '')}`)
    return say(block.value.trim() === '' ? dim('(empty)') : plain(block.value))
  }
  for (const { label: name, value, limit } of blocks) {
    say(`${bold(plain(name ?? ''))} ${dim(`${number(value.length)} of ${number(limit)} characters`)}`)
    say(value.trim() === '' ? dim('  (empty)') : `  ${oneLine(value, columns() - 2)}`)
  }
  hint(`In full: /memory LABEL. To change it: loci blocks edit ${talk.agent.name}/LABEL`)
}

async function showModel({ talk }: ChatState, handle: string): Promise<void> {
  const { letta } = talk.client
  if (handle !== '') {
    const { model } = await letta.agents.update(talk.agent.id, { model: handle })
    return hint(`${talk.agent.name} uses ${model ?? handle} from now on.`)
  }
  const { model, llm_config } = await letta.agents.retrieve(talk.agent.id, { include: [] })
  say(`${plain(model ?? llm_config.model)} ${dim(`${number(llm_config.context_window)} tokens of context`)}`)
  const handles = (await letta.models.list()).map((one) => one.handle ?? one.name)
  const others = handles.filter((one) => one !== model)
  if (others.length > 0)
    hint(`Others: ${others.slice(0, 10).join(', ')}${others.length > 10 ? ', … (loci models)' : ''}`)
}

async function showContext({ talk }: ChatState): Promise<void> {
  const query = talk.conversation === null ? {} : { conversation_id: talk.conversation }
  const path = `/v1/agents/${talk.agent.id}/context`
  const all = (await talk.client.letta.get(path, { query })) as ContextWindowOverview
  const { context_window_size_current: used, context_window_size_max: most } = all
  const parts: [string, number][] = [
    ['system prompt', all.num_tokens_system],
    ['memory', all.num_tokens_core_memory],
    ['files', all.num_tokens_directories + all.num_tokens_memory_filesystem],
    ['tools', all.num_tokens_functions_definitions + all.num_tokens_tool_usage_rules],
    ['summary', all.num_tokens_summary_memory + all.num_tokens_external_memory_summary],
    [`${all.num_messages} messages`, all.num_tokens_messages],
  ]
  const width = Math.max(...parts.map(([name]) => name.length))
  const bar = Math.max(8, Math.min(40, columns() - width - 14))
  say(`${number(used)} of ${number(most)} tokens (${Math.round((100 * used) / Math.max(1, most))} %)`)
  for (const [name, tokens] of parts) {
    if (tokens === 0) continue
    const filled = Math.max(1, Math.round((bar * tokens) / Math.max(1, used)))
    say(`  ${name.padEnd(width)} ${number(tokens).padStart(9)} ${cyan('█'.repeat(Math.min(bar, filled)))}`)
  }
}

async function compact({ talk }: ChatState): Promise<void> {
  const { path, whose } = pathOf(talk)
  hint('Summing up …')
  await talk.client.letta.post(`${path}/compact`, { body: whose, maxRetries: 0 })
  hint('Done: the model sees a summary of what was said before. The history keeps everything.')
}

async function showTools({ talk }: ChatState): Promise<void> {
  const { tools } = await talk.client.letta.agents.retrieve(talk.agent.id, { include: ['agent.tools'] })
  if (tools.length === 0) return hint(`${talk.agent.name} has no tools.`)
  for (const { name, description } of tools) {
    const first = description?.split('\n')[0] ?? ''
    const beside = columns() - 2 - (name ?? '').length
    if (beside >= 30) say(`${bold(plain(name ?? ''))}  ${dim(oneLine(first, beside))}`)
    else say(`${bold(oneLine(name ?? '', columns()))}\n  ${dim(oneLine(first, columns() - 2))}`)
  }
  hint(`To give it another one: loci agents attach ${talk.agent.name} --tool NAME`)
}

function toggleThoughts(state: ChatState): Promise<void> {
  state.thoughts = !state.thoughts
  hint(state.thoughts ? 'Thoughts are shown.' : 'Thoughts are not shown.')
  return Promise.resolve()
}
