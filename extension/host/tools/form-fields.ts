import type { FormField } from '../../run-form.ts'
import { t } from '../l10n.ts'

interface Property {
  type?: unknown
  enum?: unknown
  const?: unknown
  anyOf?: unknown
  description?: unknown
  default?: unknown
  minimum?: unknown
  maximum?: unknown
}

/**
 * The fields of a form for a tool whose schema (OpenAI's function shape) this is. What was given last comes before the
 * tool's own defaults.
 */
export function fieldsOf(
  schema: Record<string, unknown> | null,
  last: Readonly<Record<string, unknown>> = {},
): FormField[] {
  const parameters = (schema?.['parameters'] ?? {}) as {
    properties?: Record<string, Property>
    required?: string[]
  }
  const required = new Set(parameters.required)
  return Object.entries(parameters.properties ?? {}).map(([name, property]) => {
    const { kind, choices } = kindOf(property)
    const given = Object.hasOwn(last, name) ? last[name] : property.default
    return {
      name,
      description: typeof property.description === 'string' ? property.description : '',
      required: required.has(name),
      kind,
      choices,
      value: textOf(given, kind),
      fallback: property.default === undefined ? null : JSON.stringify(property.default),
    }
  })
}

function kindOf(property: Property): Pick<FormField, 'kind' | 'choices'> {
  const values = choicesOf(property)
  if (values) {
    const choices = values.map((value) => ({
      label: typeof value === 'string' ? value : JSON.stringify(value),
      value: JSON.stringify(value),
    }))
    return { kind: 'choice', choices }
  }
  switch (property.type) {
    case 'string':
      return { kind: 'text', choices: [] }
    case 'number':
    case 'integer':
      return { kind: 'number', choices: [] }
    case 'boolean':
      return { kind: 'switch', choices: [] }
    default:
      return { kind: 'json', choices: [] }
  }
}

function choicesOf({ enum: listed, const: only }: Property): unknown[] | null {
  if (Array.isArray(listed)) return listed
  return only === undefined ? null : [only]
}

function textOf(value: unknown, kind: FormField['kind']): string {
  if (value === undefined) return ''
  if (kind === 'text') return typeof value === 'string' ? value : JSON.stringify(value)
  return kind === 'json' ? JSON.stringify(value, null, 2) : JSON.stringify(value)
}

/**
 * The arguments that these fields say, or what is wrong with them, by field. Fields that are not among `values` are left
 * out, and so are empty ones that may be, so that the tool's own default counts.
 */
export function argumentsOf(
  fields: readonly FormField[],
  values: Readonly<Record<string, string>>,
): { args: Record<string, unknown> } | { problems: Record<string, string> } {
  const args: Record<string, unknown> = {}
  const problems: Record<string, string> = {}
  for (const { name, kind, required, choices } of fields) {
    const text = values[name]
    // Text may be empty where the tool wants one: its field is left out by leaving it out of the values.
    const empty = text === undefined || (text.trim() === '' && !(kind === 'text' && required))
    if (empty) {
      if (required) problems[name] = kind === 'choice' ? t('Choose one.') : t('The tool needs this.')
      continue
    }
    if (kind === 'text') {
      args[name] = text
      continue
    }
    const value = parsed(text)
    if (value === undefined) problems[name] = wrong(kind, text)
    else if (kind === 'number' && typeof value !== 'number') problems[name] = wrong(kind, text)
    else if (kind === 'choice' && !choices.some((choice) => choice.value === text))
      problems[name] = t('Choose one.')
    else args[name] = value
  }
  return Object.keys(problems).length > 0 ? { problems } : { args }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

function wrong(kind: FormField['kind'], text: string): string {
  if (kind === 'number') return t("'{0}' is no number.", text.trim())
  return t('This is no JSON: text stands in double quotes, a list in [ ], an object in { }.')
}
