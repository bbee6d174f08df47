import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { plural, t } from '../../extension/host/l10n.ts'
import { BUNDLE, hostTexts, textsOf } from '../support/host-texts.ts'

const root = join(import.meta.dirname, '..', '..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')

describe('the texts of the extension', () => {
  it('are all in the bundle, and no others (npm run l10n writes it)', () => {
    const bundle = JSON.parse(readFileSync(BUNDLE, 'utf8')) as Record<string, string>
    assert.deepEqual(Object.keys(bundle).sort(), hostTexts())
    assert.ok(Object.keys(bundle).length > 200)
  })

  it('of the manifest are all in package.nls.json, and no others', () => {
    const named = [...read('package.json').matchAll(/"%([\w.-]+)%"/g)].map(([, name]) => name)
    const texts = JSON.parse(read('package.nls.json')) as Record<string, string>
    assert.deepEqual(Object.keys(texts).sort(), [...new Set(named)].sort())
    assert.deepEqual(
      Object.entries(texts).filter(([, text]) => text.trim() === ''),
      [],
    )
  })

  it('of the manifest that a user reads are none of its own', () => {
    const { contributes } = JSON.parse(read('package.json')) as { contributes: Record<string, unknown> }
    const plain: string[] = []
    const visit = (value: unknown, path: string) => {
      if (typeof value === 'object' && value !== null)
        // What models are told is English.
        for (const [key, child] of Object.entries(value))
          if (key !== 'inputSchema') visit(child, `${path}.${key}`)
      const isText = /\.(title|description|markdownDescription|contents|placeholder|patternErrorMessage)$/
      if (typeof value === 'string' && isText.test(path) && !/^%.*%$/.test(value))
        plain.push(`${path}: ${value}`)
    }
    visit(contributes, 'contributes')
    assert.deepEqual(
      plain.filter((text) => !text.endsWith(': Loci')),
      [],
    )
  })

  it('are English, with what they are given, until VS Code looks them up', () => {
    assert.equal(t('{0} of {1}, {0}', 'a', 3), 'a of 3, a')
    assert.equal(t('{0} and {1}', 'a'), 'a and {1}')
    assert.deepEqual(
      [plural(1, '{0} tool', '{0} tools'), plural(2, '{0} tool', '{0} tools')],
      ['1 tool', '2 tools'],
    )
  })

  it('have to be written out where they are used', () => {
    const source =
      "const a = t('one {0}', x) + plural(n, 'two', 'tw' + 'os') + vscode.l10n.t(`three`) + set('four')"
    assert.deepEqual(textsOf(source, 'x.ts'), ['one {0}', 'two', 'twos', 'three'])
    assert.throws(() => textsOf('t(text)', 'x.ts'), /x\.ts:1: a text is written out/)
  })
})
