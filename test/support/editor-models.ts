import type {
  EditorModel,
  EditorModels,
  EditorOutputPart,
  EditorRequest,
} from '../../extension/host/models/editor-models.ts'
import { type Endpoint, startEndpoint } from '../../extension/host/models/endpoint.ts'

type Answer = (request: EditorRequest, signal: AbortSignal) => AsyncIterable<EditorOutputPart>

/** The models of an editor that says what a test tells it to. */
export interface ScriptedEditor extends EditorModels {
  /** What was asked of the model, in order. */
  requests: EditorRequest[]
  /** The models there are, by handle; each answers with `next`. */
  handles: string[]
  access: 'allowed' | 'refused' | 'unasked'
  /** How often the list was looked at. */
  lists: number
  /** Answers of the requests to come. */
  next: Answer[]
}

export function scriptedEditor(handles = ['copilot/gpt-4o']): ScriptedEditor {
  const editor: ScriptedEditor = {
    requests: [],
    handles,
    access: 'allowed',
    lists: 0,
    next: [],
    list() {
      editor.lists++
      return Promise.resolve(editor.handles.map(modelOf))
    },
  }
  const modelOf = (handle: string): EditorModel => ({
    handle,
    name: handle.split('/')[1] ?? handle,
    vendor: handle.split('/')[0] ?? '',
    max_input_tokens: 64_000,
    access: () => editor.access,
    ask(request, signal) {
      editor.requests.push(request)
      const answer = editor.next.shift()
      if (!answer) throw new Error('the script of the editor has ended')
      return answer(request, signal)
    },
    count: (text) => Promise.resolve(text.split(/\s+/).filter(Boolean).length),
  })
  return editor
}

/** An answer of these parts. */
export function says(...parts: (string | EditorOutputPart)[]): Answer {
  return async function* () {
    for (const part of parts) {
      await Promise.resolve()
      yield typeof part === 'string' ? { type: 'text', text: part } : part
    }
  }
}

/** Fails as `vscode.lm` does, after these parts. */
export function fails(code: string, message: string, ...parts: string[]): Answer {
  return async function* () {
    for (const text of parts) yield { type: 'text', text }
    await Promise.resolve()
    throw Object.assign(new Error(message), { code })
  }
}

/** A window that offers this editor's models. The caller closes it. */
export async function openWindow(
  editor: EditorModels,
  id = `editor-${crypto.randomUUID()}`,
): Promise<Endpoint & { id: string; wanted: string[]; body: { base_url: string; api_key: string } }> {
  const wanted: string[] = []
  const endpoint = await startEndpoint({
    models: editor,
    window: id,
    onConsentMissing: ({ handle }) => void wanted.push(handle),
    log: () => undefined,
  })
  return { ...endpoint, id, wanted, body: { base_url: endpoint.base_url, api_key: endpoint.token } }
}
