/** Entry of the suite that VS Code runs in its extension host. */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type Mocha from 'mocha'

/** Resolves when every test passed, as VS Code expects; rejects with how many did not. */
export async function run(): Promise<void> {
  const repo = process.env['LOCI_E2E_REPO'] ?? ''
  const { default: MochaClass } = (await import(
    createRequire(join(repo, 'package.json')).resolve('mocha')
  )) as {
    default: typeof Mocha
  }
  const mocha = new MochaClass({ ui: 'bdd', timeout: 60_000, color: false })
  mocha.suite.emit('pre-require', globalThis, 'loci', mocha)
  // After the globals are there.
  if (process.env['LOCI_E2E_SUITE'] === 'tools') (await import('./tools.suite.ts')).defineToolsSuite()
  else if (process.env['LOCI_E2E_SUITE'] === 'models') (await import('./models.suite.ts')).defineModelsSuite()
  else (await import('./extension.suite.ts')).defineSuite()
  const failures = await new Promise<number>((resolve) => mocha.run(resolve))
  if (failures > 0) throw new Error(`${failures} tests failed in the extension host`)
}
