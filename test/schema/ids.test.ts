import assert from 'node:assert/strict'
import { isId, newId } from '../../shared/schema/ids.ts'

describe('identifiers', () => {
  it('have the form that V1 checks in paths', () => {
    for (const prefix of ['agent', 'conv', 'message'] as const) {
      const id = newId(prefix)
      assert.match(
        id,
        new RegExp(`^${prefix}-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`),
      )
      assert.ok(isId(prefix, id))
    }
  })

  it('sort by the milliseconds of their making', async () => {
    const first = newId('run')
    const from = Date.now()
    while (Date.now() <= from) await new Promise((resolve) => setImmediate(resolve))
    assert.ok(first < newId('run'))
  })

  it('are not taken for one of another kind', () => {
    assert.ok(!isId('block', newId('agent')))
    assert.ok(!isId('agent', 'agent-1'))
  })
})
