import assert from 'node:assert/strict'
import { runInThisContext } from 'node:vm'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import * as z from 'zod'
import { createToolSources } from '../../../shared/tools/source/sources.ts'
import { describeGolden, describeRefused, type Golden, type Refused } from './golden.ts'

const string = { type: 'string' }
const number = { type: 'number' }

/** A tool with this input, under these declarations; the input begins in line 6. */
const tool = (input: string, declarations = '') =>
  `import * as z from 'zod'; import { tool } from 'loci/tool'; ${declarations}\nexport default tool({\n  name: 'try',\n  description: 'Tries.',\n  input:\n${input},\n  run: (given) => given,\n})\n`

const GOLDENS: Golden[] = [
  {
    says: 'primitives with descriptions',
    source: tool(
      "z.object({ a: z.string().describe('A'), b: z.number().meta({ description: 'B', title: 'b' }), c: z.boolean(), d: z.null() })",
    ),
    properties: {
      a: { type: 'string', description: 'A' },
      b: { type: 'number', description: 'B', title: 'b' },
      c: { type: 'boolean' },
      d: { type: 'null' },
    },
  },
  {
    says: 'optional, default, nullable and nullish',
    source: tool(
      'z.object({ a: z.string().optional(), b: z.number().default(3), c: z.string().nullable(), d: z.string().nullish(), e: z.optional(z.string()), f: z.nullable(z.number().min(1)) })',
    ),
    properties: {
      a: string,
      b: { type: 'number', default: 3 },
      c: { anyOf: [string, { type: 'null' }] },
      d: { anyOf: [string, { type: 'null' }] },
      e: string,
      f: { anyOf: [{ type: 'number', minimum: 1 }, { type: 'null' }] },
    },
    required: ['c', 'f'],
  },
  {
    says: 'enums of lists, of constants, of objects and of the language',
    source: tool(
      "z.object({ a: z.enum(['x', 'y']), b: z.enum(UNITS), c: z.enum({ A: 'a', B: 'b' }), d: z.enum(Unit), e: z.nativeEnum(Unit), f: z.literal('x'), g: z.literal([1, 2]) })",
      "const UNITS = ['c', 'f'] as const; enum Unit { C = 'c', F = 'f' }",
    ),
    properties: {
      a: { type: 'string', enum: ['x', 'y'] },
      b: { type: 'string', enum: ['c', 'f'] },
      c: { type: 'string', enum: ['a', 'b'] },
      d: { type: 'string', enum: ['c', 'f'] },
      e: { type: 'string', enum: ['c', 'f'] },
      f: { type: 'string', enum: ['x'] },
      g: { type: 'integer', enum: [1, 2] },
    },
  },
  {
    says: 'unions, fixed values in one enum',
    source: tool(
      "z.object({ a: z.union([z.literal('x'), z.literal('y')]), b: z.union([z.string(), z.number()]), c: z.string().or(z.array(z.string())) })",
    ),
    properties: {
      a: { type: 'string', enum: ['x', 'y'] },
      b: { anyOf: [string, number] },
      c: { anyOf: [string, { type: 'array', items: string }] },
    },
  },
  {
    says: 'a discriminated union',
    source: tool(
      "z.object({ a: z.discriminatedUnion('kind', [z.object({ kind: z.literal('x') }), z.object({ kind: z.literal('y'), n: z.number() })]) })",
    ),
    properties: {
      a: {
        anyOf: [
          { type: 'object', properties: { kind: { type: 'string', enum: ['x'] } }, required: ['kind'] },
          {
            type: 'object',
            properties: { kind: { type: 'string', enum: ['y'] }, n: number },
            required: ['kind', 'n'],
          },
        ],
      },
    },
  },
  {
    says: 'arrays with their limits',
    source: tool(
      'z.object({ a: z.array(z.string()).min(1).max(3), b: z.string().array().nonempty(), c: z.array(z.number()).length(2) })',
    ),
    properties: {
      a: { type: 'array', items: string, minItems: 1, maxItems: 3 },
      b: { type: 'array', items: string, minItems: 1 },
      c: { type: 'array', items: number, minItems: 2, maxItems: 2 },
    },
  },
  {
    says: 'numbers with their limits',
    source: tool(
      'z.object({ a: z.number().int().min(1).max(10), b: z.number().positive(), c: z.number().gt(1).lt(2).multipleOf(0.5), d: z.int().nonnegative(), e: z.number().gte(-5).lte(MAX) })',
      'const MAX = 2 ** 10;',
    ),
    properties: {
      a: { type: 'integer', minimum: 1, maximum: 10 },
      b: { type: 'number', exclusiveMinimum: 0 },
      c: { type: 'number', exclusiveMinimum: 1, exclusiveMaximum: 2, multipleOf: 0.5 },
      d: { type: 'integer', minimum: 0 },
      e: { type: 'number', minimum: -5, maximum: 1024 },
    },
  },
  {
    says: 'texts with their limits and formats',
    source: tool(
      "z.object({ a: z.string().min(1).max(5), b: z.email(), c: z.string().url(), d: z.uuid(), e: z.iso.date(), f: z.string().datetime(), g: z.string().regex(/^x+$/), h: z.string().startsWith('a.'), i: z.string().trim().toLowerCase() })",
    ),
    properties: {
      a: { type: 'string', minLength: 1, maxLength: 5 },
      b: { type: 'string', format: 'email' },
      c: { type: 'string', format: 'uri' },
      d: { type: 'string', format: 'uuid' },
      e: { type: 'string', format: 'date' },
      f: { type: 'string', format: 'date-time' },
      g: { type: 'string', pattern: '^x+$' },
      h: { type: 'string', pattern: '^a\\.' },
      i: string,
    },
  },
  {
    says: 'records and tuples',
    source: tool(
      "z.object({ a: z.record(z.string(), z.number()), b: z.record(z.enum(['x', 'y']), z.string()), c: z.partialRecord(z.enum(['x']), z.string()), d: z.tuple([z.string(), z.number()]), e: z.tuple([z.string()], z.number()), f: z.record(z.string(), z.unknown()) })",
    ),
    properties: {
      a: { type: 'object', additionalProperties: number },
      b: {
        type: 'object',
        properties: { x: string, y: string },
        required: ['x', 'y'],
        additionalProperties: false,
      },
      c: { type: 'object', properties: { x: string }, required: [], additionalProperties: false },
      d: {
        type: 'array',
        prefixItems: [string, number],
        items: { anyOf: [string, number] },
        minItems: 2,
        maxItems: 2,
      },
      e: { type: 'array', prefixItems: [string], items: number, minItems: 1 },
      f: { type: 'object' },
    },
  },
  {
    says: 'schemas and shapes held in constants',
    source: tool(
      'z.object({ ...base, place: Place, places: z.array(Place), city: Place.shape.city })',
      'const base = { id: z.string() }; const Place = z.object({ city: z.string().optional() });',
    ),
    properties: {
      id: string,
      place: { type: 'object', properties: { city: string }, required: [] },
      places: { type: 'array', items: { type: 'object', properties: { city: string }, required: [] } },
      city: string,
    },
    required: ['id', 'place', 'places'],
  },
  {
    says: 'extend, merge, pick, omit, partial and required',
    source: tool(
      'A.extend({ x: z.number(), z: z.string() }).merge(z.object({ w: z.null() })).omit({ y: true }).partial({ z: true })',
      'const A = z.object({ x: z.string(), y: z.string() });',
    ),
    properties: { x: number, z: string, w: { type: 'null' } },
    required: ['x', 'w'],
  },
  {
    says: 'pick, required and keyof',
    source: tool(
      'z.object({ a: A.pick({ x: true }), b: A.required(), c: A.keyof(), d: A.partial() })',
      'const A = z.object({ x: z.string(), y: z.string().optional() });',
    ),
    properties: {
      a: { type: 'object', properties: { x: string }, required: ['x'] },
      b: { type: 'object', properties: { x: string, y: string }, required: ['x', 'y'] },
      c: { type: 'string', enum: ['x', 'y'] },
      d: { type: 'object', properties: { x: string, y: string }, required: [] },
    },
  },
  {
    says: 'strict objects, catchall and intersections',
    source: tool(
      'z.object({ a: z.strictObject({ x: z.string() }), b: z.object({}).catchall(z.number()), c: z.intersection(z.object({ x: z.string() }), z.object({ y: z.string() })), d: z.object({ x: z.string() }).passthrough() })',
    ),
    properties: {
      a: { type: 'object', properties: { x: string }, required: ['x'], additionalProperties: false },
      b: { type: 'object', properties: {}, required: [], additionalProperties: number },
      c: {
        allOf: [
          { type: 'object', properties: { x: string }, required: ['x'] },
          { type: 'object', properties: { y: string }, required: ['y'] },
        ],
      },
      d: { type: 'object', properties: { x: string }, required: ['x'] },
    },
  },
  {
    says: 'what is checked and changed only when it runs',
    source: tool(
      "z.object({ a: z.string().refine((text) => text.length % 2 === 0).transform(Number), b: z.coerce.number(), c: z.preprocess((value) => value, z.string()), d: z.string().catch('x'), e: z.string().pipe(z.coerce.number()), f: z.string().default(() => String(Date.now())) })",
    ),
    properties: { a: string, b: number, c: string, d: string, e: string, f: string },
    required: ['a', 'b', 'c', 'e'],
  },
  {
    says: 'zod under other names, and a tool in a constant',
    source:
      "import { z as zod } from 'zod'\nimport { tool as make } from 'loci/tool'\nconst NAME = 'try'\nconst it = make({ name: NAME, description: 'Tries ' + NAME, input: zod.object({ a: zod.any() }), async run({ a }) { return a } })\nexport default it\n",
    properties: { a: {} },
  },
]

const REFUSED: Refused[] = [
  {
    says: 'a schema from a function',
    source: tool('make()'),
    line: 6,
    message: /without running it.*json_schema/,
  },
  {
    says: 'a constant that is not there',
    source: tool('z.object({\n  a: Place,\n})'),
    line: 7,
    message: /Place is no constant/,
  },
  {
    says: 'a schema of another file',
    source: tool('Input', "import { Input } from 'inputs';"),
    line: 6,
    message: /stands in inputs/,
  },
  { says: 'an input that is no object', source: tool('z.string()'), line: 5, message: /z\.object/ },
  {
    says: 'a date',
    source: tool('z.object({ at: z.date() })'),
    line: 6,
    message: /take z\.iso\.datetime\(\)/,
  },
  {
    says: 'a map',
    source: tool('z.object({ at: z.map(z.string(), z.string()) })'),
    line: 6,
    message: /take z\.record/,
  },
  {
    says: 'a lazy schema',
    source: tool('z.object({ at: z.lazy(() => z.string()) })'),
    line: 6,
    message: /contains itself/,
  },
  {
    says: 'a getter',
    source: tool('z.object({ get at() { return z.string() } })'),
    line: 6,
    message: /getter/,
  },
  {
    says: 'a constant that contains itself',
    source: tool('A', 'const A = z.object({ b: z.array(B) }); const B = z.object({ a: A });'),
    line: 1,
    message: /A contains itself/,
  },
  {
    says: 'an unknown type',
    source: tool('z.object({ a: z.wonder() })'),
    line: 6,
    message: /z\.wonder\(\) cannot be read/,
  },
  {
    says: 'an unknown method',
    source: tool('z.object({ a: z.string().wonder() })'),
    line: 6,
    message: /\.wonder\(\) cannot be read/,
  },
  {
    says: 'values that are calculated',
    source: tool('z.object({ a: z.enum(values()) })'),
    line: 6,
    message: /must be written out/,
  },
  {
    says: 'a computed name',
    source: tool('z.object({ [x]: z.string() })'),
    line: 6,
    message: /without running it/,
  },
  {
    says: 'no input',
    source:
      "import { tool } from 'loci/tool'\nexport default tool({ name: 'x', description: 'X', run() {} })",
    line: 2,
    message: /no `input`/,
  },
  {
    says: 'no run',
    source: "import { tool } from 'loci/tool'\nexport default tool({ name: 'x', description: 'X' })",
    line: 2,
    message: /no `run`/,
  },
  {
    says: 'no description',
    source: "import { tool } from 'loci/tool'\nexport default tool({ name: 'x', run() {} })",
    line: 2,
    message: /no `description`/,
  },
  {
    says: 'a name that is calculated',
    source:
      "import { tool } from 'loci/tool'\nexport default tool({\n  name: f(),\n  description: 'X', run() {} })",
    line: 3,
    message: /name of the tool must be a text written out/,
  },
  {
    says: 'a spread',
    source: "import { tool } from 'loci/tool'\nexport default tool({ ...base })",
    line: 2,
    message: /a spread/,
  },
  {
    says: 'a tool of another library',
    source: "import { tool } from 'ai'\nexport default tool({ name: 'x' })",
    line: 2,
    message: /import \{ tool \} from 'loci\/tool'/,
  },
  {
    says: 'a schema that is nested very deeply',
    source: tool(`${'z.array('.repeat(400)}z.string()${')'.repeat(400)}`),
    line: 6,
    message: /too large or nested too deeply/,
  },
]

/** Expressions, and values that the schema must take exactly when zod does. */
const VALUES = [
  undefined,
  null,
  true,
  0,
  1,
  2.5,
  -3,
  1e9,
  '',
  'x',
  'abc',
  'a@b.co',
  '2026-01-02',
  [],
  ['x'],
  [1, 2],
  ['x', 1],
  {},
  { x: 'a' },
  { x: 1 },
  { x: 'a', y: 2 },
]
const ALIKE = [
  'z.string().min(1).max(2)',
  'z.string().email()',
  'z.iso.date()',
  'z.string().regex(/b/)',
  "z.string().startsWith('a').nullable()",
  'z.number().int().positive()',
  'z.number().min(1).max(2.5).optional()',
  'z.int().multipleOf(2)',
  "z.literal(['x', 1, null])",
  'z.union([z.string().max(1), z.number().lt(1), z.boolean()])',
  'z.array(z.union([z.string(), z.number()])).min(1)',
  'z.tuple([z.string(), z.number()])',
  'z.tuple([z.number()], z.number())',
  'z.tuple([z.string(), z.number().optional()])',
  'z.object({ x: z.string(), y: z.number().optional() })',
  'z.strictObject({ x: z.string() })',
  'z.record(z.string(), z.string())',
  "z.record(z.enum(['x']), z.string())",
  'z.object({ x: z.string() }).extend({ x: z.number() }).nullish()',
  'z.intersection(z.object({ x: z.string() }), z.object({ y: z.number() }))',
]

describe('the schema of tool({ … })', () => {
  describe('has', () => describeGolden('typescript', GOLDENS))
  describe('is refused for', () => describeRefused('typescript', REFUSED))

  for (const expression of ALIKE)
    it(`takes what zod takes: ${expression}`, async () => {
      const make = runInThisContext(`(z) => ${expression}`) as (zod: typeof z) => z.ZodType
      const schema = z.object({ v: make(z) })
      const { json_schema } = await createToolSources().derive({
        source_type: 'typescript',
        source_code: tool(`z.object({ v: ${expression} })`),
      })
      const ajv = addFormats.default(new Ajv2020({ strict: false }))
      const validate = ajv.compile(json_schema.parameters)
      for (const v of VALUES) {
        const given = v === undefined ? {} : { v }
        assert.equal(validate(given), schema.safeParse(given).success, JSON.stringify(given))
      }
    })
})
