// The tests in real VS Code, each file in a process of its own. A file that fails is run once more, and both runs are
// told: a workbench in a browser on a shared machine now and then loses a key or a frame, and one of ninety such tests
// would else decide over everything. A file that fails twice fails. `npm run test:e2e` knows no second run.
import { spawnSync } from 'node:child_process'
import { appendFileSync, existsSync, globSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const total = process.env['LOCI_TEST_RESULTS']
const packaged = spawnSync('npm', ['run', '--silent', 'package'], {
  stdio: 'inherit',
  shell: process.platform === 'win32',
})
if (packaged.status !== 0) process.exit(1)

/** Runs one file and answers whether it passed, what it counted, and what failed in it. */
function run(file) {
  const results = join(tmpdir(), `loci-e2e-${process.pid}.results`)
  const failures = `${results}.failures`
  for (const written of [results, failures]) rmSync(written, { force: true })
  const flags = [
    '--no-config',
    '--timeout',
    '240000',
    '--forbid-only',
    '--reporter',
    'test/support/reporter.cjs',
  ]
  const { status } = spawnSync('npx', ['mocha', ...flags, file], {
    stdio: 'inherit',
    env: { ...process.env, LOCI_TEST_RESULTS: results },
    shell: process.platform === 'win32',
  })
  const [counted, told] = [results, failures].map((written) =>
    existsSync(written) ? readFileSync(written, 'utf8') : '',
  )
  for (const written of [results, failures]) rmSync(written, { force: true })
  return { passed: status === 0, counted, told }
}

const failed = []
const again = []
for (const file of globSync('test/e2e/*.e2e.ts').toSorted()) {
  let result = run(file)
  if (!result.passed) {
    console.log(`\n*** ${file} failed, and is run a second time`)
    again.push(file)
    result = run(file)
  }
  if (!result.passed) failed.push(file)
  if (total) appendFileSync(total, result.counted)
  if (total && result.told) appendFileSync(`${total}.failures`, result.told)
}
if (again.length > 0) console.log(`\nfailed at first: ${again.join(', ')}`)
if (failed.length > 0) console.log(`failed twice: ${failed.join(', ')}`)
process.exit(failed.length > 0 ? 1 : 0)
