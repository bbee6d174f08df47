import * as vscode from 'vscode'
import {
  OWN_VENDOR,
  type EditorInputPart,
  type EditorMessage,
  type EditorModel,
  type EditorModels,
  type EditorOutputPart,
  type EditorRequest,
} from './editor-models.ts'

/** Parts that came after the VS Code whose types we build with; absent in an older one. */
const newer = vscode as {
  LanguageModelDataPart?: { image(data: Uint8Array, mime: string): unknown }
  LanguageModelThinkingPart?: abstract new (...args: never[]) => { value: string | string[] }
}

/**
 * The models of this editor, without those that are Loci's agents. Looking for them asks the user nothing, and is done
 * once until the editor says that they have changed. Ends with the context.
 */
export function vscodeModels(context: vscode.ExtensionContext): EditorModels {
  let known: Promise<EditorModel[]> | null = null
  const look = async () =>
    (await vscode.lm.selectChatModels())
      .filter(({ vendor }) => vendor !== OWN_VENDOR)
      .map((model) => editorModel(model, context.languageModelAccessInformation))
  context.subscriptions.push(
    vscode.lm.onDidChangeChatModels(() => {
      known = null
    }),
  )
  return {
    async list() {
      known ??= look()
      const models = await known.catch((error: unknown) => {
        known = null
        throw error
      })
      // Those of an extension that is still starting come with an event, or without.
      if (models.length === 0) known = null
      return models
    },
  }
}

function editorModel(
  model: vscode.LanguageModelChat,
  information: vscode.LanguageModelAccessInformation,
): EditorModel {
  const { name, vendor, id, maxInputTokens } = model
  return {
    handle: `${vendor}/${id}`,
    name,
    vendor,
    max_input_tokens: maxInputTokens,
    access() {
      const can = information.canSendRequest(model)
      if (can === undefined) return 'unasked'
      return can ? 'allowed' : 'refused'
    },
    ask: (request, signal) => ask(model, request, signal),
    count: (text, signal) => withToken(signal, (token) => model.countTokens(text, token)),
  }
}

async function* ask(
  model: vscode.LanguageModelChat,
  { messages, tools, must_call, options }: EditorRequest,
  signal: AbortSignal,
): AsyncGenerator<EditorOutputPart> {
  const source = new vscode.CancellationTokenSource()
  const cancel = () => source.cancel()
  signal.addEventListener('abort', cancel)
  try {
    const { Auto, Required } = vscode.LanguageModelChatToolMode
    const response = await model.sendRequest(
      messages.map(toMessage),
      {
        justification: vscode.l10n.t('Agents of Loci think with this model.'),
        modelOptions: options,
        ...(tools.length > 0 ? { tools, toolMode: must_call ? Required : Auto } : {}),
      },
      source.token,
    )
    for await (const part of response.stream) {
      const known = toOutput(part)
      if (known) yield known
    }
  } finally {
    signal.removeEventListener('abort', cancel)
    source.dispose()
  }
}

async function withToken<T>(
  signal: AbortSignal,
  work: (token: vscode.CancellationToken) => PromiseLike<T>,
): Promise<T> {
  const source = new vscode.CancellationTokenSource()
  const cancel = () => source.cancel()
  signal.addEventListener('abort', cancel)
  try {
    return await work(source.token)
  } finally {
    signal.removeEventListener('abort', cancel)
    source.dispose()
  }
}

function toMessage({ role, parts }: EditorMessage): vscode.LanguageModelChatMessage {
  const content = parts.map(toPart)
  return role === 'user'
    ? vscode.LanguageModelChatMessage.User(content as vscode.LanguageModelTextPart[])
    : vscode.LanguageModelChatMessage.Assistant(content as vscode.LanguageModelTextPart[])
}

function toPart(part: EditorInputPart): unknown {
  switch (part.type) {
    case 'text':
      return new vscode.LanguageModelTextPart(part.text)
    case 'image':
      // An image of long ago must not keep the agent from going on.
      return (
        newer.LanguageModelDataPart?.image(part.bytes, part.media_type) ??
        new vscode.LanguageModelTextPart('[an image, which this version of the editor cannot pass on]')
      )
    case 'tool_call':
      return new vscode.LanguageModelToolCallPart(part.id, part.name, part.input)
    case 'tool_result':
      return new vscode.LanguageModelToolResultPart(part.id, [new vscode.LanguageModelTextPart(part.text)])
  }
}

/** Null for parts that say nothing to an agent. */
function toOutput(part: unknown): EditorOutputPart | null {
  if (part instanceof vscode.LanguageModelTextPart) return { type: 'text', text: part.value }
  if (part instanceof vscode.LanguageModelToolCallPart)
    return { type: 'tool_call', id: part.callId, name: part.name, input: part.input }
  const Thinking = newer.LanguageModelThinkingPart
  if (Thinking && part instanceof Thinking) return { type: 'reasoning', text: [part.value].flat().join('') }
  return null
}
