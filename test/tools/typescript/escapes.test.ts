import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DEFAULT_LIMITS, type LanguageTools } from '../../../shared/tools/sandbox/language-tools.ts'
import { createTypeScriptTools } from '../../../shared/tools/typescript/typescript-tools.ts'
import { tryTool } from '../../support/custom-tool.ts'
import { startLoci, type TestLoci } from '../../support/loci.ts'
import { testWalls } from '../../support/walls.ts'

/** What a tool tries, the body of its function, and what the model reads. */
type Attempt = [what: string, body: string, reads: RegExp]

const DENIED = /: a tool (starts no|loads no|uses no|opens no) |process\.binding/
const NO_MEMORY = /out of memory|allocat|Invalid array buffer length|Invalid typed array length/i
const NO_SERVER = /this tool has no network; a line '\/\/ loci: network' in its source declares it/
const NOT_THERE =
  /ENOENT|API requires full fs\.read|EACCES|EROFS|: a tool (reads|writes) its scratch folder and/
const ENDED = /its process ended before it returned/

/** `port` and `data` are those of a running Loci, `keys` is a folder of the user's. */
const attempts = (port: number, data: string, keys: string): Record<string, Attempt[]> => ({
  'more than its share': [
    ['an infinite loop', 'for (;;);', /took longer than 0\.7 s/],
    ['waiting for ever', 'await new Promise(() => undefined)', /took longer than 0\.7 s/],
    ['2 GB at once', 'return Buffer.alloc(2 ** 31, 1).length', NO_MEMORY],
    ['2 GB in buffers', 'const all = []; for (;;) all.push(Buffer.alloc(2 ** 26, 1))', NO_MEMORY],
    ['2 GB in objects', 'const all = []; for (;;) all.push(new Array(2 ** 17).fill(all.length))', NO_MEMORY],
    [
      '4 GB of WebAssembly',
      'return new WebAssembly.Memory({ initial: 65_536 }).buffer.byteLength',
      NO_MEMORY,
    ],
    [
      '4 GB of shared memory',
      'return new Uint8Array(new SharedArrayBuffer(2 ** 32)).fill(1).length',
      NO_MEMORY,
    ],
    [
      '1 GB of stdout',
      `for (let i = 0; i < 1024; i++) process.stdout.write('x'.repeat(2 ** 20))`,
      /more than 64 MB of output/,
    ],
    [
      '1 GB of stderr',
      `const { writeSync } = await import('node:fs'); const b = Buffer.alloc(2 ** 20); for (let i = 0; i < 1024; ) try { writeSync(2, b); i++ } catch {}`,
      /more than 64 MB of output/,
    ],
    [
      'a full scratch folder',
      `const { writeFileSync } = await import('node:fs'); for (let i = 0; ; i++) writeFileSync('/tmp/' + i, Buffer.alloc(2 ** 23))`,
      /ENOSPC/,
    ],
    [
      'files without end, all empty',
      `const { closeSync, openSync } = await import('node:fs'); for (let i = 0; ; i++) closeSync(openSync('/tmp/' + i, 'w'))`,
      /ENOSPC|more than 32768 files in its scratch folder/,
    ],
    [
      'a file that is too large',
      `const { openSync, writeSync } = await import('node:fs'); const f = openSync('/tmp/big', 'w'); writeSync(f, 'x', 2 ** 27)`,
      /EFBIG|ENOSPC/,
    ],
    [
      'requests without end',
      `const { setImmediate } = await import('node:timers/promises'); for (;;) { for (let i = 0; i < 100; i++) void (globalThis as any).client.blocks.list().catch(() => 0); await setImmediate() }`,
      /asked for more than 1000 things at once/,
    ],
    ['endless recursion', 'const f = (): number => f() + 1; return f()', /Maximum call stack/],
  ],
  'what is not JSON': [
    [
      'a circle',
      'const a: Record<string, unknown> = {}; a.a = a; return a',
      /cannot be written as JSON: Converting circular/,
    ],
    ['a BigInt', 'return 1n', /cannot be written as JSON: Do not know how to serialize a BigInt/],
    ['a function', 'return () => 1', /returned a function/],
    ['a symbol', `return Symbol('x')`, /returned a symbol/],
    ['100 MB', `return 'x'.repeat(1e8)`, /returned 95\.4 million characters; at most 8/],
    ['100 MB in a list', `return new Array(100).fill('x'.repeat(1e6))`, /million characters; at most 8/],
    [
      'a depth of a million',
      'let a: unknown = 1; for (let i = 0; i < 1e6; i++) a = [a]; return a',
      /cannot be written as JSON/,
    ],
    [
      'a toJSON that throws',
      `return { toJSON() { throw new Error('no') } }`,
      /cannot be written as JSON: no/,
    ],
    ['nothing of JSON', `return { toJSON: () => undefined }`, /nothing in JSON/],
  ],
  'files of the machine': [
    [
      '/etc/passwd',
      `const { readFileSync } = await import('node:fs'); return readFileSync('/etc/passwd', 'utf8')`,
      NOT_THERE,
    ],
    [
      'the data directory',
      `const { readdirSync } = await import('node:fs'); return readdirSync(${JSON.stringify(data)})`,
      NOT_THERE,
    ],
    [
      'keys of the user',
      `const { readFileSync } = await import('node:fs'); return readFileSync(${JSON.stringify(join(keys, 'id_ed25519'))}, 'utf8')`,
      NOT_THERE,
    ],
    [
      'a link to them',
      `const { symlinkSync, readFileSync } = await import('node:fs'); symlinkSync(${JSON.stringify(keys)}, '/tmp/keys'); return readFileSync('/tmp/keys/id_ed25519', 'utf8')`,
      NOT_THERE,
    ],
    [
      'a way out of scratch',
      `const { readFileSync } = await import('node:fs'); return readFileSync('/tmp/..' + ${JSON.stringify(join(keys, 'id_ed25519'))}, 'utf8')`,
      NOT_THERE,
    ],
    [
      'an import of them',
      `return Object.keys(await import(${JSON.stringify(join(keys, 'id_ed25519.json'))}, { with: { type: 'json' } }))`,
      /Cannot find module|restricted/,
    ],
    [
      'writing outside scratch',
      `const { writeFileSync } = await import('node:fs'); writeFileSync(${JSON.stringify(join(keys, 'planted'))}, 'x')`,
      NOT_THERE,
    ],
    [
      'writing over a program',
      `const { writeFileSync } = await import('node:fs'); writeFileSync(process.execPath, 'x')`,
      NOT_THERE,
    ],
    [
      'node:sqlite',
      `const { DatabaseSync } = await import('node:sqlite'); const db = new DatabaseSync(':memory:'); db.exec("ATTACH '${data}/loci.db' AS l; VACUUM INTO '/tmp/copy.db'")`,
      /No such built-in module: node:sqlite/,
    ],
    [
      'node:sqlite, required',
      `const { createRequire } = await import('node:module'); return String(createRequire('/tmp/x.js')('node:sqlite'))`,
      /No such built-in module: node:sqlite/,
    ],
  ],
  'the server and other processes': [
    [
      'a socket to the server',
      `const { connect } = await import('node:net'); const { once } = await import('node:events'); await once(connect(${port}, '127.0.0.1'), 'connect')`,
      NO_SERVER,
    ],
    ['fetch', `return (await fetch('http://127.0.0.1:${port}/v1/agents/')).status`, NO_SERVER],
    [
      'a fork bomb',
      `const { spawn } = await import('node:child_process'); for (;;) spawn(process.execPath, ['-e', 'for(;;);'])`,
      DENIED,
    ],
    [
      'a daemon',
      `const { spawn } = await import('node:child_process'); spawn('/bin/sleep', ['1000'], { detached: true, stdio: 'ignore' }).unref()`,
      DENIED,
    ],
    [
      'a shell in its own place',
      `process.execve!('/bin/sh', ['sh', '-c', 'cat /etc/shadow; sleep 1000 & exit 3'])`,
      /process\.execve|a tool starts no other programs|exit code 3|execve/,
    ],
    [
      'a thread',
      `const { Worker } = await import('node:worker_threads'); new Worker('for(;;);', { eval: true })`,
      DENIED,
    ],
    ['a cluster', `const cluster = (await import('node:cluster')).default; cluster.fork()`, DENIED],
    ['the inspector', `const { open } = await import('node:inspector'); open(9229, '127.0.0.1')`, DENIED],
    [
      'process.binding',
      `return String((process as unknown as { binding(name: string): unknown }).binding('spawn_sync'))`,
      DENIED,
    ],
    [
      'a native addon',
      `process.dlopen({ exports: {} }, '/usr/lib/x86_64-linux-gnu/libc.so.6')`,
      /a tool loads no native code|Cannot load native addon|DLOPEN/,
    ],
    [
      'WASI',
      `const { WASI } = await import('node:wasi'); return String(new WASI({ version: 'preview1', preopens: { '/': '/' } }))`,
      DENIED,
    ],
    ['another user', 'process.setuid!(0)', /EPERM|EINVAL/],
  ],
  'its own process': [
    ['process.exit', 'process.exit(0)', ENDED],
    ['process.abort', 'process.abort()', ENDED],
    [
      'an error nobody catches',
      `setTimeout(() => { throw new RangeError('later') }, 1); await new Promise(() => undefined)`,
      /RangeError: later/,
    ],
    [
      'a rejection nobody catches',
      `void Promise.reject(new RangeError('unheard')); await new Promise(() => undefined)`,
      /RangeError: unheard/,
    ],
    ['throwing null', 'throw null', /Error: null/],
    ['throwing what cannot be shown', `throw { toString() { throw new Error('no') } }`, /cannot be shown/],
    [
      'an error whose parts are traps',
      `throw Object.defineProperty(new Error('x'), 'stack', { get() { throw new Error('no') } })`,
      /Error: x/,
    ],
    [
      'no frame on the pipe',
      `const { writeSync } = await import('node:fs'); writeSync(3, 'GET / HTTP/1.1'); await new Promise(() => undefined)`,
      /sent more than 12 MB at once to Loci/,
    ],
    [
      'a wrong frame on the pipe',
      `const { writeSync } = await import('node:fs'); const b = Buffer.from('{"type":"drop_tables"}'); const n = Buffer.alloc(4); n.writeUInt32BE(b.length); writeSync(3, Buffer.concat([n, b])); await new Promise(() => undefined)`,
      /sent something that is no message to Loci/,
    ],
    [
      'a closed pipe',
      `const { closeSync } = await import('node:fs'); closeSync(3); return 1`,
      /ended before it returned|EBADF|took longer/,
    ],
    [
      'what is not among its requirements',
      `return Object.keys(await import('express'))`,
      /'express' is not there: name it in npm_requirements/,
    ],
  ],
})

for (const { kind } of await testWalls()) {
  describe(`what a TypeScript tool must not do, behind ${kind === 'none' ? 'no wall' : kind}`, () => {
    let loci: TestLoci
    let tools: LanguageTools
    let keys: string

    before(async () => {
      loci = await startLoci()
      keys = await mkdtemp(join(tmpdir(), 'loci-keys-'))
      await writeFile(join(keys, 'id_ed25519'), 'SECRET')
      await writeFile(join(keys, 'id_ed25519.json'), '{"SECRET":1}')
      const wall = (await testWalls([loci.data])).find((wall) => wall.kind === kind)
      assert.ok(wall)
      tools = createTypeScriptTools({
        wall,
        limits: DEFAULT_LIMITS,
        hide: [loci.data],
        requirements: () => Promise.reject(new Error('this test has no requirements')),
        // Answers when nobody waits any more.
        api: (_, { signal }) =>
          new Promise((resolve) => {
            signal.addEventListener('abort', () => resolve(Response.json({})))
          }),
      })
    })
    after(async () => {
      await tools.close()
      await loci.close()
      await rm(keys, { recursive: true })
    })

    // Without a wall a tool could do all of the rest: this process would be the first to go.
    const groups = Object.entries(attempts(0, '', '')).filter(
      ([group]) => kind !== 'none' || ['what is not JSON', 'its own process'].includes(group),
    )
    for (const [group, rows] of groups)
      describe(group, () => {
        for (const [index, [what]] of rows.entries())
          it(what, async () => {
            const attempt = attempts(Number(new URL(loci.url).port), loci.data, keys)[group]?.[index]
            assert.ok(attempt)
            const [, body, reads] = attempt
            const result = await tryTool(
              tools,
              'typescript',
              `export async function attempt() {\n${body}\n}`,
              {
                permissions: { timeout_ms: reads.source.includes('longer') ? 700 : 10_000, memory_mb: 256 },
              },
            )
            assert.equal(result.status, 'error', JSON.stringify(result))
            const text = result.func_response
            assert.ok(typeof text === 'string')
            assert.match(text, /^Error executing function attempt: /)
            assert.match(text, reads)
            assert.ok(text.length <= 1000)
            assert.doesNotMatch(JSON.stringify(result), /SECRET|--allow-/)
            assert.doesNotMatch(JSON.stringify(result.stderr), /stack trace -----|0x[0-9a-f]{6}/)
          })
      })

    it('sees no environment but its own', async () => {
      const source = 'export const attempt = () => ({ ...process.env })'
      const result = await tryTool(tools, 'typescript', source, { env: { OWN: 'secret of the tool' } })
      assert.ok(typeof result.func_response === 'string')
      const env = JSON.parse(result.func_response) as Record<string, string>
      assert.deepEqual(Object.keys(env).sort(), ['HOME', 'OWN', 'PATH', 'TMPDIR'])
      assert.equal(env['OWN'], 'secret of the tool')
    })

    for (const [what, target] of kind === 'none'
      ? []
      : [
          ['its parent', 'process.ppid'],
          ['its group', '0'],
          ['everybody', '-1'],
          ['the first process', '1'],
          ['the server', String(process.pid)],
        ])
      it(`kills nobody but itself: ${what}`, async () => {
        const source = `export function attempt() { return process.kill(${target}, 'SIGKILL') }`
        const result = await tryTool(tools, 'typescript', source)
        assert.ok(result.status === 'success' || /ended|ESRCH|EPERM/.test(JSON.stringify(result)))
      })

    it('leaves the server and the files of the machine as they were', async () => {
      assert.equal((await loci.http('GET', '/v1/health/')).status, 200)
      assert.equal((await loci.letta.agents.list()).items.length, 0)
      assert.deepEqual(loci.failures, [])
      assert.deepEqual((await readdir(keys)).sort(), ['id_ed25519', 'id_ed25519.json'])
      assert.equal(await readFile(join(keys, 'id_ed25519'), 'utf8'), 'SECRET')
    })
  })
}
