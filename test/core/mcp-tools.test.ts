import assert from 'node:assert/strict'
import { parametersOf, schemaHealth } from '../../shared/core/tools/mcp-schema.ts'
import { judge, storedTool } from '../../shared/core/tools/mcp-tools.ts'
import { actor, aServer } from '../tools/mcp/support.ts'

const object = (properties: object, more: object = {}) => ({ type: 'object', properties, ...more })
const closed = { additionalProperties: false }

describe('the health of a tool’s schema', () => {
  const cases: [what: string, schema: unknown, status: string, reason?: RegExp][] = [
    ['nothing', null, 'INVALID', /no schema of its arguments/],
    ['text', 'object', 'INVALID'],
    ['a list', { type: 'array', items: {} }, 'INVALID', /must have the type 'object'/],
    ['no arguments', object({}, closed), 'STRICT_COMPLIANT'],
    [
      'closed and all required',
      object({ a: { type: 'string' } }, { ...closed, required: ['a'] }),
      'STRICT_COMPLIANT',
    ],
    [
      'an optional argument',
      object({ a: { type: 'string' } }, closed),
      'NON_STRICT_ONLY',
      /a may be left out/,
    ],
    [
      'open',
      object({ a: { type: 'string' } }, { required: ['a'] }),
      'NON_STRICT_ONLY',
      /takes more than it names/,
    ],
    [
      'no type',
      object({ a: {} }, { ...closed, required: ['a'] }),
      'NON_STRICT_ONLY',
      /arguments\.a has no type/,
    ],
    [
      'a list of anything',
      object({ a: { type: 'array' } }, { ...closed, required: ['a'] }),
      'NON_STRICT_ONLY',
    ],
    ['an unknown type', object({ a: { type: 'strnig' } }), 'INVALID', /arguments\.a has the type "strnig"/],
    [
      'deep inside',
      object({ a: { type: 'array', items: { anyOf: [{ type: 'x' }] } } }),
      'INVALID',
      /anyOf\[0\]/,
    ],
    ['a lost reference', object({ a: { $ref: '#/$defs/b' } }), 'INVALID', /refers to "#\/\$defs\/b"/],
    ['an address', object({ a: { $ref: 'https://example.com/a.json' } }), 'INVALID'],
    [
      'a reference',
      object({ a: { $ref: '#/$defs/b' } }, { ...closed, required: ['a'], $defs: { b: { type: 'string' } } }),
      'STRICT_COMPLIANT',
    ],
    ['an empty enum', object({ a: { enum: [] } }), 'INVALID', /'enum' that is no list/],
    [
      'properties that are a list',
      { type: 'object', properties: [] },
      'INVALID',
      /'properties' that is no object/,
    ],
    ['required that is text', object({}, { required: 'a' }), 'INVALID', /'required' that is no list/],
  ]
  for (const [what, schema, status, reason] of cases)
    it(`${what}: ${status}`, () => {
      const health = schemaHealth(schema)
      assert.equal(health.status, status, health.reasons.join('; '))
      if (reason) assert.match(health.reasons.join('; '), reason)
    })

  it('a schema that refers to itself is looked at once', () => {
    const schema = object({ next: { $ref: '#' } })
    assert.equal(schemaHealth(schema).status, 'NON_STRICT_ONLY')
    assert.deepEqual(parametersOf(schema), { ...schema, required: [] })
  })
})

describe('the names of a server’s tools', () => {
  const names = (server_name: string, name: string) => {
    const server = aServer({ mcp_server_type: 'stdio', command: 'a', args: [], env: null }, server_name)
    const listing = {
      name,
      title: null,
      description: null,
      input_schema: null,
      output_schema: null,
      annotations: null,
    }
    const [judged] = judge([listing])
    assert.ok(judged)
    return storedTool(actor, server, judged).names
  }

  it('are its own first, then with the server’s in front', () => {
    assert.deepEqual(names('git hub', 'search').slice(0, 3), ['search', 'git_hub_search', 'git_hub_search_2'])
  })

  it('have only what every provider takes, and no two fall together', () => {
    const all = ['files/read.v2', '3d', 'x'.repeat(65), `${'x'.repeat(65)}y`, 'ä', '–'].map(
      (name) => names('s', name)[0],
    )
    assert.deepEqual(all.slice(0, 2), ['files_read_v2', '_3d'])
    assert.ok(
      all.every((name) => /^[A-Za-z_][\w-]{0,63}$/.test(name ?? '')),
      all.join(' '),
    )
    assert.notEqual(all[2], all[3])
  })
})
