/**
 * The chat's webview in a real Chromium, with its own page and policy, over the host's own session and a real server.
 * What VS Code is for it (the channel, its state, its commands) stands here.
 */
import { build } from 'esbuild'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { chromium, type Browser, type Page } from 'playwright-core'
import { chatHtml } from '../../extension/host/chat/chat-html.ts'
import { answerRequest, type ChatActions, type OpenChat } from '../../extension/host/chat/chat-requests.ts'
import { ChatSession, type LastingServer } from '../../extension/host/chat/chat-session.ts'
import type { ChatTarget } from '../../extension/host/chat/conversation-calls.ts'
import { createMemoryEdits } from '../../extension/host/chat/memory-edits.ts'
import { isComposerMethod } from '../../extension/composer-protocol.ts'
import {
  parseToHost,
  type CommandEnvelope,
  type ComposerEnvelope,
  type RequestEnvelope,
  type ToWebview,
} from '../../extension/protocol.ts'
import { CHROMIUM } from '../e2e/code-server.ts'

// Of the page, in functions that run there: Node's types know no page.
declare const window: Record<string, unknown> & {
  postMessage(message: unknown, origin: string): void
  keptState(): unknown
}

export interface ChatBrowser {
  /** A page with the chat; what it kept of an earlier page is given back to it, as VS Code does. */
  open(target: ChatTarget, server: LastingServer, options?: OpenOptions): Promise<ChatPage>
  close(): Promise<void>
}

export interface OpenOptions {
  /** The session of an earlier page. */
  chat?: OpenChat
  /** The state that an earlier page kept. */
  state?: unknown
  light?: boolean
  /** Whether the workspace is; it is unless said otherwise. */
  trusted?: boolean
  actions?: Partial<ChatActions>
}

export interface ChatPage {
  page: Page
  chat: OpenChat
  /** Commands that the webview gave. */
  commands: CommandEnvelope[]
  /** What the page asked the network for, beyond itself. */
  foreign: string[]
  /** What the policy of the page refused, and other errors. */
  errors: string[]
  state(): Promise<unknown>
  notify(envelope: ToWebview): Promise<void>
  send(text: string): Promise<void>
  close(): Promise<void>
}

/** Builds the webview as it is now and starts a browser; the caller closes it. */
export async function openChatBrowser(): Promise<ChatBrowser> {
  const folder = await mkdtemp(join(tmpdir(), 'loci-webview-'))
  await build({
    entryPoints: { chat: resolve(import.meta.dirname, '../../extension/webview/chat.ts') },
    outdir: folder,
    bundle: true,
    splitting: true,
    format: 'esm',
    target: 'chrome128',
    tsconfig: resolve(import.meta.dirname, '../../tsconfig.webview.json'),
    logLevel: 'error',
  })
  const pages = new Map<string, string>()
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://x').pathname
    const html = pages.get(path)
    if (html !== undefined) return void response.setHeader('content-type', 'text/html').end(html)
    readFile(join(folder, path)).then(
      (file) => response.setHeader('content-type', 'text/javascript').end(file),
      () => response.writeHead(404).end(),
    )
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const browser: Browser = await chromium.launch({
    executablePath: CHROMIUM,
    headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  })
  let count = 0

  return {
    async open(target, lasting, options = {}) {
      const chat = options.chat ?? {
        session: new ChatSession(target, lasting),
        memory: createMemoryEdits(target.agent_id),
      }
      const path = `/page-${++count}`
      const html = chatHtml({
        cspSource: origin,
        script: `${origin}/chat.js`,
        agentId: target.agent_id,
        conversationId: target.conversation_id,
        place: 'editor',
        title: 'Chat',
        trusted: options.trusted ?? true,
      })
      const theme = options.light ? 'vscode-light' : 'vscode-dark'
      pages.set(path, html.replace('<body>', `<body class="${theme}">`))
      const page = await browser.newPage({ viewport: { width: 900, height: 800 } })
      page.setDefaultTimeout(10_000)
      const commands: CommandEnvelope[] = []
      const foreign: string[] = []
      const errors: string[] = []
      page.on('request', (request) => {
        if (!request.url().startsWith(origin) && !request.url().startsWith('data:'))
          foreign.push(request.url())
      })
      page.on('console', (message) => {
        if (message.type() === 'error') errors.push(message.text())
      })
      page.on('pageerror', (error) => errors.push(String(error)))
      const post = (envelope: ToWebview) =>
        // A page that is closing hears nothing more.
        page.evaluate((message) => window.postMessage(message, '*'), envelope).catch(() => undefined)
      const actions: ChatActions = {
        show: () => undefined,
        save: () => Promise.resolve(),
        prepare: () => Promise.resolve(true),
        ...options.actions,
      }
      await page.exposeFunction('toHost', async (value: unknown) => {
        const message = parseToHost(value)
        if (message?.kind === 'command') commands.push(message)
        if (message?.kind !== 'request') return
        try {
          if (isComposers(message)) throw new Error('There are no files and pickers here.')
          const result = await answerRequest(chat, message, lasting, actions)
          await post({ kind: 'reply', id: message.id, result })
        } catch (error) {
          await post({ kind: 'reply', id: message.id, error: await lasting.describe(error) })
        }
      })
      await page.addInitScript((kept: unknown) => {
        const view: Record<string, unknown> = window
        let state = kept
        view['keptState'] = () => state
        view['acquireVsCodeApi'] = () => ({
          postMessage: (message: unknown) => void (view['toHost'] as (m: unknown) => unknown)(message),
          getState: () => state,
          setState: (next: unknown) => (state = structuredClone(next)),
        })
      }, options.state)
      const deaf = chat.session.listen((envelope) => void post(envelope))
      await page.goto(origin + path)
      return {
        page,
        chat,
        commands,
        foreign,
        errors,
        state: () => page.evaluate(() => window.keptState()),
        notify: post,
        async send(text) {
          const input = page.locator('loci-composer textarea')
          await input.fill(text)
          await input.press('Enter')
        },
        async close() {
          deaf()
          await page.close()
        },
      }
    },
    async close() {
      await browser.close()
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function isComposers(request: RequestEnvelope): request is ComposerEnvelope {
  return isComposerMethod(request.method)
}
