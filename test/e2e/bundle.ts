/** Code for VS Code's extension host, made of TypeScript. */
import { build } from 'esbuild'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export const REPO = join(import.meta.dirname, '..', '..')

/** The suites, as `extensionTestsPath` wants them. */
export function bundleSuites(outfile: string): Promise<void> {
  return bundle('test/e2e/host/index.ts', outfile)
}

/** Writes the extension whose models say what a test tells them to (fixtures/scripted-vendor.ts) into `folder`. */
export async function writeVendor(folder: string): Promise<void> {
  const manifest = {
    name: 'scripted',
    publisher: 'loci-tests',
    version: '1.0.0',
    engines: { vscode: '^1.104.0' },
    main: './extension.cjs',
    extensionKind: ['workspace'],
    activationEvents: ['*'],
    contributes: { languageModelChatProviders: [{ vendor: 'scripted', displayName: 'Scripted' }] },
  }
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  await bundle('test/e2e/fixtures/scripted-vendor.ts', join(folder, 'extension.cjs'))
}

async function bundle(entry: string, outfile: string): Promise<void> {
  await build({
    entryPoints: [join(REPO, entry)],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node22',
    external: ['vscode'],
    logLevel: 'warning',
  })
}
