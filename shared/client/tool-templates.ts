import { BUILTIN_TOOL_NAMES, MAX_TOOL_NAME } from '../schema/tool-name.ts'

/** A file of a new tool: its name in the folder, and its text. */
export interface NewFile {
  name: string
  text: string
}

/** What a new tool is written in: an exported TypeScript function, TypeScript with a zod schema, or Python. */
export type Style = 'function' | 'zod' | 'python'

/** What no function can be called in TypeScript or Python, and what the tests of a new tool call otherwise. */
const WORDS: ReadonlySet<string> = new Set(
  (
    'arguments await break case catch class const continue debugger default delete do else enum eval export extends ' +
    'false finally for function if implements import in instanceof interface let new null package private protected ' +
    'public return static super switch this throw true try typeof undefined var void while with yield ' +
    'False None True and as assert async def del elif except from global is lambda nonlocal not or pass raise ' +
    'test tool typing unittest z Literal'
  ).split(' '),
)

/** Why a new tool cannot have this name, which is one of its function and its file, too; null when it can. */
export function refusedName(name: string): string | null {
  const such = 'Choose another, such as get_weather.'
  if (/^[A-Za-z_]\w*$/.test(name) && name.length <= MAX_TOOL_NAME) {
    if (BUILTIN_TOOL_NAMES.has(name))
      return `'${name}' cannot be the name of a tool: it is the name of a built-in tool. ${such}`
    if (WORDS.has(name))
      return `'${name}' cannot be the name of a tool: it has a meaning of its own in TypeScript, in Python, or in their tests. ${such}`
    if (/^(_|test_)/.test(name))
      return `'${name}' cannot be the name of a tool: files whose names begin with _ or test_ are none. ${such}`
    return null
  }
  return `'${name}' cannot be the name of a tool: use letters, digits and '_', at most ${MAX_TOOL_NAME}, such as get_weather.`
}

/** A tool that works as it is, and a unit test of it. `name` is a valid tool name. */
export function scaffold(name: string, style: Style): NewFile[] {
  if (style === 'python')
    return [
      { name: `${name}.py`, text: pythonTool(name) },
      { name: `test_${name}.py`, text: pythonTest(name) },
    ]
  const files =
    style === 'zod'
      ? [zodTool(name), typescriptTest(name, `import ${name} from './${name}.ts'`, `await ${name}.run(`)]
      : [functionTool(name), typescriptTest(name, `import { ${name} } from './${name}.ts'`, null)]
  const [text = '', test = ''] = files
  return [
    { name: `${name}.ts`, text },
    { name: `${name}.test.ts`, text: test },
  ]
}

/** Makes Node read the `.ts` files of a folder as modules. */
export const PACKAGE_JSON: NewFile = {
  name: 'package.json',
  text: '{\n  "private": true,\n  "type": "module"\n}\n',
}

function functionTool(name: string): string {
  return `/**
 * Greets somebody. This text is what the model is told: say what the tool does, and when to call it.
 *
 * @param person - Who is greeted.
 * @param language - The language of the greeting.
 */
export function ${name}(person: string, language: 'en' | 'de' = 'en'): string {
  return language === 'de' ? \`Guten Tag, \${person}!\` : \`Hello, \${person}!\`
}
`
}

function zodTool(name: string): string {
  return `import { tool } from 'loci/tool'
import { z } from 'zod'

export default tool({
  name: '${name}',
  description:
    'Greets somebody. This text is what the model is told: say what the tool does, and when to call it.',
  input: z.object({
    person: z.string().describe('Who is greeted.'),
    language: z.enum(['en', 'de']).default('en').describe('The language of the greeting.'),
  }),
  run({ person, language }) {
    return language === 'de' ? \`Guten Tag, \${person}!\` : \`Hello, \${person}!\`
  },
})
`
}

function typescriptTest(name: string, imports: string, call: string | null): string {
  const called = call === null ? `${name}('Ada', 'de')` : `${call}{ person: 'Ada', language: 'de' })`
  const opening = call === null ? '() => {' : 'async () => {'
  return `import assert from 'node:assert/strict'
import { test } from 'node:test'
${imports}

test('${name} greets in the language that was asked for', ${opening}
  assert.equal(${called}, 'Guten Tag, Ada!')
})
`
}

function pythonTool(name: string): string {
  return `from typing import Literal


def ${name}(person: str, language: Literal["en", "de"] = "en") -> str:
    """Greets somebody. This text is what the model is told: say what the tool does, and when to call it.

    Args:
        person: Who is greeted.
        language: The language of the greeting.
    """
    return f"Guten Tag, {person}!" if language == "de" else f"Hello, {person}!"
`
}

function pythonTest(name: string): string {
  const title = name.replaceAll(/(?:^|_)([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
  return `import unittest

from ${name} import ${name}


class ${title}(unittest.TestCase):
    def test_greets_in_the_language_that_was_asked_for(self):
        self.assertEqual(${name}("Ada", "de"), "Guten Tag, Ada!")
`
}
