import assert from 'node:assert/strict'
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sandboxProfile } from '../../../shared/tools/sandbox/sandbox-exec.ts'

// It runs on macOS only; here is what is known of it without one.
describe('the profile of macOS', () => {
  let folder: string
  before(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), 'loci "(allow default)-')))
  })
  after(() => rm(folder, { recursive: true }))

  const profileOf = (network: boolean, namespaces = false) =>
    sandboxProfile(
      {
        command: process.execPath,
        args: [],
        env: {},
        read: [folder],
        write: [],
        network,
        namespaces,
        limits: { memory_mb: 1, cpu_s: 1, processes: 1, file_mb: 1, scratch_mb: 1 },
        pipes: 1,
      },
      folder,
    )

  it('denies all that it does not name', () => {
    const { profile } = profileOf(false)
    assert.match(profile, /^\(version 1\)\n\(deny default\)\n/)
    assert.doesNotMatch(
      profile,
      /allow default|network|process-fork|mach-lookup|\(allow signal \(target others\)\)/,
    )
    assert.match(profileOf(true).profile, /network-outbound/)
    assert.match(profileOf(false, true).profile, /process-fork/)
  })

  it('takes every path as a parameter, so that none can be read as a rule', () => {
    const { profile, parameters } = profileOf(true)
    assert.ok(!profile.includes(folder))
    assert.ok(parameters.some(([, path]) => path === folder))
    for (const [name] of parameters) assert.equal(profile.split(`(param "${name}")`).length, 2)
    const count = (mark: string) => profile.split(mark).length
    assert.equal(count('('), count(')'))
  })
})
