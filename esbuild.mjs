// Builds dist/: the command and server (ESM, split so that a command loads only its own code), the extension host
// (one CommonJS file, as VS Code wants it) and the webviews (browser). `--watch` rebuilds; `--quiet` says nothing.
import { context } from 'esbuild'
import { rm } from 'node:fs/promises'

const watch = process.argv.includes('--watch')
const quiet = process.argv.includes('--quiet')

const common = {
  bundle: true,
  minify: !watch,
  sourcemap: watch,
  legalComments: 'none',
  logLevel: quiet ? 'warning' : 'info',
}

const builds = [
  {
    ...common,
    entryPoints: { loci: 'cli/launcher.ts' },
    outdir: 'dist',
    chunkNames: 'chunks/[name]-[hash]',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    splitting: true,
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    external: ['pg-native'],
  },
  {
    ...common,
    entryPoints: { extension: 'extension/host/extension.ts' },
    outdir: 'dist',
    outExtension: { '.js': '.cjs' },
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    external: ['vscode'],
  },
  {
    ...common,
    entryPoints: { chat: 'extension/webview/chat.ts' },
    outdir: 'dist/webview',
    platform: 'browser',
    format: 'esm',
    target: 'chrome128',
    tsconfig: 'tsconfig.webview.json',
  },
]

await rm('dist', { recursive: true, force: true })
const contexts = await Promise.all(builds.map((options) => context(options)))
if (watch) {
  await Promise.all(contexts.map((c) => c.watch()))
} else {
  await Promise.all(contexts.map((c) => c.rebuild()))
  await Promise.all(contexts.map((c) => c.dispose()))
}
