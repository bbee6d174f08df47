/** A webview of the extension alone in a browser, with its own policy, over the host's side as a function. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { build } from 'esbuild'
import type { Browser, Page } from 'playwright-core'
import { openBrowser } from '../e2e/workbench.ts'
import { cleanEnvironment } from './cli-process.ts'

/** A webview that a test drives. */
export interface TestWebview {
  page: Page
  /** Posts an envelope of the host. */
  post(envelope: unknown): void
  /** What the policy of the page has refused, and errors of its script; a test checks that there are none. */
  problems: string[]
  /** What the webview keeps with VS Code. */
  state(): Promise<unknown>
  /** Loads the page anew, as VS Code does when a hidden tab is shown again. */
  reload(): Promise<void>
  close(): Promise<void>
}

export interface TestWebviewOptions {
  /** The entry of the webview, from the root of the project. */
  entry: string
  /** The page, as the host makes it. */
  html(options: { cspSource: string; script: string }): string
  /** Gets every message of the webview; `post` answers. */
  receive(message: unknown, post: (envelope: unknown) => void): void
  /** Custom properties of a theme. */
  theme?: Record<string, string>
  size?: { width: number; height: number }
}

const ROOT = join(import.meta.dirname, '..', '..')

/** Builds the webview and opens it. The caller closes it. */
export async function openWebview(options: TestWebviewOptions): Promise<TestWebview> {
  const folder = mkdtempSync(join(tmpdir(), 'loci-webview-'))
  let server: Server | null = null
  let browser: Browser | null = null
  const close = async () => {
    await browser?.close()
    server?.closeAllConnections()
    await new Promise((resolve) => (server ? server.close(resolve) : resolve(null)))
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await build({
      absWorkingDir: ROOT,
      entryPoints: { webview: options.entry },
      outdir: folder,
      bundle: true,
      splitting: true,
      format: 'esm',
      target: 'chrome128',
      tsconfig: 'tsconfig.webview.json',
      logLevel: 'warning',
    })
    server = createServer((request, response) => {
      const name = basename(request.url ?? '/')
      if (name === '' || name === 'index.html') {
        const html = options.html({ cspSource: "'self'", script: '/webview.js' })
        response.setHeader('content-type', 'text/html').end(html)
        return
      }
      readFile(join(folder, name)).then(
        (bytes) => response.setHeader('content-type', 'text/javascript').end(bytes),
        () => response.writeHead(404).end(),
      )
    })
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    browser = await openBrowser({ env: cleanEnvironment(folder) })
    const page = await browser.newPage({ viewport: options.size ?? { width: 900, height: 800 } })
    page.setDefaultTimeout(15_000)
    const problems: string[] = []
    page.on('pageerror', (error) => problems.push(String(error)))
    page.on('console', (message) => {
      if (message.type() === 'error') problems.push(message.text())
    })
    let state: unknown
    const post = (envelope: unknown) =>
      void page
        .evaluate((data) => postMessage(data), envelope)
        .catch((error: unknown) => {
          // The page may have been closed meanwhile.
          if (!page.isClosed()) problems.push(String(error))
        })
    await page.exposeFunction('lociReceive', (message: unknown) => options.receive(message, post))
    await page.exposeFunction('lociSetState', (value: unknown) => {
      state = value
    })
    await page.exposeFunction('lociState', () => state)
    const open = async () => {
      await page.addInitScript(install, { theme: options.theme ?? {}, state })
      await page.goto(`http://127.0.0.1:${port}/`)
    }
    await open()
    return {
      page,
      problems,
      close,
      post,
      state: () => Promise.resolve(state),
      reload: open,
    }
  } catch (error) {
    await close()
    throw error
  }
}

declare function postMessage(message: unknown): void

/** Runs in the page before its script: VS Code's API, and the theme. */
function install({ theme, state }: { theme: Record<string, string>; state: unknown }): void {
  const scope = globalThis as unknown as {
    acquireVsCodeApi: () => unknown
    lociReceive: (message: unknown) => Promise<void>
    lociSetState: (value: unknown) => Promise<void>
    document: {
      documentElement: { style: { setProperty(name: string, value: string): void } } | null
      addEventListener(type: string, listener: () => void): void
    }
  }
  let kept = state
  scope.acquireVsCodeApi = () => ({
    postMessage: (message: unknown) => void scope.lociReceive(message),
    getState: () => kept,
    setState(value: unknown) {
      kept = value
      void scope.lociSetState(value)
    },
  })
  const paint = () => {
    const root = scope.document.documentElement
    for (const [name, value] of Object.entries(theme)) root?.style.setProperty(name, value)
  }
  paint()
  scope.document.addEventListener('DOMContentLoaded', paint)
}
