import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { VERSION } from '../../shared/schema/version.ts'

it('the version in the code is that of the package', () => {
  const file = new URL('../../package.json', import.meta.url)
  assert.equal(VERSION, (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version)
})
