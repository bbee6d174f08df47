import type { TypeNode } from './ast.ts'
import type { SourceModule } from './source-module.ts'

/** Types of the language that JSON does not have, each with what to take instead. */
const NO_JSON_TYPE: Readonly<Record<string, string>> = {
  Date: 'take a `string` with `@format date-time` in its comment, and make a Date of it',
  Map: 'take a Record, such as `Record<string, number>`',
  Set: 'take an array',
  WeakMap: 'take a Record',
  WeakSet: 'take an array',
  Promise: 'take the value itself',
  RegExp: 'take a `string`',
  URL: 'take a `string` with `@format uri` in its comment',
  Buffer: 'take a `string`, such as base64',
  Uint8Array: 'take a `string`, such as base64, or `number[]`',
  ArrayBuffer: 'take a `string`, such as base64',
  Function: 'a model can give values only',
  Symbol: 'take a `string`',
  BigInt: 'take a `number`, or a `string` of digits',
  Error: 'take a `string`',
  AbortSignal: 'name the second parameter `context` and take its `signal`',
  ToolContext: 'name the second parameter `context`: then the runner fills it',
  AgentState: 'name the parameter `agent_state`: then the runner fills it',
}

/** What to write instead of a kind of type that has no schema. */
export function withoutSchema(node: TypeNode): string {
  const instead: Partial<Record<TypeNode['type'], string>> = {
    TSBigIntKeyword: 'JSON has no bigint: take a number, or a string of digits.',
    TSSymbolKeyword: 'JSON has no symbols: take a string.',
    TSNeverKeyword: 'Nothing fits `never`: take the parameter away.',
    TSFunctionType: 'A model can give values only, no functions: take a string or an object.',
    TSConstructorType: 'A model can give values only, no classes: take an object.',
    TSTemplateLiteralType:
      'A template literal type cannot be read as a schema: take `string`, with `@pattern` in its comment.',
    TSTypeQuery:
      'A value is no type here: `(typeof LIST)[number]` takes the items of a constant list, `keyof typeof MAP` its keys.',
    TSImportType: 'What this type is stands in another file: declare it here, or give json_schema.',
    TSMappedType: 'A mapped type cannot be read: write the properties out, or use Record.',
    TSConditionalType: 'A conditional type cannot be read: write out what it comes to.',
  }
  return instead[node.type] ?? 'This type cannot be read as a schema: make it simpler, or give json_schema.'
}

/** Why a named type has no schema, and what to do. */
export function unknownType(name: string, module: SourceModule): string {
  const instead = Object.hasOwn(NO_JSON_TYPE, name) ? NO_JSON_TYPE[name] : undefined
  const from = module.imports.get(name.split('.')[0] ?? name)
  if (instead && (!from || from.module === 'loci/tool')) return `${name} has no JSON type: ${instead}.`
  if (from) return `What ${name} is stands in ${from.module}: declare it in this file, or give json_schema.`
  if (module.classes.has(name))
    return `${name} is a class, and a model gives plain objects: declare an interface with its fields.`
  return `${name} is not declared in this source: declare it, or give json_schema.`
}
