// The tests of custom tools behind each wall of Linux, both of which have to be there, and as on a machine without one:
// `npm test` runs them behind the wall that Loci finds. Elsewhere there is nothing more to test than that.
import { spawnSync } from 'node:child_process'

if (process.platform !== 'linux') {
  console.log(`${process.platform} has no second wall`)
  process.exit(0)
}
const runs = [
  ['test/tools/{sandbox,python}/**/*.test.ts', 'bubblewrap,namespaces'],
  ['test/tools/typescript/**/*.test.ts', 'bubblewrap,namespaces,none'],
]
const failed = runs.filter(([files, LOCI_TEST_WALLS]) => {
  const env = { ...process.env, LOCI_TEST_WALLS }
  return spawnSync('npx', ['mocha', files], { stdio: 'inherit', env }).status !== 0
})
process.exit(failed.length > 0 ? 1 : 0)
