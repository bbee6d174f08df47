/** One part of a message to a model of the editor. */
export type EditorInputPart =
  | { type: 'text'; text: string }
  | { type: 'image'; media_type: string; bytes: Uint8Array }
  | { type: 'tool_call'; id: string; name: string; input: object }
  | { type: 'tool_result'; id: string; text: string }

/** A message as the editor's models take them: there is no system. */
export interface EditorMessage {
  role: 'user' | 'assistant'
  parts: EditorInputPart[]
}

export interface EditorRequest {
  messages: EditorMessage[]
  tools: { name: string; description: string; inputSchema: object }[]
  /** It has to call the one tool there is. */
  must_call: boolean
  /** Temperature and the like, for those models that know them. */
  options: Record<string, unknown>
}

/** A piece of an answer. */
export type EditorOutputPart =
  | { type: 'text'; text: string }
  | { type: 'reasoning'; text: string }
  | { type: 'tool_call'; id: string; name: string; input: object }

/** A model of the editor, as `vscode.lm` has it. */
export interface EditorModel {
  /** Vendor and id, for example `copilot/gpt-4o`: what follows `vscode/` in the handle. */
  handle: string
  name: string
  vendor: string
  max_input_tokens: number
  /** Whether the user lets Loci use it; `unasked` when nobody has asked yet. Asks nobody. */
  access(): 'allowed' | 'refused' | 'unasked'
  /**
   * Asks the model. May show the editor's own question for consent: only after `access` or an action of the user. Throws
   * what the editor throws, whose errors have a `code`.
   */
  ask(request: EditorRequest, signal: AbortSignal): AsyncIterable<EditorOutputPart>
  /** Tokens of a text, as the model counts them. */
  count(text: string, signal: AbortSignal): Promise<number>
}

/** The models that the editor has, those of Loci itself not among them. */
export interface EditorModels {
  list(): Promise<EditorModel[]>
}

/** The vendor under which Loci's agents are models of the editor: they are never offered to agents. */
export const OWN_VENDOR = 'loci'
