/**
 * The contract of the form that runs a tool: the host makes the fields from the tool's schema and calls the tool, the
 * webview shows them and what came of it.
 */

/** One argument of the tool, as the form shows it. */
export interface FormField {
  name: string
  description: string
  required: boolean
  /** `json` for lists, objects and what has no type of its own. */
  kind: 'text' | 'number' | 'switch' | 'choice' | 'json'
  /** Of a choice: JSON of each value, in order. */
  choices: { label: string; value: string }[]
  /** What stands in the field at first, as the field has it: text, a number, JSON of a choice, `true` or `false`. */
  value: string
  /** What the field may be left out for: the tool's own default, as JSON; null when it has none. */
  fallback: string | null
}

/** The form of a tool, as it is now. */
export interface RunForm {
  name: string
  description: string
  /** The file, as people write it. */
  place: string
  fields: FormField[]
  /** Why the tool cannot be called now; null when it can. */
  problem: string | null
}

/** What came of a call. */
export interface RunOutcome {
  state: 'returned' | 'failed' | 'cancelled'
  /** What the tool returned, or why the call failed. */
  text: string
  stdout: string
  stderr: string
  /** Milliseconds from asking to the answer. */
  duration: number
}

/** From the host. */
export type ToRunForm =
  | { kind: 'form'; form: RunForm }
  /** What is wrong with the fields, by their names: nothing was called. */
  | { kind: 'refused'; problems: Record<string, string> }
  | { kind: 'running' }
  | { kind: 'outcome'; outcome: RunOutcome }

/** From the webview: `values` has the fields as they are; those that are left out are not in it. */
export type FromRunForm =
  | { kind: 'ready' }
  | { kind: 'run'; values: Record<string, string> }
  | { kind: 'cancel' }

/** Reads what came from the webview; null for anything else. */
export function parseFromRunForm(message: unknown): FromRunForm | null {
  if (typeof message !== 'object' || message === null || !('kind' in message)) return null
  const { kind } = message
  if (kind === 'ready' || kind === 'cancel') return { kind }
  if (kind !== 'run' || !('values' in message)) return null
  const { values } = message
  if (typeof values !== 'object' || values === null) return null
  if (!Object.values(values).every((value) => typeof value === 'string')) return null
  return { kind, values: values as Record<string, string> }
}
