import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

const ROOT = join(import.meta.dirname, '..', '..')

/** A file of each room, an import that passes a door the wrong way, and one that may pass. */
const DOORS: [file: string, wrong: string, right: string][] = [
  ['shared/schema/a.ts', '../core/ports/store.ts', 'zod'],
  ['shared/core/a.ts', '../store/sqlite/sqlite-store.ts', '../schema/ids.ts'],
  ['shared/core/a.ts', 'node:fs', './ports/store.ts'],
  ['shared/core/ports/a.ts', '../../store/sqlite/sqlite-store.ts', '../../schema/ids.ts'],
  ['shared/store/sqlite/a.ts', '../../server/app.ts', '../../core/ports/store.ts'],
  ['shared/models/a.ts', '../store/sqlite/sqlite-store.ts', 'openai'],
  ['shared/tools/a.ts', '../models/demo.ts', '../core/ports/store.ts'],
  ['shared/config/a.ts', '../core/ports/store.ts', 'lowdb'],
  ['shared/server/routes/a.ts', '../../store/sqlite/sqlite-store.ts', '../../core/ports/store.ts'],
  [
    'shared/server/routes/simple/a.ts',
    '../../../store/sqlite/sqlite-store.ts',
    '../../../core/ports/store.ts',
  ],
  ['shared/client/http.ts', '../server/main.ts', '@letta-ai/letta-client'],
  ['cli/commands/chat.ts', '../../shared/server/main.ts', '../../shared/client/http.ts'],
  ['cli/commands/a.ts', '../../shared/store/sqlite/sqlite-store.ts', 'commander'],
  ['mcp-server/a.ts', '../shared/client/in-process.ts', '../shared/client/http.ts'],
  ['extension/host/a.ts', '../../shared/client/in-process.ts', '../../shared/client/http.ts'],
  ['extension/webview/a.ts', '../host/extension.ts', '../protocol.ts'],
  ['extension/webview/composer/a.ts', '../../host/extension.ts', '../icons.ts'],
  ['extension/webview/composer/a.ts', '../context/context.ts', '../../composer-protocol.ts'],
]

describe('the doors between the rooms', () => {
  let root: string
  before(() => {
    root = mkdtempSync(join(tmpdir(), 'loci-doors-'))
    cpSync(join(ROOT, '.oxlintrc.json'), join(root, '.oxlintrc.json'))
  })
  after(() => rmSync(root, { recursive: true, force: true }))

  const complaints = (file: string, specifier: string): string => {
    mkdirSync(dirname(join(root, file)), { recursive: true })
    writeFileSync(join(root, file), `import { a } from '${specifier}'\nexport const b = a\n`)
    const oxlint = join(ROOT, 'node_modules', 'oxlint', 'bin', 'oxlint')
    const { stdout, stderr } = spawnSync(process.execPath, [oxlint, file], { cwd: root, encoding: 'utf8' })
    rmSync(join(root, file))
    assert.match(stdout, /Found \d+ warning/, stderr)
    return stdout.includes('no-restricted-imports') ? stdout : ''
  }

  for (const [file, wrong, right] of DOORS)
    it(`${file} may import ${right}, not ${wrong}`, () => {
      assert.notEqual(complaints(file, wrong), '')
      assert.equal(complaints(file, right), '')
    })
})
