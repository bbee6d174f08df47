// Builds dist/: the command and server (ESM, split so that a command loads only its own code), the extension host
// (one CommonJS file, as VS Code wants it) and the webviews (browser). `--watch` rebuilds; `--quiet` says nothing.
import { context } from 'esbuild'
import { execFile } from 'node:child_process'
import { copyFile, mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { promisify } from 'node:util'

const watch = process.argv.includes('--watch')
const quiet = process.argv.includes('--quiet')

const common = {
  bundle: true,
  minify: !watch,
  sourcemap: watch,
  legalComments: 'none',
  logLevel: quiet ? 'warning' : 'info',
}

/** The client with its SDK is a file of its own, loaded when a server is first needed: activation does not pay for it. */
const clientApart = {
  name: 'client-apart',
  setup(build) {
    build.onResolve({ filter: /shared\/client\/http\.ts$/ }, ({ kind }) =>
      kind === 'dynamic-import' ? { path: './client.cjs', external: true } : undefined,
    )
  },
}

/**
 * The MCP SDK loads ajv when it starts, to validate the answers of elicitations. Its own validator for Workers does that
 * too, is a quarter of the size, and costs `loci mcp` nothing before its first answer.
 */
const lightValidator = {
  name: 'light-validator',
  setup(build) {
    build.onResolve({ filter: /^@modelcontextprotocol\/server\/_shims$/ }, () => ({
      path: 'mcp-shims',
      namespace: 'loci',
    }))
    // The client is given a validator by us, which trusts nobody's schemas.
    build.onResolve({ filter: /^@modelcontextprotocol\/client\/_shims$/ }, () => ({
      path: 'mcp-client-shims',
      namespace: 'loci',
    }))
    build.onLoad({ filter: /^mcp-client-shims$/, namespace: 'loci' }, () => ({
      contents: `export const CORS_IS_POSSIBLE = false
        export { CfWorkerJsonSchemaValidator as DefaultJsonSchemaValidator } from '@modelcontextprotocol/client/validators/cf-worker'`,
      resolveDir: import.meta.dirname,
    }))
    build.onLoad({ filter: /^mcp-shims$/, namespace: 'loci' }, () => ({
      contents: `export { default as process } from 'node:process'
        export { CfWorkerJsonSchemaValidator as DefaultJsonSchemaValidator } from '@modelcontextprotocol/server/validators/cf-worker'`,
      resolveDir: import.meta.dirname,
    }))
  },
}

/** zod speaks some sixty languages: tools that import it would load all of them, in every call. */
const englishOnly = {
  name: 'english-only',
  setup(build) {
    build.onLoad({ filter: /zod[/\\]v4[/\\]locales[/\\]index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js'",
    }))
  },
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
    // What `pg` tries beside its own protocol, and does without.
    external: ['pg-native', 'cloudflare:sockets'],
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    plugins: [lightValidator],
  },
  {
    ...common,
    // Started as a thread of a reader's process by the tool `fetch_webpage`.
    entryPoints: { 'page-worker': 'shared/tools/web/page-worker.ts' },
    outdir: 'dist',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external: ['canvas'],
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  },
  {
    ...common,
    // Started as a thread of a reader's process for each uploaded file.
    entryPoints: { 'parse-worker': 'shared/tools/files/parse-worker.ts' },
    outdir: 'dist',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external: ['canvas'],
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  },
  {
    ...common,
    // The process of these two.
    entryPoints: { 'reader-host': 'shared/tools/reader/reader-host.ts' },
    outdir: 'dist',
    platform: 'node',
    format: 'esm',
    target: 'node20',
  },
  {
    ...common,
    // Started as a thread when the source of a TypeScript tool is read.
    entryPoints: { 'source-worker': 'shared/tools/source/source-worker.ts' },
    outdir: 'dist',
    platform: 'node',
    format: 'esm',
    target: 'node20',
  },
  {
    ...common,
    // The process in which a TypeScript tool runs.
    entryPoints: { 'tool-worker': 'shared/tools/typescript/tool-worker.ts' },
    outdir: 'dist',
    platform: 'node',
    format: 'esm',
    target: 'node20',
  },
  {
    ...common,
    // The official client, which such a process loads when a tool touches it.
    entryPoints: { 'tool-client': '@letta-ai/letta-client' },
    outdir: 'dist',
    outExtension: { '.js': '.cjs' },
    platform: 'node',
    format: 'cjs',
    target: 'node20',
  },
  {
    ...common,
    // What the sources of TypeScript tools import; without imports of their own.
    entryPoints: { tool: 'shared/tools/source/tool.ts', zod: 'zod' },
    outdir: 'dist',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    plugins: [englishOnly],
  },
  // The heavy parsers, which the worker loads when it meets such a file: in the npm package, not in the extension.
  ...(process.argv.includes('--without-parsers')
    ? []
    : [
        {
          ...common,
          entryPoints: {
            unpdf: 'unpdf',
            mammoth: 'mammoth',
            'read-excel-file': 'read-excel-file/node',
          },
          outdir: 'dist/parsers',
          platform: 'node',
          format: 'esm',
          target: 'node20',
          banner: {
            js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
          },
        },
      ]),
  {
    ...common,
    entryPoints: { extension: 'extension/host/extension.ts', client: 'shared/client/http.ts' },
    outdir: 'dist',
    outExtension: { '.js': '.cjs' },
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    external: ['vscode'],
    // As `require`, which VS Code's extension host serves everywhere.
    supported: { 'dynamic-import': false },
    plugins: [clientApart],
  },
  {
    ...common,
    entryPoints: {
      chat: 'extension/webview/chat.ts',
      context: 'extension/webview/context/context.ts',
      'run-form': 'extension/webview/run-form.ts',
    },
    outdir: 'dist/webview',
    // What highlights code is a file of its own, loaded with the first code.
    chunkNames: '[name]-[hash]',
    splitting: true,
    platform: 'browser',
    format: 'esm',
    target: 'chrome128',
    tsconfig: 'tsconfig.webview.json',
  },
]

const contexts = await Promise.all(builds.map((options) => context({ ...options, metafile: true })))
const scripts = [...(await copyScripts()), await writeToolTypes()]
if (watch) {
  await Promise.all(contexts.map((c) => c.watch()))
} else {
  const results = await Promise.all(contexts.map((c) => c.rebuild()))
  await Promise.all(contexts.map((c) => c.dispose()))
  const built = results.flatMap((r) => Object.keys(r.metafile.outputs)).map((file) => resolve(file))
  const notices = await writeNotices(results.flatMap((r) => Object.keys(r.metafile.inputs)))
  await removeStale(new Set([...built, notices, await writeOpenApi(), await writeParsersLock(), ...scripts]))
}

/** What is started by a Python; `pythonScript` finds it. */
async function copyScripts() {
  await mkdir('dist/python', { recursive: true })
  const copies = []
  for (const name of await readdir('shared/tools/python')) {
    if (!/\.(py|json)$/.test(name)) continue
    const copy = resolve('dist/python', name)
    await copyFile(resolve('shared/tools/python', name), `${copy}.new`)
    await rename(`${copy}.new`, copy)
    copies.push(copy)
  }
  return copies
}

/** The types of `loci/tool`, for developers who write tools. */
async function writeToolTypes() {
  const tsc = resolve('node_modules/typescript/bin/tsc')
  const source = 'shared/tools/source/tool.ts'
  const options = ['--ignoreConfig', '--declaration', '--emitDeclarationOnly', '--outDir', 'dist']
  await promisify(execFile)(process.execPath, [
    tsc,
    source,
    ...options,
    '--target',
    'es2024',
    '--types',
    'node',
  ])
  return resolve('dist/tool.d.ts')
}

/** The API document, made from the routes themselves; also in the package. */
async function writeOpenApi() {
  const { openApiDocument } = await import('./shared/server/openapi.ts')
  const file = resolve('dist/openapi.json')
  await writeFile(`${file}.new`, JSON.stringify(await openApiDocument()))
  await rename(`${file}.new`, file)
  return file
}

/** Of the lockfile what the heavy parsers are made of: what is installed where they did not come along. */
async function writeParsersLock() {
  const { packages } = JSON.parse(await readFile('package-lock.json', 'utf8'))
  const locked = {}
  const add = (from, name) => {
    // As Node resolves: the nearest folder upwards that has it.
    for (let place = from; ; place = place.slice(0, Math.max(0, place.lastIndexOf('/node_modules/')))) {
      const key = place === '' ? `node_modules/${name}` : `${place}/node_modules/${name}`
      if (packages[key]) {
        if (locked[key]) return
        const { dev: _, ...entry } = packages[key]
        locked[key] = entry
        for (const needed of Object.keys(entry.dependencies ?? {})) add(key, needed)
        return
      }
      if (place === '') throw new Error(`package-lock.json has no ${name}`)
    }
  }
  const parsers = ['mammoth', 'read-excel-file', 'unpdf']
  for (const name of parsers) add('', name)
  const dependencies = Object.fromEntries(
    parsers.map((name) => [name, packages[`node_modules/${name}`].version]),
  )
  const lock = { lockfileVersion: 3, requires: true, packages: { '': { dependencies }, ...locked } }
  const file = resolve('dist/parsers-lock.json')
  await writeFile(`${file}.new`, JSON.stringify(lock))
  await rename(`${file}.new`, file)
  return file
}

/** The licences of everything that is bundled, as they ask for. Fails for a package that brings none. */
async function writeNotices(inputs) {
  const packages = new Set(
    inputs.flatMap((input) => input.match(/^node_modules\/(?:@[^/]+\/)?[^/]+/)?.[0] ?? []),
  )
  const notices = []
  for (const folder of [...packages].sort()) {
    const { name, version, license } = JSON.parse(await readFile(`${folder}/package.json`, 'utf8'))
    const file = (await readdir(folder)).find((entry) => /^(licen[cs]e|copying)/i.test(entry))
    if (!file && !license) throw new Error(`${name} is bundled and names no licence`)
    const text = file ? await readFile(`${folder}/${file}`, 'utf8') : `Licensed under ${license}.`
    notices.push(`${name} ${version}${license ? ` (${license})` : ''}\n\n${text.trim()}\n`)
  }
  const head = 'Loci contains the following packages, under the licences given.\n'
  const target = resolve('dist/THIRD-PARTY-NOTICES.txt')
  await writeFile(target, [head, ...notices].join(`\n${'-'.repeat(80)}\n\n`))
  return target
}

/** Removes what an earlier build left, after the new files are there: dist is never without a working build. */
async function removeStale(fresh) {
  for (const entry of await readdir('dist', { recursive: true, withFileTypes: true })) {
    const file = resolve(entry.parentPath, entry.name)
    if (entry.isFile() && !fresh.has(file) && !file.startsWith(resolve('dist/test')))
      await rm(file, { force: true })
  }
}
