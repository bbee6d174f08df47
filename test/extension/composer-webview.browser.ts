/** The composer in a real Chromium: keys, mentions, images, limits, and what is given back. */
import assert from 'node:assert/strict'
import type { Locator } from 'playwright-core'
import { chatHtml } from '../../extension/host/chat/chat-html.ts'
import { matchFiles } from '../../extension/host/composer/match-files.ts'
import type { Draft } from '../../extension/composer-protocol.ts'
import {
  parseToHost,
  type NotificationEnvelope,
  type RequestEnvelope,
  type UserContent,
} from '../../extension/protocol.ts'
import { eventually } from '../support/loci.ts'
import { dropFile, pasteFile } from '../support/page-events.ts'
import { openWebview, type TestWebview } from '../support/webview.ts'

const FILES = ['src/kettle.ts', 'src/tea.ts', 'docs/tea.md'].map((path) => ({
  path,
  uri: `file:///w/${path}`,
}))

describe('the composer', () => {
  let view: TestWebview
  let input: Locator
  /** What the host was asked for, but for drafts. */
  const asked: RequestEnvelope[] = []
  const sent: UserContent[] = []
  let kept: Draft = { text: '', attachments: [] }
  /** A sentence with which the host refuses to send. */
  let refusal: string | null = null
  let turn: PromiseWithResolvers<void> | null = null
  let post: (envelope: unknown) => void = () => undefined
  const tell = (news: Omit<NotificationEnvelope, 'kind'>) => post({ kind: 'notification', ...news })

  /** The host, as far as the composer sees it. */
  const answer = (request: RequestEnvelope): unknown => {
    switch (request.method) {
      case 'chat.open':
        return {
          agent: { id: 'agent-1', name: 'Scout', model: 'openai/test-model' },
          conversation: null,
          history: { messages: [], earlier: false, aside: [] },
          turn: null,
          pending: null,
        }
      case 'chat.send': {
        if (refusal !== null) throw new Error(refusal)
        sent.push(request.params.content)
        if (turn) tell({ name: 'turn.started', params: { ...request.params, replaces: null } })
        return null
      }
      case 'chat.stop':
        turn?.resolve()
        return null
      case 'composer.open':
        return { draft: kept, conversation: 'Main conversation' }
      case 'composer.keep':
        kept = { text: request.params.text, attachments: request.params.attachments ?? kept.attachments }
        return null
      case 'composer.findFiles':
        return matchFiles(FILES, request.params.query, 30).map(({ uri, path }) => {
          const [folder = '', name = ''] = path.split('/')
          return { uri, name, folder }
        })
      case 'composer.attach':
        return request.params.uris.map((uri) => ({ kind: 'file', id: uri, uri, path: uri.slice(10) }))
      case 'composer.read':
        return request.params.uris.map((uri) => {
          if (uri.endsWith('.md')) throw new Error('docs/tea.md is not there any more.')
          return `text of ${uri}`
        })
      default:
        return null
    }
  }

  before(async () => {
    view = await openWebview({
      entry: 'extension/webview/chat.ts',
      size: { width: 700, height: 600 },
      html: (page) =>
        chatHtml({ ...page, agentId: 'agent-1', conversationId: null, place: 'editor', title: 'Scout' }),
      receive(value, reply) {
        post = reply
        const request = parseToHost(value)
        if (request?.kind !== 'request') return
        if (request.method !== 'composer.keep') asked.push(request)
        try {
          reply({ kind: 'reply', id: request.id, result: answer(request) })
        } catch (error) {
          reply({ kind: 'reply', id: request.id, error: (error as Error).message })
        }
      },
    })
    input = view.page.locator('loci-composer textarea')
    await view.page.locator('loci-composer textarea:enabled').waitFor()
  })
  after(() => view?.close())
  beforeEach(() => {
    sent.length = 0
    asked.length = 0
    refusal = null
    turn = null
  })
  const given = (label: string) => eventually(label, () => sent.at(-1) ?? null)
  const chip = (name: string) => view.page.locator('.chip', { hasText: name })
  const notice = () => view.page.locator('.notice')
  const paste = (name: string, type: string, bytes: number) => pasteFile(input, { name, type, bytes })

  it('sends with Enter and begins a line with Shift+Enter', async () => {
    await input.pressSequentially('one')
    await input.press('Shift+Enter')
    await input.pressSequentially('two')
    await input.press('Enter')
    assert.equal(await given('the message'), 'one\ntwo')
    assert.equal(await input.inputValue(), '')
    await input.press('Enter')
    assert.equal(sent.length, 1, 'an empty message is not sent')
  })

  it('mentions files by keys alone, says how many there are, and sends their texts', async () => {
    await input.pressSequentially('Compare @tea')
    await view.page.getByRole('option').nth(1).waitFor()
    await view.page.getByRole('status').filter({ hasText: '2 files' }).waitFor()
    const active = () => input.getAttribute('aria-activedescendant')
    const first = await active()
    await input.press('ArrowDown')
    assert.notEqual(await active(), first)
    await input.press('ArrowUp')
    await input.press('Tab')
    await chip('tea.ts').waitFor()
    assert.equal(await input.inputValue(), 'Compare @tea.ts ')
    await input.pressSequentially('@ket')
    await view.page.getByRole('option', { name: 'kettle.ts' }).waitFor()
    await input.press('Escape')
    await view.page.getByRole('listbox').waitFor({ state: 'detached' })
    await input.press('Enter')
    const content = (await given('the message')) as string
    assert.match(
      content,
      /^Compare @tea\.ts @ket\n\n<attachment path="src\/tea\.ts">\ntext of file:\/\/\/w\/src\/tea\.ts\n/,
    )
    assert.equal(await chip('tea.ts').count(), 0)
  })

  it('keeps everything when a file cannot be read, and says which one', async () => {
    await input.pressSequentially('Read @tea.md')
    await view.page.getByRole('option', { name: 'tea.md' }).click()
    await chip('tea.md').waitFor()
    await input.press('Enter')
    await notice().filter({ hasText: 'docs/tea.md is not there any more.' }).waitFor()
    assert.equal(await input.inputValue(), 'Read @tea.md ')
    assert.equal(sent.length, 0)
    await view.page.getByRole('button', { name: 'Remove tea.md' }).click()
    await chip('tea.md').waitFor({ state: 'detached' })
    await input.fill('')
  })

  it('takes images that are pasted, and says what is too large or no image', async () => {
    await paste('shot.png', 'image/png', 100)
    await chip('shot.png').waitFor()
    await paste('shot.png', 'image/png', 100)
    await paste('huge.png', 'image/png', 5 * 1024 * 1024 + 1)
    await notice().filter({ hasText: 'huge.png has 5.1 MB; an image may have 5 MB.' }).waitFor()
    await paste('plan.pdf', 'application/pdf', 100)
    await notice().filter({ hasText: 'plan.pdf is no image' }).waitFor()
    assert.equal(await view.page.locator('.chip').count(), 1)
    await view.page.getByRole('button', { name: 'Send' }).click()
    const content = await given('the message')
    assert.deepEqual(content, [
      {
        type: 'image',
        source: { type: 'base64', media_type: 'image/png', data: Buffer.alloc(100).toString('base64') },
      },
    ])
  })

  it('takes files that are dropped', async () => {
    await dropFile(input, 'file:///w/src/kettle.ts')
    await chip('kettle.ts').waitFor()
  })

  it('gives back what was refused, and is as it was after the tab was hidden', async () => {
    refusal = 'The agent is still answering. Stop it first, or wait.'
    await input.fill('And now?')
    await input.press('Enter')
    await notice().filter({ hasText: 'still answering' }).waitFor()
    assert.equal(await input.inputValue(), 'And now?')
    await chip('kettle.ts').waitFor()
    await eventually('the draft', () =>
      kept.text === 'And now?' && kept.attachments.length === 1 ? true : null,
    )
    await view.reload()
    await chip('kettle.ts').waitFor()
    assert.equal(await input.inputValue(), 'And now?')
  })

  it('takes what was written after VS Code kept its state', async () => {
    await input.fill('And now')
    await eventually('the older draft', () => (kept.text === 'And now' ? true : null))
    kept = { text: 'Something else', attachments: [] }
    await view.reload()
    await eventually('the newer draft', async () =>
      (await input.inputValue()) === 'Something else' ? true : null,
    )
  })

  it('attaches a long text that is pasted, and refuses what cannot be attached', async () => {
    const line = 'x'.repeat(79).concat('\n')
    await input.fill('Read this:')
    await view.page.keyboard.insertText(line.repeat(3000))
    await chip('pasted text:1-3000').waitFor()
    assert.equal(await input.inputValue(), 'Read this:')
    await view.page.keyboard.insertText(line.repeat(65_000))
    await notice()
      .filter({ hasText: 'pasted text:1-65000 has 5 MB; at most 256 KB can be attached.' })
      .waitFor()
    await chip('pasted text:1-3000').getByRole('button').click()
    await chip('pasted text:1-3000').waitFor({ state: 'detached' })
    assert.equal(await input.inputValue(), 'Read this:')
  })

  it('gets what is added from elsewhere, once', async () => {
    const selection = { kind: 'selection' as const, path: 'src/tea.ts', from: 1, to: 2, text: 'x' }
    tell({ name: 'composer.added', params: { attachments: [{ ...selection, id: 'a' }] } })
    await chip('tea.ts:1-2').waitFor()
    tell({ name: 'composer.added', params: { attachments: [{ ...selection, id: 'b' }] } })
    tell({ name: 'composer.added', params: { attachments: [{ ...selection, from: 2, id: 'c' }] } })
    await chip('tea.ts:2').waitFor()
    assert.equal(await chip('tea.ts:1-2').count(), 1)
  })

  it('stops the answer with Escape, and writing goes on meanwhile', async () => {
    turn = Promise.withResolvers()
    await input.fill('Go')
    await input.press('Enter')
    await view.page.getByRole('button', { name: 'Stop the answer' }).waitFor()
    await input.fill('Next')
    await input.press('Enter')
    assert.equal(await input.inputValue(), 'Next', 'Enter waits for the end of the answer')
    await input.press('Escape')
    await turn.promise
    await input.fill('')
  })

  it('asks the host for another conversation, model or context', async () => {
    for (const name of ['Conversation: Main conversation', 'Model: openai/test-model', 'Add context'])
      await view.page.getByRole('button', { name }).click()
    await eventually('three requests', () =>
      ['composer.pickConversation', 'composer.pickModel', 'composer.pickContext'].every((method) =>
        asked.some((request) => request.method === method),
      )
        ? true
        : null,
    )
    assert.deepEqual(view.problems, [])
  })
})
