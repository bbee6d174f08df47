import assert from 'node:assert/strict'
import { parseEvents } from '../support/contract.ts'
import { loadGoldenShapes } from '../support/contract-shapes.ts'
import { createContract, findOperation, type Schema } from '../support/openapi.ts'

describe('the golden shapes notice', () => {
  const golden = loadGoldenShapes()
  const stop = { message_type: 'stop_reason', stop_reason: 'end_turn' }
  const problems = (expression: string, value: unknown) => golden.check(expression, value, 'it')

  it('a key that is missing, one that is new, and one of another kind, each by its place', () => {
    assert.deepEqual(problems('LettaStopReason', stop), [])
    assert.deepEqual(problems('LettaStopReason[]', [stop, { ...stop, stop_reason: 1, more: true }]), [
      "it[1]: LettaStopReason has no key 'more' (true)",
      'it[1].stop_reason: expected string, got 1',
    ])
    assert.deepEqual(problems('LettaStopReason', { message_type: 'stop_reason' }), [
      "it: key 'stop_reason' of LettaStopReason is missing",
    ])
  })

  it('null where none may be, an object for a list, and a kind that a union does not have', () => {
    assert.equal(problems('LettaStopReason', null).length, 1)
    assert.deepEqual(problems('LettaStopReason?', null), [])
    assert.equal(problems('LettaStopReason[]', stop).length, 1)
    assert.deepEqual(problems('LettaMessage', { message_type: 'robot_message' }), [
      "it: LettaMessage has no kind 'robot_message'",
    ])
    assert.deepEqual(problems('string|integer', 'x'), [])
    assert.equal(problems('string|integer', 1.5).length, 1)
  })

  it('knows every shape that its shapes and operations name', () => {
    const names = [...golden.shapes.values(), Object.fromEntries(golden.operations)].flatMap((shape) =>
      Object.entries(shape)
        .filter(([key]) => key !== 'by')
        .flatMap(([, expression]) => expression.split('|').map((part) => part.replace(/(\[\]|\?)+$/, ''))),
    )
    const shapes = [...new Set(names)].filter((name) => /^[A-Z]/.test(name))
    assert.deepEqual(
      shapes.filter((name) => !golden.shapes.has(name)),
      [],
    )
  })
})

describe('a contract made from a document', () => {
  const contract = createContract({
    paths: {
      '/v1/things/': { get: { responses: { 200: answer({ type: 'array', items: ref('Thing') }) } } },
      '/v1/things/{id}': { get: { responses: { 200: answer(ref('Thing')) } } },
      '/v1/things/count': { get: { responses: { 200: answer({ type: 'integer' }) } } },
    },
    components: {
      schemas: {
        Thing: {
          oneOf: [ref('Cat'), ref('Dog')],
          discriminator: {
            propertyName: 'kind',
            mapping: { cat: '#/components/schemas/Cat', dog: '#/components/schemas/Dog' },
          },
        },
        Cat: { type: 'object', properties: { lives: { type: 'integer' } }, required: ['lives'] },
        Dog: { type: 'object', properties: { since: { type: 'string', format: 'date-time' } } },
      },
    },
  })
  function ref($ref: string) {
    return { $ref: `#/components/schemas/${$ref}` }
  }
  function answer(schema: Schema) {
    return { content: { 'application/json': { schema } } }
  }

  it('finds the operation in both spellings, literal segments first', () => {
    const name = (path: string) => findOperation(contract.operations, 'GET', path)?.name
    assert.equal(name('/v1/things'), 'GET /v1/things')
    assert.equal(name('/v1/things/'), 'GET /v1/things')
    assert.equal(name('/v1/things/count'), 'GET /v1/things/count')
    assert.equal(name('/v1/things/7'), 'GET /v1/things/{id}')
    assert.equal(name('/v1/things/7/more'), undefined)
    assert.equal(findOperation(contract.operations, 'POST', '/v1/things'), null)
  })

  it('reports what is wrong for the alternative that was meant', () => {
    assert.deepEqual(contract.checkSchema('Thing', { kind: 'cat', lives: 9 }), [])
    assert.deepEqual(contract.checkSchema('Thing', { kind: 'cat', lives: 'nine' }), [
      '/lives must be integer; it is "nine"',
    ])
    assert.match(contract.checkSchema('Thing', { kind: 'cow' })[0] ?? '', /kind must be equal to one of/)
    assert.match(
      contract.checkSchema('Thing', { kind: 'dog', since: 'May' })[0] ?? '',
      /since must match format/,
    )
    assert.match(contract.checkSchema('Thing', {})[0] ?? '', /required property 'kind'/)
  })

  it('says null, not nothing, for an answer without a schema', () => {
    const operation = contract.find('GET', '/v1/things/count')!
    assert.deepEqual(contract.check(operation, 200, 1), [])
    assert.equal(contract.check(operation, 200, 'many')?.length, 1)
    assert.equal(contract.check(operation, 404, {}), null)
  })
})

describe('recorded event streams', () => {
  it('are read with their names, without comments', () => {
    assert.deepEqual(
      parseEvents('data: {"a":1}\n\n: keep-alive\n\nevent: error\ndata: {}\n\ndata: [DONE]\n\n'),
      [
        { event: null, data: '{"a":1}' },
        { event: 'error', data: '{}' },
        { event: null, data: '[DONE]' },
      ],
    )
  })
})
