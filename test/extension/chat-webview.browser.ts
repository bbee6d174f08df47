import assert from 'node:assert/strict'
import type { LastingServer } from '../../extension/host/chat/chat-session.ts'
import { connect, describeFailure, type LociClient } from '../../shared/client/http.ts'
import { openChatBrowser, type ChatBrowser, type ChatPage } from '../support/chat-page.ts'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { startScriptedModel, type ScriptedModel } from '../support/scripted-model.ts'

// What functions that run in the page use of it: Node's types know no page.
interface PageElement {
  textContent: string | null
  className: string
  localName: string
  scrollHeight: number
  shadowRoot: (PageElement & { activeElement: PageElement | null }) | null
  querySelector(selector: string): PageElement | null
}
declare const window: { owned?: unknown; told: string[] }
declare const document: PageElement
declare function requestAnimationFrame(callback: (time: number) => void): number
declare class MutationObserver {
  constructor(callback: () => void)
  observe(target: PageElement, options: { childList: boolean }): void
}

describe('the chat in a browser', function () {
  this.timeout(60_000)
  let model: ScriptedModel
  let loci: TestLoci
  let client: LociClient
  let browser: ChatBrowser
  let server: LastingServer
  let agent_id: string
  let chat: ChatPage
  before(async () => {
    model = await startScriptedModel()
    loci = await startLoci({ model_url: model.url })
    client = connect({ url: loci.url })
    server = {
      client: () => Promise.resolve(client),
      describe: (thrown: unknown) => Promise.resolve(describeFailure(thrown, client.url)),
      back: () => Promise.resolve(client),
    }
    browser = await openChatBrowser()
  })
  beforeEach(async () => {
    const memory_blocks = [{ label: 'human', value: 'Name: unknown\nLives in: unknown\n' }]
    agent_id = (await loci.letta.agents.create({ name: 'Scout', model: SCRIPTED, memory_blocks })).id
    chat = await browser.open({ agent_id, conversation_id: null }, server)
    await chat.page.locator('loci-composer textarea:enabled').waitFor()
  })
  afterEach(async () => {
    await chat.close()
  })
  after(async () => {
    await browser.close()
    await client.close()
    await loci.close()
    await model.close()
    await model.done()
  })
  const say = async (text: string, ...replies: Parameters<ScriptedModel['add']>[0]['reply'][]) => {
    model.add(...replies.map((reply) => ({ reply })))
    const ended = Promise.withResolvers<void>()
    const deaf = chat.chat.session.listen((news) => {
      if (news.name === 'turn.ended') ended.resolve()
    })
    await chat.send(text)
    await ended.promise
    deaf()
    await idle()
  }
  const idle = () => chat.page.locator('[role="log"][aria-busy="false"]').waitFor()
  const texts = (selector: string) => chat.page.locator(selector).allInnerTexts()
  const valueOf = async () => (await loci.letta.agents.blocks.retrieve('human', { agent_id })).value

  it('draws an answer with code in colours, and copies and inserts that code', async () => {
    await say('Code?', { text: 'Here:\n\n```ts\nconst a: number = 1 // one\n```\n' })
    await chat.page.locator('.code .hljs-keyword', { hasText: 'const' }).waitFor()
    await chat.page.getByRole('button', { name: 'Copy', exact: true }).last().focus()
    await chat.page.locator('[data-act="copy"]').click()
    await chat.page.locator('[data-act="insert"]').click()
    const text = 'const a: number = 1 // one'
    assert.deepEqual(chat.commands, [
      { kind: 'command', command: 'code.copy', params: { text } },
      { kind: 'command', command: 'code.insert', params: { text } },
    ])
    assert.deepEqual(chat.errors, [], 'the policy of the page was not in the way')
  })

  it('shows a memory edit as a small diff, takes it back, and keeps what came after', async () => {
    const call = (old_string: string, new_string: string) => ({
      name: 'memory_replace',
      arguments: { label: 'human', old_string, new_string },
    })
    await say('I am Ada', { tool_calls: [call('Name: unknown', 'Name: Ada')] }, { text: 'Hello Ada' })
    await say('In London', { tool_calls: [call('in: unknown', 'in: London')] }, { text: 'Nice' })
    const diffs = chat.page.locator('figure.memory')
    await diffs.nth(1).waitFor()
    assert.match(
      (await diffs.first().innerText()).replaceAll(/\s+/g, ' '),
      /human \+1 −1 Undo − ?Name: unknown \+ ?Name: Ada/,
    )
    assert.deepEqual(await texts('figure.memory >> nth=0 >> .added mark'), ['Ada'])
    await diffs.first().getByRole('button', { name: 'Undo' }).click()
    await eventually('the first edit is taken back', async () =>
      (await valueOf()) === 'Name: unknown\nLives in: London\n' ? true : null,
    )
    await diffs.nth(1).getByRole('button', { name: 'Undo' }).click()
    await eventually('the second edit is taken back', async () =>
      (await valueOf()) === 'Name: unknown\nLives in: unknown\n' ? true : null,
    )
  })

  it('says so when an edit cannot be taken back', async () => {
    const args = { label: 'human', old_string: 'Name: unknown', new_string: 'Name: Ada' }
    await say('I am Ada', { tool_calls: [{ name: 'memory_replace', arguments: args }] }, { text: 'Hi' })
    await chat.page.locator('figure.memory').waitFor()
    await loci.letta.agents.blocks.update('human', { agent_id, value: 'Something else entirely' })
    await chat.page.locator('figure.memory').getByRole('button', { name: 'Undo' }).click()
    await chat.page.getByText('has changed in the same place since').waitFor()
    assert.equal(await valueOf(), 'Something else entirely')
  })

  it('tells how long a call took when it is unfolded, and asks for the source of its tool', async () => {
    const args = { label: 'human', old_string: 'Name: unknown', new_string: 'Name: Ada' }
    await say('I am Ada', { tool_calls: [{ name: 'memory_replace', arguments: args }] }, { text: 'Hi' })
    await chat.page.locator('details.tool summary').click()
    await chat.page.locator('details.tool .time', { hasText: /ms|s$/ }).waitFor()
    await chat.page.getByRole('button', { name: 'Open Tool Source' }).click()
    const [command] = chat.commands
    assert.deepEqual(command, { kind: 'command', command: 'tool.open', params: { name: 'memory_replace' } })
  })

  describe('with a tool that needs an approval', () => {
    const insert = (new_string: string) => ({
      name: 'memory_insert',
      arguments: { label: 'human', new_string, insert_line: -1 },
    })
    beforeEach(async () => {
      await loci.http('PATCH', `/v1/agents/${agent_id}/tools/approval/memory_insert`, {
        requires_approval: true,
      })
    })

    it('asks, and goes on when it is approved', async () => {
      await say('Note it', { tool_calls: [insert('Likes tea')] })
      model.add({ reply: { text: 'Noted.' } })
      await chat.page.locator('.asking').getByText('Approve', { exact: true }).click()
      await chat.page.locator('article.assistant', { hasText: 'Noted.' }).waitFor()
      assert.match((await valueOf()) ?? '', /Likes tea/)
      assert.equal(await chat.page.locator('.asking').count(), 0)
      await chat.page.locator('figure.memory .added', { hasText: 'Likes tea' }).waitFor()
    })

    it('tells the agent why not', async () => {
      await say('Note it', { tool_calls: [insert('Likes tea')] })
      model.add({
        expect: (body) => JSON.stringify(body.messages.at(-1)).includes('Private matter'),
        reply: { text: 'Very well.' },
      })
      await chat.page.locator('.asking').getByText('Deny…').click()
      await chat.page.locator('.asking input').fill('Private matter')
      await chat.page.locator('.asking input').press('Enter')
      await chat.page.locator('article.assistant', { hasText: 'Very well.' }).waitFor()
      await chat.page.getByText('You: Private matter').waitFor()
      assert.doesNotMatch((await valueOf()) ?? '', /tea/)
    })

    it('asks no more for a tool that may always run', async () => {
      await say('Note it', { tool_calls: [insert('Likes tea')] })
      model.add({ reply: { text: 'Noted.' } })
      await chat.page.locator('.asking').getByText('Always for This Tool').click()
      await chat.page.locator('article.assistant', { hasText: 'Noted.' }).waitFor()
      await idle()
      await say('And this', { tool_calls: [insert('Likes cake')] }, { text: 'That, too.' })
      assert.match((await valueOf()) ?? '', /Likes tea\nLikes cake/)
    })

    it('answers calls that wait together in one go', async () => {
      await say('Note both', { tool_calls: [insert('Likes tea'), insert('Likes cake')] })
      const asking = chat.page.locator('.asking')
      await asking.nth(0).getByText('Approve', { exact: true }).click()
      await chat.page.getByText('Approved. 1 more to answer.').waitFor()
      model.add({ reply: { text: 'Half of it.' } })
      await asking.nth(1).getByText('Deny…').click()
      await asking.nth(1).getByText('Deny', { exact: true }).click()
      await chat.page.locator('article.assistant', { hasText: 'Half of it.' }).waitFor()
      assert.match((await valueOf()) ?? '', /Likes tea/)
      assert.doesNotMatch((await valueOf()) ?? '', /cake/)
    })

    it('offers to deny what waits when something else is sent, and sends it', async () => {
      await say('Note it', { tool_calls: [insert('Likes tea')] })
      await chat.send('Never mind, what time is it?')
      model.add({ reply: { text: 'Late.' } })
      await chat.page.locator('.failure').getByText('Deny and Send').click()
      await chat.page.locator('article.assistant', { hasText: 'Late.' }).waitFor()
      assert.doesNotMatch((await valueOf()) ?? '', /tea/)
    })
  })

  it('sends a message in other words, sets the first answer aside, and goes back to it', async () => {
    await say('Capital of Frnce?', { text: 'Pardon?' })
    await chat.page.locator('article.user').hover()
    await chat.page.getByRole('button', { name: 'Edit and resend' }).click()
    const box = chat.page.locator('.edit textarea')
    assert.equal(await box.inputValue(), 'Capital of Frnce?')
    await box.fill('Capital of France?')
    model.add({
      expect: (body) => !JSON.stringify(body.messages).includes('Frnce'),
      reply: { text: 'Paris.' },
    })
    await box.press('Enter')
    await chat.page.locator('.row > article.assistant', { hasText: 'Paris.' }).waitFor()
    await idle()
    const aside = chat.page.locator('details.set-aside')
    await aside.locator('summary').click()
    assert.deepEqual(await texts('.set-aside article .words'), ['Capital of Frnce?'])
    await aside.getByText('Go Back to This Version').click()
    await chat.page.locator('.row > article.assistant', { hasText: 'Pardon?' }).waitFor()
    await aside.locator('article.assistant', { hasText: 'Paris.' }).waitFor({ state: 'attached' })
  })

  it('keeps other words that were begun when the window is reloaded', async () => {
    await say('One', { text: 'Two' })
    await chat.page.locator('article.user').hover()
    await chat.page.getByRole('button', { name: 'Edit and resend' }).click()
    await chat.page.locator('.edit textarea').fill('One and a half')
    const state = await chat.state()
    await chat.close()
    chat = await browser.open({ agent_id, conversation_id: null }, server, { state })
    await chat.page.locator('.edit textarea').waitFor()
    assert.equal(await chat.page.locator('.edit textarea').inputValue(), 'One and a half')
  })

  it('forks from a message', async () => {
    const shown = Promise.withResolvers<string>()
    await chat.close()
    chat = await browser.open({ agent_id, conversation_id: null }, server, {
      actions: { show: (_, id) => shown.resolve(id) },
    })
    await say('First', { text: 'Answer one' })
    await say('Second', { text: 'Answer two' })
    await chat.page.locator('article.assistant').first().hover()
    await chat.page
      .getByRole('button', { name: /^Fork from here/ })
      .nth(1)
      .click()
    const conversation_id = await shown.promise
    const fork = await browser.open({ agent_id, conversation_id }, server)
    await fork.page.locator('article.assistant').waitFor()
    assert.deepEqual(await fork.page.locator('article .words').allInnerTexts(), ['First'])
    await fork.close()
  })

  it('follows a turn again that runs while the page is made anew', async () => {
    const rest = Promise.withResolvers<void>()
    model.add({ reply: { text: ['one ', 'two ', 'three'], hold: rest.promise, hold_after: 3 } })
    await chat.send('Count')
    await chat.page.locator('article.assistant', { hasText: 'one two' }).waitFor()
    const state = await chat.state()
    await chat.close()
    // Another window, which knows nothing of the first one's session.
    chat = await browser.open({ agent_id, conversation_id: null }, server, { state })
    await chat.page.locator('article.assistant', { hasText: 'one two' }).waitFor()
    assert.equal(await chat.page.locator('[role="log"]').getAttribute('aria-busy'), 'true')
    assert.deepEqual(await texts('article .words'), ['Count'])
    rest.resolve()
    await chat.page.locator('article.assistant', { hasText: 'one two three' }).waitFor()
    await idle()
    assert.deepEqual(await texts('article .words'), ['Count'])
  })

  it('waits for a turn that runs elsewhere and cannot be followed, and shows its answer', async () => {
    const rest = Promise.withResolvers<void>()
    model.add({ reply: { text: 'From elsewhere', hold: rest.promise } })
    const asked = loci.letta.agents.messages.create(agent_id, { input: 'By another program' }).asResponse()
    await eventually('it runs', async () => {
      const [run] = (await loci.letta.runs.list({ agent_id, active: true })).getPaginatedItems()
      return run ?? null
    })
    await chat.notify({ kind: 'notification', name: 'chat.stale', params: null })
    await chat.page.getByText('It runs elsewhere').waitFor()
    assert.deepEqual(await texts('article .words'), ['By another program'])
    rest.resolve()
    await asked
    await chat.page.locator('article.assistant', { hasText: 'From elsewhere' }).waitFor()
    await idle()
  })

  it('gives back what was sent and never arrived', async () => {
    const state = {
      agentId: agent_id,
      conversationId: null,
      draft: '',
      unsent: { otid: 'lost', content: 'Precious words' },
      editing: null,
    }
    await chat.close()
    chat = await browser.open({ agent_id, conversation_id: null }, server, { state })
    await eventually('the words are where the user writes', async () =>
      (await chat.page.locator('loci-composer textarea').inputValue()) === 'Precious words' ? true : null,
    )
  })

  it('drops a draft that was sent after its state was kept', async () => {
    await say('Only once', { text: 'Yes.' })
    const state = { agentId: agent_id, conversationId: null, draft: 'Only once', unsent: null, editing: null }
    await chat.close()
    chat = await browser.open({ agent_id, conversation_id: null }, server, { state })
    await chat.page.locator('article.assistant', { hasText: 'Yes.' }).waitFor()
    await chat.page.locator('loci-composer textarea:enabled').waitFor()
    assert.equal(await chat.page.locator('loci-composer textarea').inputValue(), '')
  })

  it('keeps its end in view when a panel takes a part of its height', async () => {
    await say('A long one', { text: Array.from({ length: 60 }, (_, i) => `Line ${i}`).join('\n\n') })
    const list = chat.page.locator('.list')
    const toEnd = () => list.evaluate((el) => el.scrollHeight - el.scrollTop - el.clientHeight)
    await eventually('the end is seen', async () => ((await toEnd()) < 4 ? true : null))
    await chat.page.setViewportSize({ width: 900, height: 400 })
    await eventually('the list is lower', () => list.evaluate((el) => (el.clientHeight < 400 ? true : null)))
    await eventually('the end is seen again', async () => ((await toEnd()) < 4 ? true : null))
  })

  it('says in a workspace that is not trusted why nothing is there, and leads to where it is trusted', async () => {
    await chat.close()
    chat = await browser.open({ agent_id, conversation_id: null }, server, { trusted: false })
    await chat.page.getByRole('heading', { name: 'This workspace is not trusted' }).waitFor()
    await chat.page.getByText('Manage Workspace Trust').click()
    await eventually('it is asked for', () => (chat.commands.length > 0 ? true : null))
    assert.deepEqual(chat.commands, [{ kind: 'command', command: 'trust.manage', params: null }])
  })

  it('leads from a refused key to the provider, and tries again', async () => {
    const fixes: string[] = []
    await chat.close()
    chat = await browser.open({ agent_id, conversation_id: null }, server, {
      actions: {
        prepare(fix) {
          fixes.push(fix)
          return Promise.resolve(false)
        },
      },
    })
    await say('Hello?', { status: 401, body: { error: { message: 'Incorrect API key' } } })
    await chat.page.locator('.failure').getByText('Check Provider…').click()
    await eventually('the provider is asked for', () => (fixes[0] === 'provider' ? true : null))
    model.add({
      expect: (body) => body.messages.filter((message) => message.role === 'user').length === 1,
      reply: { text: 'Here I am.' },
    })
    await chat.page.locator('.failure').getByText('Retry').click()
    await chat.page.locator('article.assistant', { hasText: 'Here I am.' }).waitFor()
    await idle()
    assert.deepEqual(await texts('.row > article .words'), ['Hello?'])
  })

  it('stays readable when its agent is deleted', async () => {
    await say('Remember me', { text: 'I will.' })
    await loci.letta.agents.delete(agent_id)
    await chat.notify({ kind: 'notification', name: 'agent.changed', params: null })
    await chat.page.getByText('does not exist any more').waitFor()
    await eventually('what was said stays', async () =>
      (await texts('article.assistant .markdown')).join() === 'I will.' ? true : null,
    )
  })

  it('runs nothing, leads nowhere and loads nothing that a model wrote', async () => {
    const hostile = [
      '<script>window.owned = 1</script><img src=x onerror="window.owned = 1"><iframe src="https://evil.test"></iframe>',
      '![pixel](https://spy.test/p.png) ![svg](data:image/svg+xml,<svg onload=alert(1)>)',
      '[quit](command:workbench.action.quit) [js](javascript:window.owned=1) [file](file:///etc/passwd)',
      '<style>* { display: none }</style><link rel=stylesheet href=https://evil.test/x.css><base href=https://evil.test>',
      '```html"><img src=https://spy.test/c onerror=window.owned=1>\n<script>window.owned = 1</script>\n```',
      '[a](https://evil.test "x\\" onmouseover=\\"window.owned=1")',
    ].join('\n\n')
    await say('Be evil', { text: hostile })
    const answer = chat.page.locator('article.assistant')
    await answer.locator('.code').waitFor()
    await answer.getByText('js').first().hover()
    const links = await answer
      .locator('a')
      .evaluateAll((all) => all.map((a) => (a as unknown as { protocol: string }).protocol))
    assert.deepEqual([...new Set(links)], ['https:'])
    assert.equal(await answer.locator('script, img, iframe, style, link, base').count(), 0)
    assert.equal(await chat.page.evaluate(() => window.owned), undefined)
    assert.deepEqual(chat.foreign, [])
  })

  it('says politely what is written, sentence by sentence', async () => {
    await chat.page.evaluate(() => {
      const told: string[] = []
      window.told = told
      const said = document.querySelector('loci-chat')?.shadowRoot?.querySelector('div.said')
      if (said)
        new MutationObserver(() => told.push(said.textContent ?? '')).observe(said, { childList: true })
    })
    await say('Tell me', { text: ['It **was** night. ', 'The moon sh', 'one. The e', 'nd'] })
    const told = await eventually('all is said', async () => {
      const list = await chat.page.evaluate(() => window.told)
      return list.at(-1)?.endsWith('End of the answer.') ? list.join(' ') : null
    })
    assert.match(
      told,
      /^Scout is answering\..*It was night\. The moon shone\. +The end +End of the answer\.$/,
    )
    assert.equal(await chat.page.locator('[role="log"]').getAttribute('aria-live'), 'off')
    assert.equal(await chat.page.locator('div.said').getAttribute('aria-live'), 'polite')
  })

  it('goes from message to message by the keyboard', async () => {
    await say('One', { text: 'Two' })
    await chat.page.locator('article.assistant').waitFor()
    await chat.page.locator('.list').focus()
    await chat.page.keyboard.press('ArrowUp')
    const focused = () =>
      chat.page.evaluate(() => document.querySelector('loci-chat')?.shadowRoot?.activeElement?.className)
    assert.equal(await focused(), 'assistant')
    await chat.page.keyboard.press('ArrowUp')
    assert.equal(await focused(), 'user')
    await chat.page.keyboard.press('Escape')
    assert.equal(
      await chat.page.evaluate(
        () => document.querySelector('loci-chat')?.shadowRoot?.activeElement?.localName,
      ),
      'loci-composer',
    )
  })

  describe('with 10,000 messages', function () {
    this.timeout(120_000)
    beforeEach(async () => {
      const answers = (i: number) =>
        `Answer **${i}**: ${'some words of it. '.repeat((i * 7) % 40)}\n\n- one\n- two\n\n\`\`\`ts\nconst n = ${i}\n\`\`\``
      const initial_message_sequence = Array.from({ length: 10_000 }, (_, i) =>
        i % 2 === 0
          ? { role: 'user' as const, content: `Question ${i}` }
          : { role: 'assistant' as const, content: answers(i) },
      )
      const agent = await loci.letta.agents.create({ name: 'Old', model: SCRIPTED, initial_message_sequence })
      await chat.close()
      chat = await browser.open({ agent_id: agent.id, conversation_id: null }, server)
      await chat.page.locator('article.assistant', { hasText: 'Answer 9999' }).waitFor()
    })

    it('reads on upwards, keeps what is looked at in its place, and stays smooth', async () => {
      const { page } = chat
      const drawn = () => page.locator('.rows > .row').count()
      assert.ok((await drawn()) < 60, `${await drawn()} rows are drawn`)
      const list = page.locator('.list')
      // To the beginning, page by page.
      const begun = performance.now()
      for (let last = -1; ;) {
        const height = await list.evaluate((el) => {
          el.scrollTop = 0
          return el.scrollHeight
        })
        if (height === last && (await page.locator('.earlier').count()) === 0) break
        last = height
        await page.waitForFunction(
          (before) => {
            const root = document.querySelector('loci-chat')?.shadowRoot
            return root?.querySelector('.list')?.scrollHeight !== before || !root?.querySelector('.earlier')
          },
          height,
          { timeout: 10_000 },
        )
      }
      console.log(`        read 10,000 messages upwards in ${Math.round(performance.now() - begun)} ms`)
      await page.locator('.words', { hasText: /^Question 0$/ }).waitFor()
      assert.ok((await drawn()) < 80, `${await drawn()} rows are drawn`)

      const times = await list.evaluate(async (el) => {
        const frames: number[] = []
        let last = performance.now()
        for (let i = 0; i < 180; i++) {
          el.scrollTop += 300
          await new Promise(requestAnimationFrame)
          const now = performance.now()
          frames.push(now - last)
          last = now
        }
        return frames.sort((a, b) => a - b)
      })
      const at = (share: number) => times[Math.floor(times.length * share)] ?? 0
      console.log(
        `        frame times while scrolling: p50 ${at(0.5).toFixed(1)} ms, p95 ${at(0.95).toFixed(1)} ms, longest ${at(0.999).toFixed(1)} ms`,
      )
      assert.ok(at(0.5) < 50, `a frame takes ${at(0.5)} ms`)

      // What is looked at stays while rows above it get their size.
      const place = () =>
        list.evaluate((el) => {
          const edge = el.getBoundingClientRect().top + 200
          for (const row of el.querySelectorAll('.row')) {
            const { top, bottom } = row.getBoundingClientRect()
            if (bottom > edge) return { key: row.getAttribute('data-key'), top: Math.round(top) }
          }
          return null
        })
      const before = await place()
      await chat.notify({ kind: 'notification', name: 'memory.changed', params: null })
      await page.evaluate(
        () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))),
      )
      const after = await place()
      assert.equal(after?.key, before?.key)
      assert.ok(Math.abs((after?.top ?? 0) - (before?.top ?? 0)) <= 2, JSON.stringify([before, after]))
    })

    it('answers at the end of them', async () => {
      // Far more than the window of the model: it is summarised first.
      await say('And?', { text: 'Ten thousand messages about numbers.' }, { text: 'Still here.' })
      await chat.page.locator('article.assistant', { hasText: 'Still here.' }).waitFor()
      const bottom = await chat.page
        .locator('.list')
        .evaluate((el) => el.scrollHeight - el.scrollTop - el.clientHeight)
      assert.ok(bottom < 4, `${bottom} pixels from the end`)
    })
  })
})
