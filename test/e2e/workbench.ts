/** The workbench in a browser: open it with Loci installed, act in it as a user does, look at it, close it. */
import { join } from 'node:path'
import { chromium, type Browser, type Frame, type Locator, type Page } from 'playwright-core'
import {
  CHROMIUM,
  createProfile,
  startCodeServer,
  until,
  type CodeServer,
  type Profile,
} from './code-server.ts'

export interface WorkbenchOptions {
  /** The package to install. */
  vsix: string
  /** For `loci.dataDirectory`: Loci starts a server of its own over it. */
  dataDirectory?: string
  /** For `loci.server.url`: Loci uses this server. */
  serverUrl?: string
  /** More user settings. */
  settings?: Record<string, unknown>
  /** More environment for the editor and what Loci starts, for example provider keys. */
  env?: NodeJS.ProcessEnv
  /** False: the folder is one that the user has not trusted. */
  trust?: boolean
}

/** A workbench that a test drives. */
export interface Workbench {
  page: Page
  profile: Profile
  /** Opens the Loci container in the side bar. */
  openLoci(): Promise<void>
  /** Runs a command by its title in the palette, for example `Loci: New Agent`. */
  command(title: string): Promise<void>
  /** Closes the tab with this in its title, wherever the focus is; it has no unsaved changes. */
  closeTab(name: string): Promise<void>
  /** Types into the input box or quick pick that is open, waits for `row` when named, and accepts. */
  answer(text: string, row?: string): Promise<void>
  /** Rows of the view with this name. */
  rows(view: 'Agents' | 'Blocks' | 'Tools'): Locator
  /** The frame of the webview that holds `selector`; throws after `limit` milliseconds. */
  webview(selector: string, limit?: number): Promise<Frame>
  /** The chat with this agent, whose tab is in front. */
  chat(agent: string): Promise<Chat>
  /** New agent by the command: name, model; resolves with its chat. */
  newAgent(name: string, model: string): Promise<Chat>
  screenshot(path: string): Promise<void>
  /** `kill -9` of the editor and all that it started; close afterwards. */
  kill(): Promise<void>
  /** Ends browser and editor, with all that they started, and deletes the profile. */
  close(): Promise<void>
}

/** The chat webview of one agent. */
export interface Chat {
  frame: Frame
  /** Writes and sends; does not wait for the answer. */
  send(text: string): Promise<void>
  /** Messages of the agent, oldest first. */
  answers(): Locator
  /** True while a turn runs. */
  isBusy(): Promise<boolean>
  /** Resolves when no turn runs. */
  idle(): Promise<void>
}

const BROWSER_FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** Opens the workbench at 1400 × 900 with the package installed. The caller closes it. */
export async function openWorkbench(options: WorkbenchOptions): Promise<Workbench> {
  const profile = createProfile({
    vsix: options.vsix,
    env: options.env ?? {},
    settings: {
      ...(options.dataDirectory === undefined ? {} : { 'loci.dataDirectory': options.dataDirectory }),
      ...(options.serverUrl === undefined ? {} : { 'loci.server.url': options.serverUrl }),
      ...options.settings,
    },
  })
  let server: CodeServer | null = null
  let browser: Browser | null = null
  const close = async () => {
    await browser?.close()
    await server?.stop()
    profile.remove()
  }
  try {
    server = await startCodeServer(profile, { trust: options.trust ?? true })
    browser = await openBrowser(profile)
    const page = await openPage(browser, server.port, profile.workspace)
    const kill = async () => server?.kill()
    return workbench(page, profile, { close, kill })
  } catch (error) {
    await close()
    throw error
  }
}

/** Chromium, headless, with the profile's environment. The caller closes it. */
export function openBrowser(profile: Pick<Profile, 'env'>): Promise<Browser> {
  const env = Object.entries(profile.env).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return chromium.launch({
    executablePath: CHROMIUM,
    headless: true,
    args: BROWSER_FLAGS,
    env: Object.fromEntries(env),
  })
}

async function openPage(browser: Browser, port: number, folder: string): Promise<Page> {
  const page = await browser.newPage({ viewport: { width: 1400, height: 900 } })
  page.setDefaultTimeout(15_000)
  await page.goto(`http://127.0.0.1:${port}/?folder=${encodeURIComponent(folder)}`, {
    waitUntil: 'domcontentloaded',
  })
  await page.locator('.activitybar a.action-label[aria-label^="Loci"]').waitFor({ timeout: 60_000 })
  return page
}

function workbench(page: Page, profile: Profile, ends: Pick<Workbench, 'close' | 'kill'>): Workbench {
  const input = page.locator('.quick-input-widget .quick-input-box input')
  const choices = page.locator('.quick-input-list .monaco-list-row')

  const webview = async (selector: string, limit = 30_000): Promise<Frame> => {
    const end = Date.now() + limit
    while (Date.now() < end) {
      for (const frame of page.frames()) {
        // A frame may go away while it is asked.
        if (
          await frame
            .locator(selector)
            .count()
            .catch(() => 0)
        )
          return frame
      }
      await page.waitForTimeout(50)
    }
    throw new Error(`No webview with ${selector} in ${limit} ms`)
  }
  const command = async (title: string) => {
    // Several titles may begin like this one.
    const row = choices.filter({ has: page.getByText(title, { exact: true }) }).first()
    const pick = async () => {
      await page.keyboard.press('F1')
      await input.waitFor({ timeout: 1_000 })
      await input.fill(`>${title}`)
      await row.click({ timeout: 3_000 })
    }
    // A webview that is just loading swallows the key, or takes the focus and so closes the palette.
    await until(`the palette runs ${title}`, 30_000, () =>
      pick().then(
        () => true,
        () => false,
      ),
    )
  }
  const answer = async (text: string, row?: string) => {
    await input.waitFor()
    await input.fill(text)
    if (row !== undefined) await choices.filter({ hasText: row }).first().waitFor()
    await page.keyboard.press('Enter')
  }

  const chat = async (agent: string) => {
    await page.locator('.tab.active', { hasText: agent }).waitFor()
    return chatIn(await webview(`loci-chat textarea[aria-label="Message to ${agent}"]:enabled`))
  }

  return {
    page,
    profile,
    ...ends,
    chat,
    command,
    answer,
    webview,
    async closeTab(name) {
      const tab = page.locator('.tab', { hasText: name }).first()
      await tab.locator('.tab-actions .action-label').click()
      await tab.waitFor({ state: 'detached' })
    },
    async openLoci() {
      await page.locator('.activitybar a.action-label[aria-label^="Loci"]').click()
      await page.locator('.pane-header[aria-label^="Agents"]').waitFor()
    },
    rows: (view) => page.locator(`.pane:has(.pane-header[aria-label^="${view}"]) .monaco-list-row`),
    async newAgent(name, model) {
      await command('Loci: New Agent')
      await page.locator('.quick-input-widget', { hasText: 'Name' }).waitFor({ timeout: 60_000 })
      await answer(name)
      await page.locator('.quick-input-widget', { hasText: 'Model' }).waitFor()
      await answer(model, model)
      return chat(name)
    },
    async screenshot(path) {
      await page.screenshot({ path, animations: 'disabled' })
    },
  }
}

/** Drives the chat in this frame. */
export function chatIn(frame: Frame): Chat {
  const text = frame.locator('loci-chat textarea')
  const log = frame.locator('loci-chat [role="log"]')
  return {
    frame,
    async send(message) {
      await text.fill(message)
      await text.press('Enter')
    },
    isBusy: async () => (await log.getAttribute('aria-busy')) === 'true',
    answers: () => frame.locator('loci-chat article.assistant'),
    async idle() {
      await frame.locator('loci-chat [role="log"][aria-busy="false"]').waitFor({ timeout: 60_000 })
    },
  }
}

/** The package that `npm run package` makes. */
export const VSIX = join(import.meta.dirname, '..', '..', 'loci.vsix')
