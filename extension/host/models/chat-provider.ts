import {
  EventEmitter,
  LanguageModelChatMessageRole,
  LanguageModelTextPart,
  LanguageModelToolCallPart,
  LanguageModelToolResultPart,
  type CancellationToken,
  type Event,
  type ExtensionContext,
  type LanguageModelChatInformation,
  type LanguageModelChatProvider,
  type LanguageModelChatRequestMessage,
  type LanguageModelResponsePart,
  type Progress,
  type ProvideLanguageModelChatResponseOptions,
} from 'vscode'
import { t } from '../l10n.ts'
import type { Services } from '../services.ts'
import { answerChat } from './agent-chat.ts'
import { createChatIndex } from './chat-index.ts'
import type { ChatMessage, ChatPart } from './chat-input.ts'

/** Agents as the editor was last told of them: it lists models long before a server has to run. */
const KNOWN = 'loci.models.agents'
/** Only what is new is sent on, and the agent keeps its own context: these say that there is room. */
const MAX_INPUT = 128_000
const MAX_OUTPUT = 16_000
/** For the editor's own reckoning. */
const CHARACTERS_A_TOKEN = 4

interface KnownAgent {
  id: string
  name: string
  model: string | null
}

/**
 * Loci's agents as models of the editor's chat. A server is started when one is asked, or by the user managing models,
 * not by the editor listing what there is.
 */
export class AgentModels implements LanguageModelChatProvider {
  readonly #services: Services
  readonly #context: ExtensionContext
  readonly #changed = new EventEmitter<void>()
  readonly onDidChangeLanguageModelChatInformation: Event<void> = this.#changed.event

  constructor(services: Services) {
    this.#services = services
    this.#context = services.context
  }

  /** There is a server now: what was known of its agents may be old. */
  connected(): void {
    this.#changed.fire()
  }

  /** The library has changed. */
  update(): void {
    const { library } = this.#services
    if (!library.loaded) return
    const agents = [...library.agents.values()].map(({ id, name, model }) => ({ id, name, model }))
    if (JSON.stringify(agents) === JSON.stringify(this.#known())) return
    void this.#context.globalState.update(KNOWN, agents).then(() => this.#changed.fire())
  }

  async provideLanguageModelChatInformation({
    silent,
  }: {
    silent: boolean
  }): Promise<LanguageModelChatInformation[]> {
    const { library, server } = this.#services
    if (!silent || server.state.kind === 'connected') await this.#services.prepare()
    const agents = library.loaded ? [...library.agents.values()] : this.#known()
    return agents.map(({ id, name, model }) => ({
      id,
      name,
      family: 'loci-agent',
      version: '1',
      detail: t('Loci agent'),
      tooltip: t('An agent with a memory of its own; it thinks with {0}.', model ?? 'letta/auto'),
      maxInputTokens: MAX_INPUT,
      maxOutputTokens: MAX_OUTPUT,
      capabilities: { toolCalling: true, imageInput: true },
    }))
  }

  async provideLanguageModelChatResponse(
    { id }: LanguageModelChatInformation,
    messages: readonly LanguageModelChatRequestMessage[],
    options: ProvideLanguageModelChatResponseOptions,
    progress: Progress<LanguageModelResponsePart>,
    token: CancellationToken,
  ): Promise<void> {
    const { server, context } = this.#services
    const abort = new AbortController()
    token.onCancellationRequested(() => abort.abort())
    if (token.isCancellationRequested) return
    try {
      const request = {
        agent_id: id,
        messages: messages.map(toMessage),
        tools: (options.tools ?? []).map(({ name, description, inputSchema }) => ({
          name,
          description,
          parameters: (inputSchema ?? { type: 'object' }) as Record<string, unknown>,
        })),
      }
      const chats = createChatIndex(context.workspaceState)
      for await (const part of answerChat(await server.client(), request, chats, abort.signal))
        progress.report(
          part.type === 'text'
            ? new LanguageModelTextPart(part.text)
            : new LanguageModelToolCallPart(part.id, part.name, part.input),
        )
    } catch (error) {
      // Shown in the chat as it is.
      throw new Error(await server.describe(error), { cause: error })
    }
  }

  provideTokenCount(
    _model: LanguageModelChatInformation,
    text: string | LanguageModelChatRequestMessage,
  ): Promise<number> {
    const said = typeof text === 'string' ? text : JSON.stringify(toMessage(text).parts)
    return Promise.resolve(Math.ceil(said.length / CHARACTERS_A_TOKEN))
  }

  dispose(): void {
    this.#changed.dispose()
  }

  #known(): KnownAgent[] {
    return this.#context.globalState.get<KnownAgent[]>(KNOWN, [])
  }
}

function toMessage({ role, content }: LanguageModelChatRequestMessage): ChatMessage {
  const { User, Assistant } = LanguageModelChatMessageRole
  const known = role === Assistant ? 'assistant' : 'system'
  return { role: role === User ? 'user' : known, parts: content.flatMap(toPart) }
}

function toPart(part: unknown): ChatPart[] {
  if (part instanceof LanguageModelTextPart) return [{ type: 'text', text: part.value }]
  if (part instanceof LanguageModelToolCallPart) return [{ type: 'tool_call', id: part.callId }]
  if (part instanceof LanguageModelToolResultPart) {
    const text = part.content
      .map((item) => (item instanceof LanguageModelTextPart ? item.value : ''))
      .join('')
    return [{ type: 'tool_result', id: part.callId, text }]
  }
  // An image, whose class is younger than the oldest VS Code that Loci runs in.
  const { data, mimeType } = part as { data?: unknown; mimeType?: unknown }
  if (data instanceof Uint8Array && typeof mimeType === 'string' && mimeType.startsWith('image/'))
    return [{ type: 'image', media_type: mimeType, bytes: data }]
  return []
}
