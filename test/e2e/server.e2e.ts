/** Which server a window uses: its own, one elsewhere with a token, or none in a workspace that is not trusted. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startLoci, type TestLoci } from '../support/loci.ts'
import { until } from './code-server.ts'
import { openWorkbench, VSIX, type Workbench } from './workbench.ts'

const shots = process.env['LOCI_E2E_SHOTS']

describe('the server of a window', () => {
  const data = mkdtempSync(join(tmpdir(), 'loci-server-'))
  let elsewhere: TestLoci
  let workbench: Workbench
  const look = async (name: string) => {
    if (shots) await workbench.screenshot(join(shots, `${name}.png`))
  }
  const toast = (text: string) => workbench.page.locator('.notification-toast', { hasText: text }).first()
  const status = (text: string | RegExp) =>
    workbench.page.locator('.statusbar-item', { hasText: text }).filter({ hasText: 'Loci' })

  before(async () => {
    elsewhere = await startLoci({ serve: { key: 'open sesame' } })
    const made = await elsewhere.http('POST', '/v1/agents/', { name: 'Far', model: 'loci/demo' })
    assert.equal(made.status, 401, 'it wants its key')
    workbench = await openWorkbench({ vsix: VSIX, dataDirectory: data })
  })
  after(async () => {
    await workbench?.close()
    await elsewhere?.close()
    rmSync(data, { recursive: true, force: true })
  })
  afterEach(async function () {
    if (this.currentTest?.state === 'failed')
      await workbench.screenshot(join(shots ?? tmpdir(), `failed ${this.currentTest.title.slice(0, 20)}.png`))
  })

  it('is started on demand, says where and how long it serves, and is in the status bar', async () => {
    await workbench.command('Loci: Start Local Server')
    const said = await toast('Loci serves its REST API').innerText()
    assert.match(said, /at http:\/\/127\.0\.0\.1:82\d\d\. It stops when this window closes/)
    for (const name of ['Copy URL and Token', 'Copy curl', 'Open API Docs'])
      await toast('Loci serves').getByRole('button', { name }).waitFor()
    await status(/Loci :82\d\d/).waitFor()
    await look('started')
  })

  it('is stopped and stays so until it is started again', async () => {
    await workbench.openLoci()
    await workbench.command('Loci: Stop Local Server')
    await workbench.page.getByText('The Loci server is not running.').waitFor()
    await look('stopped')
    await workbench.page.getByRole('button', { name: 'Start Local Server' }).click()
    await workbench.page.getByText('No agents yet.').waitFor({ timeout: 30_000 })
  })

  it('can be another one, whose token is asked for and tried', async () => {
    const { page } = workbench
    const connect = async (token: string) => {
      await workbench.command('Loci: Connect to Server…')
      await page.locator('.quick-input-widget', { hasText: 'Address' }).waitFor()
      await workbench.answer(elsewhere.url)
      await page.locator('.quick-input-widget', { hasText: 'Token' }).waitFor()
      await workbench.answer(token)
    }
    await connect('wrong')
    await toast('wants another token').waitFor()
    await look('wrong-token')
    await connect('open sesame')
    await status(new URL(elsewhere.url).host).waitFor()
    const made = await fetch(`${elsewhere.url}/v1/agents/`, {
      method: 'POST',
      headers: { authorization: 'Bearer open sesame', 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'Far', model: 'loci/demo' }),
    })
    assert.equal(made.status, 200)
    await workbench.rows('Agents').filter({ hasText: 'Far' }).waitFor()
  })

  it('can be a Letta server that is not Loci, and is called that', async () => {
    const { page } = workbench
    const letta = await startWithoutFeed(elsewhere.url)
    try {
      await workbench.command('Loci: Connect to Server…')
      await page.locator('.quick-input-widget', { hasText: 'Address' }).waitFor()
      await workbench.answer(letta.url)
      await page.locator('.quick-input-widget', { hasText: 'Token' }).waitFor()
      await workbench.answer('open sesame')
      await status(new URL(letta.url).host).waitFor()
      await workbench.rows('Agents').filter({ hasText: 'Far' }).waitFor()
      await status(new URL(letta.url).host).click()
      await page
        .locator('.quick-input-widget input[placeholder*="a Letta server that is not Loci"]')
        .waitFor()
      await look('not-loci')
      await page.keyboard.press('Escape')
    } finally {
      await letta.close()
    }
  })

  it('deletes all data after a word that has to be typed, and nothing before', async () => {
    const { page } = workbench
    await workbench.command('Loci: Connect to Server…')
    await workbench.answer('')
    await page.getByText('No agents yet.').waitFor({ timeout: 30_000 })
    await workbench.command('Loci: Delete All Loci Data…')
    const dialog = page.locator('.monaco-dialog-box')
    assert.ok((await dialog.innerText()).includes(data))
    await look('delete-all')
    await dialog.getByRole('button', { name: 'Continue…' }).click()
    await page.locator('.quick-input-widget', { hasText: 'Type delete' }).waitFor()
    assert.ok(existsSync(join(data, 'loci.db')))
    await workbench.answer('delete')
    await toast('are gone').waitFor({ timeout: 30_000 })
    await until('the store is gone', 5_000, () => !existsSync(join(data, 'loci.db')))
  })
})

describe('a workspace that is not trusted', () => {
  const data = mkdtempSync(join(tmpdir(), 'loci-untrusted-'))
  let workbench: Workbench

  before(async () => {
    workbench = await openWorkbench({
      vsix: VSIX,
      dataDirectory: data,
      trust: false,
      settings: { 'security.workspace.trust.startupPrompt': 'never' },
    })
  })
  after(async () => {
    await workbench?.close()
    rmSync(data, { recursive: true, force: true })
  })

  it('gets no server, says why, and says how to trust it', async () => {
    await workbench.openLoci()
    await workbench.page.getByText('Loci does nothing in a workspace that is not trusted').waitFor()
    await workbench.command('Loci: Start Local Server')
    const toast = workbench.page.locator('.notification-toast', { hasText: 'not trusted' })
    await toast.getByRole('button', { name: 'Manage Workspace Trust' }).waitFor()
    if (shots) await workbench.screenshot(join(shots, 'untrusted.png'))
    assert.equal(existsSync(join(data, 'loci.db')), false, 'no server has run')
  })

  it('gets one once it is trusted', async () => {
    const { page } = workbench
    await page.getByRole('button', { name: 'Manage Workspace Trust' }).first().click()
    await page.locator('.workspace-trust-editor').getByRole('button', { name: 'Trust', exact: true }).click()
    await page.getByText('No agents yet.').waitFor({ timeout: 30_000 })
  })
})

/** A V1 server without what is Loci's own: this one, without its feed of changes. The caller closes it. */
async function startWithoutFeed(origin: string): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer((incoming, outgoing) => {
    if (incoming.url?.startsWith('/v1/events')) {
      outgoing.writeHead(404, { 'content-type': 'application/json' }).end('{"detail":"Not Found"}')
      return
    }
    const { method, url = '/' } = incoming
    // The server answers to its own name alone.
    const { host: _, ...headers } = incoming.headers
    const asked = request(new URL(url, origin), { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(outgoing)
    })
    asked.on('error', () => outgoing.destroy())
    incoming.pipe(asked)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
