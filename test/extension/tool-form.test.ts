import assert from 'node:assert/strict'
import { argumentsOf, fieldsOf } from '../../extension/host/tools/form-fields.ts'
import { runHtml } from '../../extension/host/tools/run-html.ts'
import { parseFromRunForm } from '../../extension/run-form.ts'

const schema = {
  name: 'weather',
  parameters: {
    type: 'object',
    properties: {
      city: { type: 'string', description: 'Name of the city.' },
      days: { type: 'integer', default: 3, minimum: 1 },
      unit: { type: 'string', enum: ['celsius', 'fahrenheit'], default: 'celsius' },
      level: { enum: [1, 2, null] },
      exact: { type: 'boolean' },
      places: { type: 'array', items: { type: 'string' } },
    },
    required: ['city'],
  },
}

describe('the form that runs a tool', () => {
  it('has a field for each argument, with the defaults of the tool', () => {
    const fields = fieldsOf(schema)
    assert.deepEqual(
      fields.map(({ name, kind, required, value }) => [name, kind, required, value]),
      [
        ['city', 'text', true, ''],
        ['days', 'number', false, '3'],
        ['unit', 'choice', false, '"celsius"'],
        ['level', 'choice', false, ''],
        ['exact', 'switch', false, ''],
        ['places', 'json', false, ''],
      ],
    )
    assert.deepEqual(fields[3]?.choices, [
      { label: '1', value: '1' },
      { label: '2', value: '2' },
      { label: 'null', value: 'null' },
    ])
  })

  it('has what the tool was called with last', () => {
    const fields = fieldsOf(schema, { city: 'Oslo', places: ['a'], gone: 1 })
    assert.deepEqual(
      fields.map(({ value }) => value),
      ['Oslo', '3', '"celsius"', '', '', '[\n  "a"\n]'],
    )
  })

  it('gives the arguments in their types, and leaves out what is empty', () => {
    const values = {
      city: '42',
      days: '5',
      unit: '"fahrenheit"',
      level: 'null',
      exact: 'true',
      places: ' ["a"] ',
    }
    assert.deepEqual(argumentsOf(fieldsOf(schema), values), {
      args: { city: '42', days: 5, unit: 'fahrenheit', level: null, exact: true, places: ['a'] },
    })
    assert.deepEqual(argumentsOf(fieldsOf(schema), { city: 'Oslo', days: '', places: ' ' }), {
      args: { city: 'Oslo' },
    })
  })

  it('says at each field what is wrong', () => {
    const read = argumentsOf(fieldsOf(schema), { days: 'five', unit: '"kelvin"', places: 'a, b' })
    assert.ok('problems' in read)
    assert.deepEqual(Object.keys(read.problems), ['city', 'days', 'unit', 'places'])
    assert.equal(read.problems['days'], "'five' is no number.")
  })

  it('may be empty text where the tool wants text', () => {
    assert.deepEqual(argumentsOf(fieldsOf(schema), { city: '' }), { args: { city: '' } })
  })

  it('has no fields for a tool without arguments', () => {
    assert.deepEqual(fieldsOf(null), [])
    assert.deepEqual(fieldsOf({ name: 'now', parameters: { type: 'object', properties: {} } }), [])
  })

  it('takes nothing from its webview but what it knows', () => {
    assert.deepEqual(parseFromRunForm({ kind: 'run', values: { a: '1' } }), {
      kind: 'run',
      values: { a: '1' },
    })
    for (const wrong of [null, 'run', { kind: 'run' }, { kind: 'run', values: { a: 1 } }, { kind: 'exec' }])
      assert.equal(parseFromRunForm(wrong), null)
  })

  it('lets its page run one script, ours', () => {
    const page = runHtml({ cspSource: 'https://ours', script: 'https://ours/run-form.js' })
    const policy = /Content-Security-Policy" content="([^"]*)"/.exec(page)?.[1] ?? ''
    assert.match(policy, /default-src 'none'; script-src 'nonce-[\w+/=]{20,}'/)
    assert.ok(!policy.includes('unsafe'))
  })
})
