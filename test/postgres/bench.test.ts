import { ANY_ENGINE, IN_POSTGRES } from '../../bench/scenarios.ts'
import { smoke } from '../bench/smoke.ts'
import { withPgVector } from './server.ts'

describe('the benchmark with PostgreSQL', function () {
  this.timeout(240_000)

  it('gives numbers with every scenario of it, and side by side with SQLite, and prints them', async () => {
    const env = { ...process.env, LOCI_TEST_PGVECTOR_BIN: withPgVector() }
    const alone = IN_POSTGRES.filter((name) => !ANY_ENGINE.includes(name))
    await Promise.all([smoke(alone, 'postgres', env), smoke(ANY_ENGINE, 'sqlite,postgres', env)])
  })
})
