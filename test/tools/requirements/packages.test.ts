import assert from 'node:assert/strict'
import { npmPackages, pipPackages } from '../../../shared/tools/requirements/packages.ts'

const refusal = {
  code: 'invalid_argument',
  message: /cannot be a (pip|npm) requirement: name a package of the index/,
}

describe('requirements of tools', () => {
  it('are packages of pip by name and version, in one order', () => {
    assert.deepEqual(
      pipPackages([
        { name: 'requests', version: '2.32.0' },
        { name: 'numpy' },
        { name: 'pandas', version: '>=2, <3' },
        { name: 'httpx[http2, socks]', version: '~=0.28' },
        { name: 'A.b_c-d', version: '==1.*' },
      ]),
      ['A.b_c-d==1.*', 'httpx[http2, socks]~=0.28', 'numpy', 'pandas>=2,<3', 'requests==2.32.0'],
    )
  })

  it('are packages of npm by name and range, in one order', () => {
    assert.deepEqual(
      npmPackages([
        { name: 'zod', version: '^4.1.0' },
        { name: '@scope/name', version: '>=1.2 <2 || 3.x' },
        { name: 'left-pad', version: null },
        { name: 'chalk', version: 'latest' },
        { name: 'b', version: '1.0.0 - 2.0.0' },
      ]),
      [
        ['@scope/name', '>=1.2 <2 || 3.x'],
        ['b', '1.0.0 - 2.0.0'],
        ['chalk', 'latest'],
        ['left-pad', '*'],
        ['zod', '^4.1.0'],
      ],
    )
  })

  for (const name of [
    '',
    '--index-url evil',
    '-r /etc/passwd',
    'git+https://example.org/a.git',
    'https://example.org/a.whl',
    '../x',
    './x',
    '/etc/x',
    'a b',
    'a;b',
    'a @ file:///etc/passwd',
    'a\n--index-url evil',
    'a#egg=b',
    '.',
    '-',
    'a==1 --hash=b',
  ])
    it(`are never ${JSON.stringify(name)}`, () => {
      assert.throws(() => pipPackages([{ name }]), refusal)
      assert.throws(() => npmPackages([{ name }]), refusal)
    })

  for (const version of [
    '--index-url evil',
    'git+https://example.org/a.git',
    'npm:other@1',
    'file:../x',
    '../x',
    'user/repo',
    '1.0 --pre',
    '1.0\n-r x',
    '1.0; python_version > "3"',
    '@ https://example.org',
    '>=',
    '$(id)',
    '`id`',
    '1 & calc',
  ])
    it(`have no version ${JSON.stringify(version)}`, () => {
      assert.throws(() => pipPackages([{ name: 'a', version }]), refusal)
      assert.throws(() => npmPackages([{ name: 'a', version }]), refusal)
    })
})
