import assert from 'node:assert/strict'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  contentOf,
  LIMITS,
  parseDraft,
  refusalOf,
  reworded,
  splitAttachments,
  type Attachment,
} from '../../extension/composer-protocol.ts'
import { createDrafts } from '../../extension/host/composer/drafts.ts'
import { matchFiles } from '../../extension/host/composer/match-files.ts'
import { parseToHost } from '../../extension/protocol.ts'
import { completed, mentionAt } from '../../extension/webview/composer/mentions.ts'
import { temporaryFolder } from '../support/cli-process.ts'

const file = (path: string): Attachment => ({ kind: 'file', id: path, uri: `file:///w/${path}`, path })
const selection = (text: string): Attachment => ({
  kind: 'selection',
  id: 's',
  path: 'src/a.ts',
  from: 3,
  to: 5,
  text,
})
const image = (bytes = 30): Attachment => ({
  kind: 'image',
  id: `i${bytes}`,
  name: 'shot.png',
  media_type: 'image/png',
  data: 'A'.repeat(Math.ceil((bytes * 4) / 3)),
})
const failing = (error: unknown) => assert.fail(String(error))

describe('what is sent for a draft', () => {
  it('is the text alone where nothing is attached', () => {
    assert.equal(contentOf({ text: ' Hello \n', attachments: [] }, []), 'Hello')
  })

  it('has files and selections behind the text, and can be taken apart again', () => {
    const draft = {
      text: 'Explain',
      attachments: [file('src/b"c.ts'), selection('three\n\nlines'), file('d.ts')],
    }
    const content = contentOf(draft, ['text of b', 'text of d'])
    assert.equal(typeof content, 'string')
    assert.deepEqual(splitAttachments(content as string), {
      text: 'Explain',
      attached: [
        { name: 'src/b"c.ts', text: 'text of b' },
        { name: 'src/a.ts:3-5', text: 'three\n\nlines' },
        { name: 'd.ts', text: 'text of d' },
      ],
    })
  })

  it('has images as parts', () => {
    const [text, picture] = contentOf({ text: 'See', attachments: [image()] }, [])
    assert.deepEqual(text, { type: 'text', text: 'See' })
    assert.deepEqual(picture, {
      type: 'image',
      source: { type: 'base64', media_type: 'image/png', data: 'A'.repeat(40) },
    })
    assert.equal(contentOf({ text: ' ', attachments: [image()] }, []).length, 1)
  })

  it('shows a text that only looks like an attachment as it was written', () => {
    for (const text of [
      'a\n\n<attachment path="x">\nno end',
      '<attachment path="x"> in a line </attachment>',
    ])
      assert.deepEqual(splitAttachments(text), { text, attached: [] })
  })

  it('keeps what was attached when the message is said in other words', () => {
    const sent = contentOf({ text: 'Explain', attachments: [selection('x')] }, []) as string
    const again = reworded('Shorten', sent, [])
    assert.deepEqual(splitAttachments(again as string), {
      text: 'Shorten',
      attached: [{ name: 'src/a.ts:3-5', text: 'x' }],
    })
    const parts = reworded('Shorten', 'Explain', ['data:image/png;base64,AAAA', 'https://example.com/x.png'])
    assert.deepEqual(parts, [
      { type: 'text', text: 'Shorten' },
      { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } },
    ])
  })
})

describe('attachments', () => {
  it('are refused with what is too much, and how much may be', () => {
    assert.equal(refusalOf([file('a'), image()]), null)
    assert.match(refusalOf([image(LIMITS.image + 1000)]) ?? '', /shot\.png has 5\.1 MB; at most 5 MB can be/)
    assert.match(
      refusalOf([selection('x'.repeat(LIMITS.file + 1))]) ?? '',
      /a\.ts:3-5 has 257 KB; at most 256 KB/,
    )
    assert.match(refusalOf(Array.from({ length: 11 }, () => image())) ?? '', /at most 10 images.*11/)
    assert.match(refusalOf(Array.from({ length: 21 }, () => file('a'))) ?? '', /at most 20 attachments.*21/)
    assert.match(refusalOf(Array.from({ length: 5 }, () => image(4.9e6))) ?? '', /23\.4 MB together.*20 MB/)
  })

  it('are read from what a webview sends, and nothing else is', () => {
    const draft = { text: 'x', attachments: [file('a'), selection('b'), image()] }
    assert.deepEqual(parseDraft(structuredClone(draft)), draft)
    for (const bad of [{ kind: 'file', id: 'x' }, { ...image(), media_type: 'image/svg+xml' }, null])
      assert.equal(parseDraft({ text: '', attachments: [bad] }), null)
    const envelope = {
      kind: 'request',
      id: 1,
      method: 'composer.keep',
      params: { text: 'x', attachments: null },
    }
    assert.deepEqual(parseToHost(envelope), envelope)
    assert.equal(parseToHost({ ...envelope, params: { text: 'x', attachments: 'all' } }), null)
  })
})

describe('a mention', () => {
  it('is what follows an @ at the cursor, at the beginning of a word', () => {
    assert.deepEqual(mentionAt('see @src/a', 10), { start: 4, query: 'src/a' })
    assert.deepEqual(mentionAt('(@', 2), { start: 1, query: '' })
    for (const text of ['ada@example.com', 'see @a b', 'see'])
      assert.equal(mentionAt(text, text.length), null, text)
    assert.equal(mentionAt('@a b', 4), null)
  })

  it('becomes the name of the file, with the cursor behind it', () => {
    const { text, cursor } = completed('see @par and', { start: 4, query: 'par' }, 'parts.ts')
    assert.equal(text, 'see @parts.ts and')
    assert.equal(text.slice(0, cursor), 'see @parts.ts ')
  })

  it('finds files by letters of their path, the best first', () => {
    const files = [
      'test/parts.test.ts',
      'src/parts.ts',
      'src/particles/a.ts',
      'lib/p-a-r.ts',
      'README.md',
    ].map((path) => ({ path }))
    const found = (query: string) => matchFiles(files, query, 3).map(({ path }) => path)
    assert.deepEqual(found('parts'), ['src/parts.ts', 'test/parts.test.ts', 'lib/p-a-r.ts'])
    assert.deepEqual(found('PAR'), ['src/parts.ts', 'test/parts.test.ts', 'src/particles/a.ts'])
    assert.deepEqual(found('rdm'), ['README.md'])
    assert.deepEqual(found('src/par'), ['src/parts.ts', 'src/particles/a.ts'])
    assert.deepEqual(found('zzz'), [])
    assert.equal(found('').length, 3)
  })
})

describe('drafts', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  beforeEach(async () => {
    folder = await temporaryFolder()
  })
  afterEach(() => folder.remove())

  it('are there again after a restart, for each conversation', async () => {
    const drafts = createDrafts(folder.path, failing)
    await drafts.keep('agent-1/', 'half a sentence', [file('a.ts'), image()])
    await drafts.keep('agent-1/conv-2', 'other', [])
    await drafts.keep('agent-1/', 'half a sentence more', null)
    await drafts.settled()
    const again = createDrafts(folder.path, failing)
    assert.deepEqual(await again.read('agent-1/'), {
      text: 'half a sentence more',
      attachments: [file('a.ts'), image()],
    })
    assert.equal((await again.read('agent-1/conv-2')).text, 'other')
    assert.deepEqual(await again.read('agent-1/conv-3'), { text: '', attachments: [] })
  })

  it('leave nothing on disk when they are sent', async () => {
    const drafts = createDrafts(folder.path, failing)
    await drafts.keep('a/', 'x', [image()])
    await drafts.settled()
    assert.equal((await readdir(folder.path)).length, 1)
    await drafts.keep('a/', '', [])
    await drafts.settled()
    assert.deepEqual(await readdir(folder.path), [])
  })

  it('keep many large images in memory alone', async () => {
    const drafts = createDrafts(folder.path, failing)
    await drafts.keep('a/', 'x', [image(3e6), file('a.ts'), image(3.1e6)])
    await drafts.settled()
    assert.equal((await drafts.read('a/')).attachments.length, 3)
    assert.deepEqual((await createDrafts(folder.path, failing).read('a/')).attachments, [file('a.ts')])
  })

  it('tell when the disk refuses them, and are kept all the same', async () => {
    const file = join(folder.path, 'file')
    await writeFile(file, '')
    const drafts = createDrafts(file, failing)
    await drafts.keep('a/', 'x', [])
    await assert.rejects(drafts.settled(), { code: 'EEXIST' })
    assert.equal((await drafts.read('a/')).text, 'x')
  })
})
