/** The memory viewer as an MCP App (SEP-1865): in a browser, in a frame of a host that passes its calls on to `loci mcp`. */
import assert from 'node:assert/strict'
import type { Browser, Page } from 'playwright-core'
import { cleanEnvironment, temporaryFolder } from '../support/cli-process.ts'
import { type Host, HOSTS } from '../support/mcp-hosts.ts'
import { openBrowser } from './workbench.ts'

/** The least that a host does: it answers `ui/initialize`, gives the tool's result, and passes calls of tools on. */
const HOST_PAGE = `<!doctype html><body><iframe sandbox="allow-scripts" style="width:600px;height:600px"></iframe><script>
  const frame = document.querySelector('iframe')
  window.sizes = []
  const post = (message) => frame.contentWindow.postMessage({ jsonrpc: '2.0', ...message }, '*')
  addEventListener('message', async ({ source, data }) => {
    if (source !== frame.contentWindow) return
    const { id, method, params } = data
    if (method === 'ui/initialize')
      post({ id, result: { protocolVersion: params.protocolVersion, hostInfo: { name: 'host', version: '1' },
        hostCapabilities: { serverTools: {} }, hostContext: { theme: 'dark' } } })
    else if (method === 'ui/notifications/initialized')
      post({ method: 'ui/notifications/tool-result', params: await window.callTool('memory_read', { agent: 'Ada' }) })
    else if (method === 'tools/call') post({ id, result: await window.callTool(params.name, params.arguments) })
    else if (method === 'ui/notifications/size-changed') window.sizes.push(params)
  })
</script></body>`

describe('the memory viewer', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let browser: Browser
  let page: Page
  let host: Host

  before(async () => {
    folder = await temporaryFolder()
    const [, connect] = HOSTS[1]!
    host = await connect([], cleanEnvironment(folder.path), { apps: true })
    const human = '<img src=x onerror="document.title = 1"> likes tea.'
    const made = await host.call('agent_create', { name: 'Ada', model: 'loci/demo', human })
    assert.equal(made.isError, false, made.text)
    browser = await openBrowser({ env: cleanEnvironment(folder.path) })
    const timeout = 15_000
    page = await browser.newPage()
    page.setDefaultTimeout(timeout)
    await page.exposeFunction('callTool', async (name: string, args: Record<string, unknown>) => {
      const { text, isError, structured } = await host.call(name, args)
      return { content: [{ type: 'text', text }], isError, structuredContent: structured }
    })
    await page.setContent(HOST_PAGE)
    const html = await host.read('ui://loci/memory')
    await page.locator('iframe').evaluate((frame, text) => frame.setAttribute('srcdoc', text), html)
  })
  after(async () => {
    await browser?.close()
    await host?.close()
    await folder.remove()
  })

  it('shows the blocks as text, saves one, and does not overwrite what it has not seen', async () => {
    const app = page.frameLocator('iframe')
    await app.getByRole('heading', { name: 'Memory of Ada' }).waitFor()
    const human = app.getByRole('textbox', { name: 'human' })
    assert.equal(await human.inputValue(), '<img src=x onerror="document.title = 1"> likes tea.')
    assert.equal(await app.locator('img').count(), 0)
    const section = app.locator('section', { has: human })
    const save = section.getByRole('button', { name: 'Save' })
    assert.equal(await save.isDisabled(), true)
    await human.fill('Likes coffee.')
    await save.click()
    await section.getByText('Saved.').waitFor()
    assert.equal((await host.call('memory_read', { agent: 'Ada', label: 'human' })).text, 'Likes coffee.')
    await host.call('memory_edit', { agent: 'Ada', label: 'human', mode: 'append', text: 'By another.' })
    await human.fill('Likes water.')
    await save.click()
    await section.getByText('not what you expect').waitFor()
    await app.getByRole('button', { name: 'Reload' }).click()
    await app.getByText('25 of').waitFor()
    assert.equal(await app.getByRole('textbox', { name: 'human' }).inputValue(), 'Likes coffee.\nBy another.')
    const sizes = await page.evaluate(() => (globalThis as unknown as { sizes: { height: number }[] }).sizes)
    assert.ok(sizes.some(({ height }) => height > 50))
  })
})
