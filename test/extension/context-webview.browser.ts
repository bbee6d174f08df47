/** The Context panel in a real Chromium, with its own page and policy, over the host's own session and a real server. */
import assert from 'node:assert/strict'
import { parseContextToHost, type ContextToWebview } from '../../extension/context-protocol.ts'
import { answerContext } from '../../extension/host/context/answer-context.ts'
import { ContextSession } from '../../extension/host/context/context-session.ts'
import { webviewPage } from '../../extension/host/webview-page.ts'
import { connect, describeFailure, type LociClient } from '../../shared/client/http.ts'
import { SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { startScriptedModel, type ScriptedModel } from '../support/scripted-model.ts'
import { openWebview, type TestWebview } from '../support/webview.ts'

describe('the Context panel', () => {
  let model: ScriptedModel
  let loci: TestLoci
  let client: LociClient
  let session: ContextSession
  let view: TestWebview
  let agent_id: string
  const feed = new AbortController()
  const commands: unknown[] = []
  let post: (envelope: ContextToWebview) => void = () => undefined

  before(async () => {
    model = await startScriptedModel()
    loci = await startLoci({ model_url: model.url })
    client = connect({ url: loci.url })
    const agent = await loci.letta.agents.create({
      name: 'Scout',
      model: SCRIPTED,
      context_window_limit: 16_000,
      memory_blocks: [{ label: 'human', value: 'Name: <b>Ada</b> <img src=x onerror="document.title=1">' }],
    })
    agent_id = agent.id
    for (const i of [1, 2, 3]) {
      model.add({ reply: { text: `Answer ${i}.` } })
      await loci.letta.agents.messages.create(agent_id, {
        messages: [{ role: 'user', content: `Question ${i}?` }],
      })
    }
    await loci.letta.conversations.create({ agent_id, summary: 'Tea' })
    const server = { client: () => Promise.resolve(client) }
    session = new ContextSession(agent_id, server, (snapshot) => post({ kind: 'snapshot', snapshot }))
    void (async () => {
      for await (const item of client.events(undefined, { signal: feed.signal }))
        if (item.type !== 'ready') session.changed([item])
    })()
    const receive = async (value: unknown) => {
      const message = parseContextToHost(value)
      if (message?.kind === 'command') commands.push(message)
      if (message?.kind !== 'request') return
      try {
        post({ kind: 'reply', id: message.id, result: await answerContext(session, message) })
      } catch (error) {
        post({ kind: 'reply', id: message.id, error: describeFailure(error, client.url) })
      }
    }
    view = await openWebview({
      entry: 'extension/webview/context/context.ts',
      html: ({ cspSource, script }) =>
        webviewPage({
          cspSource,
          script,
          title: 'Context',
          element: 'loci-context',
          attributes: { 'agent-id': agent_id },
        }),
      receive(message, answer) {
        post = answer
        void receive(message)
      },
    })
  })
  after(async () => {
    feed.abort()
    session?.close()
    await view?.close()
    await client?.close()
    await loci?.close()
    await model?.close()
    await model?.done()
  })

  it('says how full the window is, by part', async () => {
    const { page } = view
    await page.locator('.sizes', { hasText: 'its model reads up to 128,000' }).waitFor()
    const label = await page.locator('.bar').getAttribute('aria-label')
    assert.match(label ?? '', /^The context window is \d+ % full: System .*, Blocks .*, Tools .*, Messages /)
    assert.equal(await page.locator('.bar .fill').count(), 5)
  })

  it('opens a part from the legend, down to the text, which is never markup', async () => {
    const { page } = view
    await page.getByRole('button', { name: /^Blocks/ }).click()
    await page.locator('summary:focus', { hasText: 'Blocks' }).waitFor()
    const text = page.locator('pre', { hasText: 'Name: <b>Ada</b> <img src=x' })
    await text.waitFor()
    assert.equal(await page.locator('pre img, pre b').count(), 0)
    assert.equal(await page.title(), 'Context')
    await page.getByRole('button', { name: 'Open in Editor' }).click()
    assert.match(JSON.stringify(commands.at(-1)), /"text.show".*"Blocks human"/)
  })

  it('keeps what is unfolded, and shows it anew when it changes', async () => {
    await loci.letta.agents.blocks.update('human', { agent_id, value: 'Name: Grace' })
    await view.page.locator('pre', { hasText: 'Name: Grace' }).waitFor()
    await view.reload()
    await view.page.locator('pre', { hasText: 'Name: Grace' }).waitFor()
  })

  it('says that it compacts, can be cancelled, and what came of it', async () => {
    const { page } = view
    model.add({ reply: { text: 'never', hold: new Promise(() => undefined) } })
    await page.getByRole('button', { name: 'Compact Now' }).click()
    await page.getByText('Summarising 6 messages…').waitFor()
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.getByText('Cancelled: nothing was changed.').waitFor()
    model.add({ reply: { text: 'Three questions.' } })
    await page.getByRole('button', { name: 'Compact Now' }).click()
    await page.getByText(/^Compacted: 7 → \d+ messages/).waitFor()
    await page.locator('.legend', { hasText: 'Summary' }).waitFor()
    await page.getByRole('tab', { name: 'Compactions (1)' }).click()
    await page.locator('details.item:visible summary').click()
    await page.locator('pre', { hasText: 'Three questions.' }).waitFor()
  })

  it('traces runs', async () => {
    const { page } = view
    await page.getByRole('tab', { name: 'Runs' }).click()
    await page.locator('details.run').nth(2).waitFor()
    await page.locator('details.run summary').first().click()
    await page.getByText(/1 step · [\d,]+ tokens in/).waitFor()
    await page.locator('details.trace summary', { hasText: 'Response' }).click()
    await page.locator('pre', { hasText: 'Answer 3.' }).waitFor()
  })

  it('shows another conversation, and says when there is nothing more to see', async () => {
    const { page } = view
    await page.getByRole('tab', { name: 'What the model sees' }).click()
    await page.locator('header vscode-single-select').click()
    await page.getByRole('option', { name: 'Tea' }).click()
    await page.locator('header', { hasText: '0 messages in context' }).waitFor()
    await loci.letta.agents.delete(agent_id)
    await page.getByText('does not exist any more').waitFor()
    assert.deepEqual(view.problems, [])
  })
})
