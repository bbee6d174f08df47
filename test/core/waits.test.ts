import assert from 'node:assert/strict'
import { Waits } from '../../shared/core/teams/waits.ts'

describe('turns that wait for each other', () => {
  it('are told apart from circles, direct or not, and a wait that has ended counts no more', () => {
    const waits = new Waits()
    const ab = waits.begin('a', 'b')
    const bc = waits.begin('b', 'c')
    assert.ok(ab && bc)
    assert.equal(waits.begin('c', 'a'), null)
    assert.equal(waits.begin('b', 'a'), null)
    assert.equal(waits.begin('a', 'a'), null)
    assert.ok(waits.begin('d', 'a'), 'a queue is no circle')
    bc()
    assert.ok(waits.begin('c', 'a'))
    assert.equal(waits.begin('b', 'c'), null)
  })

  it('may wait for several at once, each until its own end', () => {
    const waits = new Waits()
    const ends = [waits.begin('a', 'b'), waits.begin('a', 'c'), waits.begin('a', 'b')]
    ends[0]?.()
    assert.equal(waits.begin('b', 'a'), null)
    ends[2]?.()
    const ba = waits.begin('b', 'a')
    assert.ok(ba)
    ba()
    assert.equal(waits.begin('c', 'a'), null)
    ends[1]?.()
    assert.ok(waits.begin('c', 'a'))
  })
})
