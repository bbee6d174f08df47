// Everything that needs more than npm: other versions of npm and Node, real VS Code, a browser. Runs every part even
// when one fails, and fails when any did. `.ci/run` installs what is needed.
import { spawnSync } from 'node:child_process'

const parts = [
  'test:install',
  'test:clients',
  'test:walls',
  'test:reliability',
  'test:postgres',
  'test:postgres:server',
  'test:postgres:crash',
  'test:object-storage',
  'test:deploy',
  'test:browser',
  'test:e2e',
]
const failed = parts.filter((part) => {
  console.log(`\n== npm run ${part}`)
  const [program, ...args] =
    part === 'test:e2e' ? ['node', '.ci/test-e2e.mjs'] : ['npm', 'run', '--silent', part]
  const { status, error } = spawnSync(program, args, {
    stdio: 'inherit',
    shell: process.platform === 'win32',
  })
  if (error) console.error(error.message)
  return status !== 0
})
if (failed.length > 0) {
  console.error(`\nfailed: ${failed.join(', ')}`)
  process.exit(1)
}
