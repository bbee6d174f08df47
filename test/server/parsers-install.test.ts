/** A Loci without its heavy parsers, as the extension ships it: they are installed when the first such file comes. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Letta from '@letta-ai/letta-client'
import { aPdf } from '../support/documents.ts'
import { eventually } from '../support/loci.ts'
import { type NpmRegistry, startNpmRegistry } from '../support/npm-registry.ts'

const DIST = join(import.meta.dirname, '..', '..', 'dist')
/** Parsers that find the same in every file. */
const UNPDF = `export const getDocumentProxy = async () => ({
  numPages: 1,
  getPage: async () => ({
    getTextContent: async () => ({ items: [{ str: 'Read by what was installed.', hasEOL: false }] }),
    cleanup() {},
  }),
})`

describe('parsers that did not come along', function () {
  this.timeout(120_000)
  let root: string
  let registry: NpmRegistry
  let open: () => void
  let child: ChildProcess | undefined
  beforeEach(async () => {
    const opens = Promise.withResolvers<void>()
    open = opens.resolve
    registry = await startNpmRegistry({ unpdf: UNPDF }, opens.promise)
    root = await mkdtemp(join(tmpdir(), 'loci-parsers-'))
    await cp(DIST, join(root, 'dist'), { recursive: true, filter: (path) => path !== join(DIST, 'parsers') })
    await writeFile(join(root, 'package.json'), '{"type": "module"}')
    await writeFile(join(root, 'dist', 'parsers-lock.json'), registry.lock())
  })
  afterEach(async () => {
    if (child && child.exitCode === null) {
      const gone = new Promise((resolve) => child?.once('exit', resolve))
      child.kill('SIGKILL')
      await gone
    }
    await registry.close()
    await rm(root, { recursive: true, force: true, maxRetries: 5 })
  })

  const start = async (more: Record<string, string> = {}) => {
    let output = ''
    child = spawn(process.execPath, [join(root, 'dist', 'loci.js'), 'server', '--port', '0'], {
      env: {
        PATH: process.env['PATH'],
        HOME: root,
        LOCI_HOME: join(root, 'data'),
        OLLAMA_BASE_URL: 'http://127.0.0.1:1',
        LMSTUDIO_BASE_URL: 'http://127.0.0.1:1',
        npm_config_cache: join(root, 'cache'),
        npm_config_registry: registry.url,
        ...more,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child.stdout?.on('data', (text: Buffer) => (output += text.toString()))
    child.stderr?.on('data', (text: Buffer) => (output += text.toString()))
    const url = await eventually('the server prints its URL', () => {
      if (child?.exitCode != null) throw new Error(output)
      return /http:\/\/127\.0\.0\.1:\d+/.exec(output)?.[0] ?? null
    })
    const letta = new Letta({ baseURL: url, apiKey: null, maxRetries: 0 })
    const folder_id = (await letta.folders.create({ name: 'papers' })).id
    const upload = async (name: string) =>
      (await letta.folders.files.upload(folder_id, { file: new File([new Uint8Array(aPdf('x'))], name) })).id
    const file = (id: string) => letta.folders.files.retrieve(id, { folder_id, include_content: true })
    const ended = (id: string) =>
      eventually(
        'the file is read',
        async () => {
          const now = await file(id)
          return ['completed', 'error'].includes(now.processing_status ?? '') ? now : null
        },
        60_000,
      )
    return { upload, file, ended }
  }

  it('are installed when they are needed, once, and the file says so meanwhile', async () => {
    const { upload, file, ended } = await start()
    const id = await upload('a.pdf')
    const waiting = await eventually('the file says what it waits for', async () => {
      const now = await file(id)
      return now.error_message == null ? null : now
    })
    assert.equal(waiting.processing_status, 'parsing')
    assert.match(
      waiting.error_message ?? '',
      /^The parsers for PDF, DOCX and XLSX are being installed with npm/,
    )
    open()
    const read = await ended(id)
    assert.deepEqual(
      [read.processing_status, read.error_message, read.content],
      ['completed', null, '[Page 1]\nRead by what was installed.'],
    )
    const asked = registry.hits.length
    assert.equal((await ended(await upload('b.pdf'))).processing_status, 'completed')
    assert.equal(registry.hits.length, asked)
  })

  it('are not installed where that is forbidden, and the file says what is missing', async () => {
    open()
    const { upload, ended } = await start({ LOCI_INSTALL_PARSERS: '0' })
    const read = await ended(await upload('a.pdf'))
    assert.deepEqual([read.processing_status, registry.hits], ['error', []])
    assert.match(read.error_message ?? '', /parsers for PDF, DOCX and XLSX are not here/)
  })
})
