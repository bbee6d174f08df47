import { describeGolden, describeRefused, type Golden, type Refused } from './golden.ts'

const string = { type: 'string' }
const number = { type: 'number' }

/** A function with these parameters, under these declarations. */
const fn = (parameters: string, declarations = '') =>
  `${declarations}\n/** Does it. */\nexport function f(${parameters}) {\n  return 1\n}\n`

const GOLDENS: Golden[] = [
  { says: 'a string', source: fn('a: string'), properties: { a: string } },
  {
    says: 'numbers and booleans',
    source: fn('a: number, b: boolean'),
    properties: { a: number, b: { type: 'boolean' } },
  },
  { says: 'no parameters', source: fn(''), properties: {} },
  {
    says: 'what may be left out by a question mark',
    source: fn('a: string, b?: number'),
    properties: { a: string, b: number },
    required: ['a'],
  },
  {
    says: 'what may be left out by undefined',
    source: fn('a: string | undefined'),
    properties: { a: string },
    required: [],
  },
  {
    says: 'a default, and the type that it has',
    source: fn("a = 'x', b = 3, c = true, d = ['a']"),
    properties: {
      a: { type: 'string', default: 'x' },
      b: { type: 'number', default: 3 },
      c: { type: 'boolean', default: true },
      d: { type: 'array', items: string, default: ['a'] },
    },
    required: [],
  },
  {
    says: 'a default that is a constant of the file',
    source: fn('a: number = LIMIT * 2, b: string = `${NAME}!`', "const LIMIT = 10\nconst NAME = 'x'"),
    properties: { a: { type: 'number', default: 20 }, b: { type: 'string', default: 'x!' } },
    required: [],
  },
  {
    says: 'a default that is known only when it runs',
    source: fn('a: number = Date.now()'),
    properties: { a: number },
    required: [],
  },
  {
    says: 'a union of texts',
    source: fn("unit: 'celsius' | 'fahrenheit'"),
    properties: { unit: { type: 'string', enum: ['celsius', 'fahrenheit'] } },
  },
  {
    says: 'a union of numbers',
    source: fn('level: 1 | 2 | 3 | -1'),
    properties: { level: { type: 'integer', enum: [1, 2, 3, -1] } },
  },
  {
    says: 'a union of numbers with fractions',
    source: fn('level: 1 | 2.5'),
    properties: { level: { type: 'number', enum: [1, 2.5] } },
  },
  {
    says: 'a union of texts and numbers',
    source: fn("a: 'x' | 1"),
    properties: { a: { type: ['integer', 'string'], enum: ['x', 1] } },
  },
  { says: 'true or false', source: fn('a: true | false'), properties: { a: { type: 'boolean' } } },
  { says: 'one text', source: fn("a: 'x'"), properties: { a: { type: 'string', enum: ['x'] } } },
  {
    says: 'a union in which a wide type has the fixed ones',
    source: fn("a: 'x' | string"),
    properties: { a: string },
  },
  {
    says: 'a union of types',
    source: fn('a: string | number[]'),
    properties: { a: { anyOf: [string, { type: 'array', items: number }] } },
  },
  {
    says: 'null',
    source: fn('a: string | null'),
    properties: { a: { anyOf: [string, { type: 'null' }] } },
  },
  {
    says: 'arrays in all their spellings',
    source: fn('a: string[], b: Array<number>, c: readonly string[], d: ReadonlyArray<string>'),
    properties: {
      a: { type: 'array', items: string },
      b: { type: 'array', items: number },
      c: { type: 'array', items: string },
      d: { type: 'array', items: string },
    },
  },
  {
    says: 'arrays of arrays',
    source: fn('a: number[][]'),
    properties: { a: { type: 'array', items: { type: 'array', items: number } } },
  },
  {
    says: 'a tuple',
    source: fn('at: [number, number]'),
    properties: {
      at: { type: 'array', prefixItems: [number, number], items: number, minItems: 2, maxItems: 2 },
    },
  },
  {
    says: 'a tuple with names, something optional and a rest',
    source: fn('a: [id: string, n?: number], b: [string, ...number[]]'),
    properties: {
      a: {
        type: 'array',
        prefixItems: [
          { type: 'string', title: 'id' },
          { type: 'number', title: 'n' },
        ],
        items: {
          anyOf: [
            { type: 'string', title: 'id' },
            { type: 'number', title: 'n' },
          ],
        },
        minItems: 1,
        maxItems: 2,
      },
      b: { type: 'array', prefixItems: [string], items: number, minItems: 1 },
    },
  },
  {
    says: 'an object type, nested',
    source: fn('place: { city: string; at?: { lat: number; lon: number } }'),
    properties: {
      place: {
        type: 'object',
        properties: {
          city: string,
          at: { type: 'object', properties: { lat: number, lon: number }, required: ['lat', 'lon'] },
        },
        required: ['city'],
      },
    },
  },
  {
    says: 'an interface of the file, with comments on its properties',
    source: fn(
      'place: Place',
      '/** Where. */\ninterface Place {\n  /** The city. */\n  city: string\n  /** ISO code @minLength 2 @maxLength 2 */\n  country?: string\n}',
    ),
    properties: {
      place: {
        type: 'object',
        description: 'Where.',
        properties: {
          city: { type: 'string', description: 'The city.' },
          country: { type: 'string', description: 'ISO code', minLength: 2, maxLength: 2 },
        },
        required: ['city'],
      },
    },
  },
  {
    says: 'an interface that extends others, and is continued',
    source: fn(
      'a: C',
      "interface A { a: string }\ninterface B { b?: number }\ninterface C extends A, Omit<B, 'x'> { c: boolean }\ninterface C { d: null }",
    ),
    properties: {
      a: {
        type: 'object',
        properties: { a: string, b: number, c: { type: 'boolean' }, d: { type: 'null' } },
        required: ['a', 'c', 'd'],
      },
    },
  },
  {
    says: 'type aliases, also of others and after the function',
    source: `${fn('a: Outer')}type Inner = string[]\nexport type Outer = { list: Inner }`,
    properties: {
      a: { type: 'object', properties: { list: { type: 'array', items: string } }, required: ['list'] },
    },
  },
  {
    says: 'a generic type',
    source: fn('a: Page<string>', 'interface Page<T, N = number> { items: T[]; next: N }'),
    properties: {
      a: {
        type: 'object',
        properties: { items: { type: 'array', items: string }, next: number },
        required: ['items', 'next'],
      },
    },
  },
  {
    says: 'a generic function, by what its types extend',
    source: '/** Does it. */\nexport function f<T extends string, U>(a: T, b: U) {}',
    properties: { a: string, b: {} },
  },
  {
    says: 'no `this`, and a default that JSON does not know',
    source: fn('this: void, a: number = 1e999, b: number = 1 / 0'),
    properties: { a: number, b: number },
    required: [],
  },
  {
    says: 'types joined with &',
    source: fn('a: { x: string } & { y?: number }'),
    properties: {
      a: { type: 'object', properties: { x: string, y: number }, required: ['x'] },
    },
  },
  {
    says: 'an enum of texts',
    source: fn('a: Unit', "enum Unit {\n  Celsius = 'c',\n  Fahrenheit = 'f',\n}"),
    properties: { a: { type: 'string', enum: ['c', 'f'] } },
  },
  {
    says: 'an enum of numbers, a const enum, and one of their members',
    source: fn(
      'a: Level, b: Flag, c: Level.High = Level.High',
      'enum Level { Low, High }\nexport const enum Flag { A = 1 << 0, B = 4, C }',
    ),
    properties: {
      a: { type: 'integer', enum: [0, 1] },
      b: { type: 'integer', enum: [1, 4, 5] },
      c: { type: 'integer', enum: [1], default: 1 },
    },
    required: ['a', 'b'],
  },
  {
    says: 'Record of texts, of fixed names, and of anything',
    source: fn("a: Record<string, number>, b: Record<'x' | 'y', string>, c: Record<string, unknown>"),
    properties: {
      a: { type: 'object', additionalProperties: number },
      b: { type: 'object', properties: { x: string, y: string }, required: ['x', 'y'] },
      c: { type: 'object' },
    },
  },
  {
    says: 'an index signature',
    source: fn('a: { [name: string]: number }'),
    properties: { a: { type: 'object', properties: {}, required: [], additionalProperties: number } },
  },
  {
    says: 'Partial, Required, Pick, Omit and Readonly',
    source: fn(
      "a: Partial<P>, b: Required<P>, c: Pick<P, 'x'>, d: Omit<P, 'x'>, e: Readonly<P>",
      'type P = { x: string; y?: number }',
    ),
    properties: {
      a: { type: 'object', properties: { x: string, y: number }, required: [] },
      b: { type: 'object', properties: { x: string, y: number }, required: ['x', 'y'] },
      c: { type: 'object', properties: { x: string }, required: ['x'] },
      d: { type: 'object', properties: { y: number }, required: [] },
      e: { type: 'object', properties: { x: string, y: number }, required: ['x'] },
    },
  },
  {
    says: 'Exclude, Extract and NonNullable',
    source: fn(
      "a: Exclude<U, 'x'>, b: Extract<U, 'x'>, c: NonNullable<string | null>",
      "type U = 'x' | 'y' | 'z'",
    ),
    properties: {
      a: { type: 'string', enum: ['y', 'z'] },
      b: { type: 'string', enum: ['x'] },
      c: string,
    },
  },
  {
    says: 'the items of a constant list, the keys and values of a constant object',
    source: fn(
      'a: (typeof UNITS)[number], b: keyof typeof CODES, c: (typeof CODES)[keyof typeof CODES]',
      "const UNITS = ['c', 'f'] as const\nconst CODES = { red: 1, green: 2 } as const",
    ),
    properties: {
      a: { type: 'string', enum: ['c', 'f'] },
      b: { type: 'string', enum: ['red', 'green'] },
      c: { type: 'integer', enum: [1, 2] },
    },
  },
  {
    says: 'keyof and a property of a type',
    source: fn("a: keyof P, b: P['list'], c: P['list'][number]", 'type P = { x: string; list: number[] }'),
    properties: {
      a: { type: 'string', enum: ['x', 'list'] },
      b: { type: 'array', items: number },
      c: number,
    },
  },
  {
    says: 'any, unknown and object',
    source: fn('a: any, b: unknown, c: object'),
    properties: { a: {}, b: {}, c: { type: 'object' } },
  },
  {
    says: '@param with texts over several lines, hyphens, types and brackets',
    source:
      '/**\n * Does it.\n * @param {string} a - The first\n *   of them\n * @param [b=3] The second\n */\nexport function f(a: string, b = 3) {}',
    properties: {
      a: { type: 'string', description: 'The first of them' },
      b: { type: 'number', default: 3, description: 'The second' },
    },
    required: ['a'],
  },
  {
    says: '@param with dots, also into lists',
    source:
      '/** Does it.\n * @param to Where to\n * @param to.city The city\n * @param to.stops[].name Its name */\nexport function f(to: { city: string; stops: { name: string }[] }) {}',
    properties: {
      to: {
        type: 'object',
        description: 'Where to',
        properties: {
          city: { type: 'string', description: 'The city' },
          stops: {
            type: 'array',
            items: {
              type: 'object',
              properties: { name: { type: 'string', description: 'Its name' } },
              required: ['name'],
            },
          },
        },
        required: ['city', 'stops'],
      },
    },
  },
  {
    says: 'tags of values after a @param, and in comments at parameters',
    source:
      '/** Does it.\n * @param a A\n *   @minimum 1\n *   @maximum 10\n *   @integer\n * @param b B @pattern ^x+$ @default "x" */\nexport function f(a: number, b: string, /** C @minItems 1 @uniqueItems */ c: string[]) {}',
    properties: {
      a: { type: 'integer', description: 'A', minimum: 1, maximum: 10 },
      b: { type: 'string', description: 'B', pattern: '^x+$', default: 'x' },
      c: { type: 'array', items: string, description: 'C', minItems: 1, uniqueItems: true },
    },
  },
  {
    says: '@default, @format and @example on properties',
    source: fn(
      'a: A',
      "interface A {\n  /** When. @format date-time */\n  at: string\n  /** @default 'x' */\n  b?: string\n  /** @default 5 */\n  n?: number\n  /**\n   * Say it.\n   * @example hello\n   */\n  say: string\n}",
    ),
    properties: {
      a: {
        type: 'object',
        properties: {
          at: { type: 'string', description: 'When.', format: 'date-time' },
          b: { type: 'string', default: 'x' },
          n: { type: 'number', default: 5 },
          say: { type: 'string', description: 'Say it.', examples: ['hello'] },
        },
        required: ['at', 'say'],
      },
    },
  },
  {
    says: 'limits of what may be null',
    source: fn('/** N @minimum 1 */ n: number | null'),
    properties: { n: { anyOf: [{ type: 'number', minimum: 1 }, { type: 'null' }], description: 'N' } },
  },
  {
    says: 'what is taken apart, with a type and defaults',
    source:
      "/** Does it.\n * @param options What to do\n * @param options.city The city */\nexport const f = async ({ city, days = 3, unit: u = 'c' }: { city: string; days?: number; unit?: 'c' | 'f' }) => 1",
    properties: {
      city: { type: 'string', description: 'The city' },
      days: { type: 'number', default: 3 },
      unit: { type: 'string', enum: ['c', 'f'], default: 'c' },
    },
    required: ['city'],
  },
  {
    says: 'what is taken apart without a type, by its defaults',
    source: fn("{ city = 'Oslo', n = 1 } = {}"),
    properties: { city: { type: 'string', default: 'Oslo' }, n: { type: 'number', default: 1 } },
    required: [],
  },
  {
    says: 'a parameter beside what is taken apart',
    source: fn('a: string, { b }: { b: number }'),
    properties: { a: string, b: number },
  },
  {
    says: 'nothing of what the runner fills in',
    source: fn('a: string, agent_state: AgentState, context: ToolContext'),
    properties: { a: string },
  },
  {
    says: 'a first parameter that happens to be called context',
    source: fn('context: string'),
    properties: { context: string },
  },
  {
    says: 'the type that a zod schema of the file infers',
    source: fn(
      'a: z.infer<typeof Place>',
      "import { z } from 'zod'\nconst Place = z.object({ city: z.string().min(1) })",
    ),
    properties: {
      a: { type: 'object', properties: { city: { type: 'string', minLength: 1 } }, required: ['city'] },
    },
  },
  {
    says: 'the default export among several',
    source: 'export function helper(x: number) {}\n/** Does it. */\nexport default function f(a: string) {}',
    properties: { a: string },
  },
  {
    says: 'a function that is exported further down',
    source: 'const f = function (a: string) {}\nfunction other() {}\nexport { f as go }',
    properties: { a: string },
  },
  {
    says: 'the only function, where nothing is exported',
    source: 'export type T = string\nfunction f(a: T) {}',
    properties: { a: string },
  },
  {
    says: 'the implementation of an overloaded function',
    source: 'export function f(a: string): void\nexport function f(a: string, b?: number) {}',
    properties: { a: string, b: number },
    required: ['a'],
  },
]

const REFUSED: Refused[] = [
  {
    says: 'what is no TypeScript',
    source: 'export function f(a: string) {\n  let x = = 1\n}',
    line: 2,
    message: /no TypeScript/,
  },
  { says: 'an empty source', source: '', line: 1, message: /no function/ },
  {
    says: 'several functions of which none is exported',
    source: 'function f() {}\nfunction g() {}',
    line: 2,
    message: /exports nothing\. Write `export` before g/,
  },
  {
    says: 'exports that are no functions',
    source: 'export const x = 1',
    line: 1,
    message: /neither a function/,
  },
  { says: 'CommonJS', source: 'module.exports = function () {}', line: 1, message: /ES modules/ },
  {
    says: 'several functions without a default',
    source: 'export function a() {}\nexport const b = () => 1\nexport function c() {}',
    line: 2,
    message: /exports 3 functions.*a \(line 1\), b \(line 2\), c \(line 3\).*export default/,
  },
  {
    says: 'a function without a name',
    source: 'export default (a: string) => a',
    line: 1,
    message: /no name/,
  },
  {
    says: 'a name that models cannot take',
    source: 'export function prüfe$() {}',
    line: 1,
    message: /cannot be called "prüfe\$"/,
  },
  {
    says: 'a name that is too long',
    source: `export function ${'a'.repeat(49)}() {}`,
    line: 1,
    message: /49 characters, and 48 is the most/,
  },
  {
    says: 'a parameter without a type',
    source: fn('a'),
    line: 3,
    message: /a has no type: write one, such as `a: string`/,
  },
  { says: 'a rest parameter', source: fn('...a: string[]'), line: 3, message: /no rest parameter/ },
  {
    says: 'an array that is taken apart',
    source: fn('[a]: string[]'),
    line: 3,
    message: /Give this parameter a name/,
  },
  {
    says: 'a Date',
    source: fn('\n  a: string,\n  at: Date'),
    line: 5,
    message: /Date has no JSON type: take a `string` with `@format date-time`/,
  },
  { says: 'a Map', source: fn('a: Map<string, number>'), line: 3, message: /take a Record/ },
  { says: 'a Set', source: fn('a: Set<string>'), line: 3, message: /take an array/ },
  { says: 'a function', source: fn('a: () => void'), line: 3, message: /values only/ },
  { says: 'a bigint', source: fn('a: bigint'), line: 3, message: /take a number/ },
  { says: 'a class', source: fn('a: C', 'class C {}'), line: 3, message: /C is a class.*interface/ },
  {
    says: 'a type of another file',
    source: fn('a: T', "import type { T } from './t.ts'"),
    line: 3,
    message: /stands in \.\/t\.ts/,
  },
  { says: 'a type that is nowhere', source: fn('a: Nowhere'), line: 3, message: /Nowhere is not declared/ },
  {
    says: 'a type that contains itself',
    source: fn('a: Tree', '\ninterface Tree {\n  left: Tree\n}'),
    line: 3,
    message: /Tree contains itself/,
  },
  {
    says: 'types that contain each other',
    source: fn('a: A', 'type A = { b: B[] }\ntype B = { a: A }'),
    line: 2,
    message: /A contains itself/,
  },
  {
    says: 'types that grow without end',
    source: fn(
      'a: T20',
      Array.from({ length: 21 }, (_, i) =>
        i === 0 ? 'type T0 = string' : `type T${i} = { a: T${i - 1}; b: T${i - 1} }`,
      ).join(';'),
    ),
    line: 1,
    message: /too large or nested too deeply/,
  },
  {
    says: 'a template literal type',
    source: fn('a: `${number}px`'),
    line: 3,
    message: /take `string`, with `@pattern`/,
  },
  { says: 'a mapped type', source: fn('a: { [K in "x"]: string }'), line: 3, message: /mapped type/ },
  {
    says: 'a conditional type',
    source: fn('a: string extends string ? 1 : 2'),
    line: 3,
    message: /conditional type/,
  },
  {
    says: 'an enum whose values are calculated',
    source: fn('a: E', 'enum E {\n  A = Math.random(),\n}'),
    line: 2,
    message: /E\.A is not written out/,
  },
  { says: 'a method in a type', source: fn('a: { m(): void }'), line: 3, message: /no functions/ },
  {
    says: 'keys that are no texts',
    source: fn('a: Record<boolean, string>'),
    line: 3,
    message: /must be strings/,
  },
  { says: 'undefined in a list', source: fn('a: (string | undefined)[]'), line: 3, message: /use `null`/ },
  {
    says: 'what is joined and is no object',
    source: fn('a: string & { b: 1 }'),
    line: 3,
    message: /joined with `&`/,
  },
  {
    says: 'defaults in a whole object',
    source: fn("{ a }: { a?: string } = { a: 'x' }"),
    line: 3,
    message: /Write defaults inside of the braces/,
  },
  {
    says: 'a source that is nested very deeply',
    source: `export const f = () => ${'['.repeat(20_000)}${']'.repeat(20_000)}`,
    line: 1,
    message: /nested too deeply/,
  },
  {
    says: 'a generator',
    source: 'export function* f() {}',
    line: 1,
    message: /without `\*`/,
  },
  {
    says: 'two default exports',
    source: 'export default function a() {}\nexport default function b() {}',
    line: 2,
    message: /one default export/,
  },
  {
    says: 'exports of older modules',
    source: 'function f() {}\nexport = f',
    line: 2,
    message: /ES modules/,
  },
  {
    says: 'decorators',
    source: '@log\nclass A {}\nexport function f() {}',
    line: 1,
    message: /Node does not run this syntax/,
  },
  {
    says: 'names that objects have by nature',
    source: fn('a: constructor'),
    line: 3,
    message: /constructor is not declared/,
  },
  {
    says: 'a property called __proto__',
    source: fn('a: { __proto__: string }'),
    line: 3,
    message: /cannot be called __proto__/,
  },
  {
    says: 'a parameter called __proto__',
    source: fn('__proto__: string'),
    line: 3,
    message: /cannot be called __proto__/,
  },
  {
    says: 'a directive that objects have by nature',
    source: '// loci: constructor\nexport function f() {}',
    line: 1,
    message: /no `loci: constructor`/,
  },
  {
    says: 'an import of a file beside it',
    source: "\nimport { x } from './x.ts'\nexport function f() { return x }",
    line: 2,
    message: /one file/,
  },
  {
    says: 'an unknown directive',
    source: '// loci: internet\nexport function f() {}',
    line: 1,
    message: /no `loci: internet`.*`loci: network`/,
  },
]

describe('the schema of a TypeScript function', () => {
  describe('has', () => describeGolden('typescript', GOLDENS))
  describe('is refused for', () => describeRefused('typescript', REFUSED))
})
