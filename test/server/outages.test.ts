import assert from 'node:assert/strict'
import { AppError } from '../../shared/schema/errors.ts'
import { type Outages, watchOutages } from '../../shared/server/outages.ts'
import { eventually } from '../support/loci.ts'

describe('a store that is away', () => {
  let lines: string[] = []
  let outages: Outages
  let away = true
  const gone = new AppError('store_unavailable', 'The database loci cannot be used: nothing listens there.')
  beforeEach(() => {
    lines = []
    away = true
    outages = watchOutages(
      {
        failure: (where, error) => lines.push(`error ${where}: ${String(error)}`),
        error: (where, reason) => lines.push(`error ${where}: ${reason}`),
        warn: (where, reason) => lines.push(`warn ${where}: ${reason}`),
      },
      () => (away ? Promise.reject(gone) : Promise.resolve()),
    )
  })
  afterEach(() => outages.stop())

  it('is one line of the log when it is lost, however many notice it, and one when it is back', async function () {
    this.timeout(15_000)
    const fail = () => {
      outages.failure('looking for turns to cancel', gone)
      outages.failure('looking after runs', gone)
    }
    for (let i = 0; i < 50; i++) fail()
    assert.equal(lines.length, 1)
    assert.match(lines[0] ?? '', /^error store: The database loci .* nothing listens there\./)
    outages.failure('run 1', new Error('something else'))
    assert.equal(lines.splice(1)[0], 'error run 1: Error: something else')
    away = false
    await eventually('the line that it is back', async () => (lines.length > 1 ? true : null))
    assert.match(lines[1] ?? '', /^warn store: can be used again, about \d+ s after it was said/)
    fail()
    assert.equal(lines.length, 3, 'the next outage is told of again')
  })

  it('is not told of any more once the server ends', () => {
    outages.stop()
    outages.failure('looking after runs', gone)
    assert.deepEqual(lines, [])
  })
})
