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

  it('sort in the order of their making, however many there are', () => {
    const ids = Array.from({ length: 20_000 }, () => newId('run'))
    assert.deepEqual(ids, ids.toSorted())
    assert.equal(new Set(ids).size, ids.length)
  })

  it('are not taken for one of another kind', () => {
    assert.ok(!isId('block', newId('agent')))
    assert.ok(!isId('agent', 'agent-1'))
  })
})
