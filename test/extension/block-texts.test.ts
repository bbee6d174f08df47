import assert from 'node:assert/strict'
import { changedLines, describeChange } from '../../extension/host/blocks/block-changes.ts'
import { addressOf, blockIdOf, versionAddress, versionOf } from '../../extension/host/blocks/block-address.ts'
import {
  BlockConflictError,
  BlockGoneError,
  countCharacters,
  createBlockTexts,
  type BlockTexts,
} from '../../extension/host/blocks/block-texts.ts'
import { limitLook } from '../../extension/host/blocks/limit-look.ts'
import { createOwners, makeAgain } from '../../extension/host/blocks/owners.ts'
import { createLibrary } from '../../extension/host/library.ts'
import { connect, type LociClient } from '../../shared/client/http.ts'
import { startLoci, type TestLoci } from '../support/loci.ts'

describe('the texts of blocks', () => {
  let loci: TestLoci
  let client: LociClient
  let texts: BlockTexts
  before(async () => {
    loci = await startLoci()
    client = connect({ url: loci.url })
    texts = createBlockTexts(() => Promise.resolve(client))
  })
  after(async () => {
    await client.close()
    await loci.close()
  })
  const make = async (value: string, more = {}) => {
    const { id } = await loci.letta.blocks.create({ label: 'human', value, ...more })
    return texts.read(id)
  }
  const valueOf = async (id: string) => (await loci.letta.blocks.retrieve(id)).value

  it('are saved over the version that they were read at', async () => {
    const block = await make('Name: Ada')
    assert.deepEqual([block.version, block.revision], [1, 1])
    const saved = await texts.save(block.id, 'Name: Ada\nLikes: tea', block)
    assert.deepEqual([saved.version, texts.known(block.id)?.value], [2, 'Name: Ada\nLikes: tea'])
    assert.equal(await valueOf(block.id), 'Name: Ada\nLikes: tea')
  })

  it('are never saved over what others wrote meanwhile', async () => {
    const block = await make('one')
    await loci.letta.blocks.update(block.id, { value: 'theirs' })
    await assert.rejects(texts.save(block.id, 'mine', block), (error) => {
      assert.ok(error instanceof BlockConflictError)
      assert.deepEqual([error.theirs.value, error.theirs.version], ['theirs', 2])
      return true
    })
    assert.equal(await valueOf(block.id), 'theirs')
    await texts.save(block.id, 'mine', { value: 'theirs', version: 2 })
    assert.equal(await valueOf(block.id), 'mine')
  })

  it('are in no conflict with a change of other fields, or with the same text', async () => {
    const block = await make('one')
    await loci.letta.blocks.update(block.id, { label: 'person', description: 'who' })
    const saved = await texts.save(block.id, 'two', block)
    assert.deepEqual([saved.label, saved.value, saved.version], ['person', 'two', 3])
    await loci.letta.blocks.update(block.id, { value: 'three' })
    assert.equal((await texts.save(block.id, 'three', saved)).version, 4)
  })

  it('of a server without versions are compared before they are saved', async () => {
    const block = await make('one')
    const base = { value: 'one', version: null }
    await loci.letta.blocks.update(block.id, { value: 'theirs' })
    await assert.rejects(texts.save(block.id, 'mine', base), BlockConflictError)
    await texts.save(block.id, 'mine', { value: 'theirs', version: null })
    assert.equal(await valueOf(block.id), 'mine')
  })

  it('say so when the block has been deleted', async () => {
    const block = await make('one')
    await loci.letta.blocks.delete(block.id)
    await assert.rejects(texts.save(block.id, 'two', block), BlockGoneError)
    assert.equal(texts.known(block.id), null)
    await assert.rejects(texts.read(block.id), BlockGoneError)
    await assert.rejects(texts.history(block.id, null), BlockGoneError)
  })

  it('may have five megabytes', async () => {
    const big = 'größer als man denkt\n'.repeat(250_000)
    const block = await make(big)
    const saved = await texts.save(block.id, `${big}!`, block)
    assert.equal(saved.value.length, big.length + 1)
    const { versions, more } = await texts.history(block.id, null)
    assert.deepEqual([versions.length, more], [1, true], 'one version with its text at a time')
  })

  it('have a history, page after page, and any version can be restored', async () => {
    const block = await make('1')
    for (let n = 2; n <= 60; n++) await loci.letta.blocks.update(block.id, { value: String(n) })
    const first = await texts.history(block.id, null)
    assert.deepEqual(
      [first.versions.length, first.versions[0]?.after, first.versions.at(-1)?.after, first.more],
      [50, '60', '11', true],
    )
    const second = await texts.history(block.id, 11)
    assert.deepEqual([second.versions[0]?.after, second.versions.length, second.more], ['10', 10, false])
    assert.equal(await texts.textAfter(block.id, 1), '1')
    assert.equal(await texts.textAfter(block.id, 60), '60')
    await assert.rejects(texts.textAfter(block.id, 61))
    await assert.rejects(texts.restore(block.id, 3, 59), BlockConflictError)
    const restored = await texts.restore(block.id, 3, 60)
    assert.deepEqual([restored.value, restored.version], ['3', 61])
  })
})

describe('the address of a block', () => {
  const block = (label: string) => ({ id: 'block-1', label })

  it('is readable, and the block is known by its id alone', () => {
    assert.deepEqual(addressOf(block('human'), 'Scout'), { path: '/Scout/human.md', query: 'block-1' })
    assert.deepEqual(addressOf(block('team'), null), { path: '/Memory/team.md', query: 'block-1' })
    assert.equal(blockIdOf('block-1'), 'block-1')
    assert.deepEqual([blockIdOf(''), blockIdOf('block-1@3'), blockIdOf('agent-1')], [null, null, null])
    const version = versionAddress('/Scout/human.md', 'block-1', 3)
    assert.deepEqual(versionOf(version.query), { block_id: 'block-1', version: 3 })
    assert.equal(versionOf('block-1'), null)
  })

  it('is one file for any label', () => {
    const paths = ['project/notes', '..', '.', ' ', 'a\\b', 'C:\nD', '人間', 'notes.md', '%2F?#&'].map(
      (label) => addressOf(block(label), null).path,
    )
    assert.deepEqual(paths, [
      '/Memory/project∕notes.md',
      '/Memory/block.md',
      '/Memory/block.md',
      '/Memory/block.md',
      '/Memory/a⧵b.md',
      '/Memory/C: D.md',
      '/Memory/人間.md',
      '/Memory/notes.md',
      '/Memory/%2F?#&.md',
    ])
    const long = addressOf(block('😀'.repeat(1000)), null).path
    assert.ok(long.length < 120 && long.isWellFormed(), long)
  })
})

describe('what a version changed', () => {
  const version = (before: string | null, after: string, changes = {}) => ({
    block_id: 'block-1',
    version: 2,
    before,
    after,
    changes,
    user_id: 'user-1',
    agent_id: null,
    run_id: null,
    created_at: '2026-11-01T10:00:00.000Z',
  })

  it('is told by the first line that came or went, or by the other fields', () => {
    const told = [
      version(null, 'x'),
      version('a\nb', 'a\nb\nLikes tea.'),
      version('a\nb', 'a'),
      version('a', 'a', { label: { before: 'a', after: 'b' }, read_only: { before: false, after: true } }),
      version('a', 'a'),
      version('a', 'a\n\n'),
    ].map(describeChange)
    assert.deepEqual(told, [
      'created',
      '+ Likes tea.',
      '− b',
      'changed its label, read only',
      'saved as it was',
      '2 characters more',
    ])
  })

  it('are lines of the new text; none of a text too large to compare', () => {
    assert.deepEqual(changedLines('a\nb\nc', 'a\nB\nc\nd'), [
      { start: 1, end: 2 },
      { start: 3, end: 4 },
    ])
    assert.deepEqual(changedLines('a\nb', 'a'), [])
    assert.deepEqual(changedLines('a\r\nb', 'a\nb'), [])
    assert.equal(changedLines('x'.repeat(400_000), 'y'), null)
  })

  it('counts characters as the server does', () => {
    assert.deepEqual(['', 'abc', 'größe', '😀!', '\ud83d'].map(countCharacters), [0, 3, 5, 2, 1])
  })
})

describe('the size of a block', () => {
  const look = (characters: number, more = {}) =>
    limitLook({ label: 'human', limit: 5_000, read_only: false, characters, ...more }, 'en')

  it('is told against its limit, and is a warning beyond it', () => {
    assert.deepEqual([look(1_234).text, look(1_234).over], ['$(note) 1,234 / 5,000', false])
    const over = look(5_001)
    assert.deepEqual([over.text, over.over], ['$(warning) 5,001 / 5,000', true])
    assert.match(over.tooltip, /1 more than its limit/)
    assert.deepEqual([look(5_000).over, look(9, { limit: 0 }).text], [false, '$(note) 9'])
    assert.match(look(1, { read_only: true }).tooltip, /agents can read it, and not change it/)
  })
})

describe('a deleted block that is made again', () => {
  it('has the new text, and the agents that had it and are still there', async () => {
    const loci = await startLoci()
    const client = connect({ url: loci.url })
    try {
      const create = (name: string) => loci.letta.agents.create({ name, model: 'loci/demo' })
      const [scout, gone] = [await create('Scout'), await create('Gone')]
      const made = await loci.letta.blocks.create({
        label: 'team',
        value: 'old',
        limit: 300,
        read_only: true,
      })
      for (const { id } of [scout, gone]) await loci.letta.agents.blocks.attach(made.id, { agent_id: id })
      const library = createLibrary(
        () => Promise.resolve(client),
        () => {},
      )
      await library.load()
      const owners = createOwners(library)
      owners.remember(made.id)
      await loci.letta.blocks.delete(made.id)
      await loci.letta.agents.delete(gone.id)
      await library.reload()
      owners.remember(made.id)
      const id = await makeAgain(client, owners.of(made.id), 'new')
      const { blocks } = await loci.letta.agents.retrieve(scout.id, { include: ['agent.blocks'] })
      assert.deepEqual(
        blocks.map((block) => [block.id, block.label, block.value, block.limit, block.read_only]),
        [[id, 'team', 'new', 300, true]],
      )
    } finally {
      await client.close()
      await loci.close()
    }
  })
})
