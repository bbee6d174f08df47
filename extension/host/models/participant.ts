import {
  chat,
  ChatResponseTurn,
  Location,
  ThemeIcon,
  Uri,
  workspace,
  type ChatContext,
  type ChatPromptReference,
  type ChatRequest,
  type ChatResponseStream,
  type ChatResult,
  type CancellationToken,
  type Disposable,
} from 'vscode'
import type { Services } from '../services.ts'
import { createAgentChoice } from './agent-choice.ts'
import { followupsOf, respond, type ParticipantResult, type UnansweredMessage } from './participant-chat.ts'

const ID = 'loci.chat'
/** Characters of one attached file, and of all. */
const LONGEST = 20_000
const ALL = 60_000

/** `@loci` in the editor's chat. */
export function registerParticipant(services: Services): Disposable {
  const participant = chat.createChatParticipant(ID, (request, context, stream, token) =>
    handle(services, request, context, stream, token),
  )
  participant.iconPath = new ThemeIcon('hubot')
  participant.followupProvider = { provideFollowups: (result) => followupsOf(metadataOf(result)) }
  return participant
}

async function handle(
  { server, context: { globalState } }: Services,
  request: ChatRequest,
  context: ChatContext,
  stream: ChatResponseStream,
  token: CancellationToken,
): Promise<ChatResult> {
  const abort = new AbortController()
  if (token.isCancellationRequested) abort.abort()
  token.onCancellationRequested(() => abort.abort())
  const history = context.history
    .filter((turn) => turn instanceof ChatResponseTurn)
    .flatMap(({ participant, result }) => {
      const answer = participant === ID ? metadataOf(result) : null
      return answer && 'agent_id' in answer ? [answer] : []
    })
  try {
    const result = await respond(
      await server.client(),
      {
        prompt: request.prompt,
        command: request.command,
        references: await textsOf(request.references, stream),
        history,
      },
      {
        markdown: (text) => stream.markdown(text),
        progress: (text) => stream.progress(text),
        button: (title, command, ...args) => stream.button({ title, command, arguments: args }),
      },
      createAgentChoice(globalState),
      abort.signal,
    )
    return { metadata: { loci: result } }
  } catch (error) {
    // The chat stays with its agent.
    const metadata = { loci: history.at(-1) ?? null }
    return { errorDetails: { message: await server.describe(error) }, metadata }
  }
}

function metadataOf(result: ChatResult): ParticipantResult | UnansweredMessage | null {
  return (result.metadata?.['loci'] as ParticipantResult | UnansweredMessage | null | undefined) ?? null
}

/** What the user attached, each with its name; long ones are cut, and say so. */
async function textsOf(
  references: readonly ChatPromptReference[],
  stream: ChatResponseStream,
): Promise<string[]> {
  const texts: string[] = []
  let left = ALL
  for (const { value, modelDescription } of references) {
    if (value instanceof Uri || value instanceof Location) stream.reference(value)
    const text = cut(await textOf(value, modelDescription), Math.min(left, LONGEST))
    left -= text.length
    if (text !== '') texts.push(text)
  }
  return texts
}

async function textOf(value: unknown, description: string | undefined): Promise<string> {
  if (typeof value === 'string')
    return `<attached>\n${description ? `${description}:\n` : ''}${value}\n</attached>`
  const uri = value instanceof Location ? value.uri : value
  if (!(uri instanceof Uri)) return ''
  const range = value instanceof Location ? value.range : undefined
  const path = workspace.asRelativePath(uri)
  const lines = range ? ` lines="${range.start.line + 1}-${range.end.line + 1}"` : ''
  try {
    const document = await workspace.openTextDocument(uri)
    return `<file path="${path}"${lines}>\n${document.getText(range)}\n</file>`
  } catch (error) {
    // A folder, an image: named, so that the agent knows of it.
    return `<file path="${path}">${error instanceof Error ? error.message : 'cannot be read'}</file>`
  }
}

function cut(text: string, most: number): string {
  return text.length > most
    ? `${text.slice(0, Math.max(0, most))}\n[cut here: ${text.length} characters in all]`
    : text
}
