import type { TemplateContent } from '../../schema/template.ts'

/** `{{name}}` in the value of a block. */
const VARIABLE = /\{\{\s*([A-Za-z_][\w-]{0,199})\s*\}\}/g

/** Names of the variables in the blocks of a template, each once. */
export function variablesOf({ blocks }: TemplateContent): string[] {
  return [
    ...new Set(blocks.flatMap(({ value }) => [...value.matchAll(VARIABLE)].map(([, name = '']) => name))),
  ]
}

/** The text with the values of its variables; one that has none stays as it is written, and values are not filled again. */
export function fillVariables(text: string, values: Readonly<Record<string, string>>): string {
  return text.replaceAll(VARIABLE, (written, name: string) =>
    Object.hasOwn(values, name) ? (values[name] ?? written) : written,
  )
}
