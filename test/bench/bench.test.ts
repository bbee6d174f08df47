import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { IN_POSTGRES, SCENARIOS } from '../../bench/scenarios.ts'
import { smoke } from './smoke.ts'

const names = Object.keys(SCENARIOS)

describe('the benchmark', function () {
  this.timeout(240_000)

  it('measures with every scenario that there is a file of', async () => {
    const files = await readdir(new URL('../../bench/scenarios', import.meta.url))
    assert.deepEqual(names.toSorted(), files.map((file) => file.replace('.ts', '')).toSorted())
  })

  it('gives numbers with every scenario, and prints them', async () => {
    const embedded = names.filter((name) => !IN_POSTGRES.includes(name))
    // What walls of tools take in memory is known on Linux only.
    const known = embedded.filter((name) => process.platform === 'linux' || name !== 'tools')
    await smoke(known, 'sqlite')
  })
})
