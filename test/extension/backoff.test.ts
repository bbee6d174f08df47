import assert from 'node:assert/strict'
import { createBackoff } from '../../extension/host/backoff.ts'

describe('waiting before another try', () => {
  it('doubles up to the longest wait and begins again after a reset', () => {
    const backoff = createBackoff(100, 1000, () => 1)
    assert.deepEqual(
      [1, 2, 3, 4, 5, 6].map(() => backoff.next()),
      [100, 200, 400, 800, 1000, 1000],
    )
    assert.equal(backoff.attempts, 6)
    backoff.reset()
    assert.equal(backoff.attempts, 0)
    assert.equal(backoff.next(), 100)
  })

  it('differs from window to window by a fifth at most', () => {
    assert.equal(createBackoff(100, 1000, () => 0).next(), 80)
    assert.equal(createBackoff(100, 1000, () => 1).next(), 100)
  })

  it('does not overflow, however often it is asked', () => {
    const backoff = createBackoff(100, 1000, () => 1)
    for (let n = 0; n < 5000; n++) backoff.next()
    assert.equal(backoff.next(), 1000)
  })
})
