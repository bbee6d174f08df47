// The tests of custom tools behind each wall of Linux, both of which have to be there: `npm test` runs them behind the
// one that Loci finds. Elsewhere there is nothing more to test than that.
import { spawnSync } from 'node:child_process'

if (process.platform !== 'linux') {
  console.log(`${process.platform} has no second wall`)
  process.exit(0)
}
const { status } = spawnSync('npx', ['mocha', 'test/tools/{sandbox,typescript,python}/**/*.test.ts'], {
  stdio: 'inherit',
  env: { ...process.env, LOCI_TEST_WALLS: 'bubblewrap,namespaces' },
})
process.exit(status ?? 1)
