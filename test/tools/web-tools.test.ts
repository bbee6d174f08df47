import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ToolCallInput } from '../../shared/core/ports/tools.ts'
import { readPage } from '../../shared/tools/web/page.ts'
import { type WebOptions, webTools } from '../../shared/tools/web/web-tools.ts'

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void

describe('the web tools', () => {
  let web: Server
  let base: string
  let handle: Handler

  before(async () => {
    web = createServer((request, response) => {
      let body = ''
      request.on('data', (piece: Buffer) => (body += piece.toString()))
      request.on('end', () => handle(request, response, body))
    })
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve))
    base = `http://127.0.0.1:${(web.address() as AddressInfo).port}`
  })
  after(() => {
    web.closeAllConnections()
    web.close()
  })

  const run = async (
    name: string,
    args: Record<string, unknown>,
    {
      signal = new AbortController().signal,
      secrets = {},
      ...options
    }: Partial<WebOptions> & { signal?: AbortSignal; secrets?: Record<string, string> } = {},
  ) => {
    const tools = webTools({ allow_private: true, exa: { api_key: null, base_url: null }, ...options })
    const tool = tools.find((t) => t.name === name)
    assert.ok(tool)
    // The rest of a call is nothing that these tools read.
    const call = { arguments: args, secrets: () => Promise.resolve(secrets) } as unknown as ToolCallInput
    const result = await tool.run(call, { signal })
    assert.equal(typeof result.func_response, 'string')
    return { status: result.status, text: result.func_response as string }
  }
  const page = (html: string, type = 'text/html; charset=utf-8') => {
    handle = (_, response) => response.writeHead(200, { 'content-type': type }).end(html)
  }

  describe('fetch_webpage', () => {
    it('answers the article of a page as Markdown, with absolute links and without the rest', async () => {
      const words = 'The harbour of Rotterdam is large, busy, and older than most of its cranes. '.repeat(12)
      page(`<html><head><title>Harbours</title><style>p{color:red}</style></head><body>
        <nav><a href="/home">Home</a></nav>
        <article><h2>Rotterdam</h2><p>${words}</p><p>See <a href="/cranes?x=1">the cranes</a> for more, ${words}</p>
        <table><tr><th>Port</th><th>Berths</th></tr><tr><td>Maas</td><td>12</td></tr></table>
        <pre><code>berth()</code></pre></article>
        <script>alert(1)</script></body></html>`)
      const { status, text: markdown } = await run('fetch_webpage', { url: `${base}/harbours` })
      assert.equal(status, 'success')
      assert.match(markdown, /^# Harbours\n/)
      assert.match(markdown, /## Rotterdam/)
      assert.ok(markdown.includes(`[the cranes](${base}/cranes?x=1)`), markdown)
      assert.match(markdown, /\| Maas \| 12 +\|/)
      assert.doesNotMatch(markdown, /alert|color:red/)
    })

    it('reads pages that are not articles, not closed, and not HTML', async () => {
      page('<title>Bits</title><p>one <b>two')
      assert.match((await run('fetch_webpage', { url: base })).text, /one \*\*two\*\*/)
      page('{"a": 1}', 'application/json')
      assert.equal((await run('fetch_webpage', { url: base })).text, '{"a": 1}')
      page('')
      assert.equal((await run('fetch_webpage', { url: base })).text, '')
    })

    it('believes the charset that the server or the page names', async () => {
      handle = (_, response) =>
        response
          .writeHead(200, { 'content-type': 'text/plain; charset=iso-8859-1' })
          .end(Buffer.from([0x63, 0xe9]))
      assert.equal((await run('fetch_webpage', { url: base })).text, 'cé')
    })

    it('refuses this machine and private networks, by address, by name and after a redirect', async () => {
      const strict = { allow_private: false }
      await assert.rejects(
        run('fetch_webpage', { url: base }, strict),
        /address of this machine or a private network/,
      )
      await assert.rejects(
        run('fetch_webpage', { url: base.replace('127.0.0.1', 'localhost') }, strict),
        /localhost is at .* address of this machine/,
      )
      for (const url of [
        'http://169.254.169.254/latest',
        'http://[::1]/',
        'http://0x7f000001/',
        'http://10.1.2.3/',
      ])
        await assert.rejects(run('fetch_webpage', { url }, strict), /private network/, url)
    })

    it('says what is wrong with what it cannot read', async () => {
      for (const url of ['ftp://example.org/', 'file:///etc/passwd', 'no url', ''])
        await assert.rejects(run('fetch_webpage', { url }), /only http: and https:/, url)
      page('%PDF', 'application/pdf')
      await assert.rejects(run('fetch_webpage', { url: base }), /application\/pdf, not a page/)
      handle = (_, response) => response.writeHead(404).end()
      await assert.rejects(run('fetch_webpage', { url: base }), /the server answered 404/)
      handle = (_, response) => response.writeHead(302, { location: '/again' }).end()
      await assert.rejects(run('fetch_webpage', { url: base }), /redirects more than 3 times/)
    })

    it('gives up on an abort', async () => {
      const waiting = new AbortController()
      handle = () => waiting.abort(new Error('enough'))
      await assert.rejects(run('fetch_webpage', { url: base }, { signal: waiting.signal }), /enough/)
    })

    it('gives up a page that takes too long, and nothing else waits for it', async () => {
      let turns = 0
      const ticking = setInterval(() => turns++, 1)
      const { signal } = new AbortController()
      const html = '<div>'.repeat(200_000)
      await assert.rejects(readPage({ html, url: base }, { signal, timeout_ms: 500 }), /longer than 0.5 s/)
      clearInterval(ticking)
      assert.ok(turns > 10, `the event loop turned ${turns} times meanwhile`)
    })
  })

  describe('web_search', () => {
    const exa = () => ({ exa: { api_key: 'secret-key', base_url: base } })

    it('asks Exa and answers what it found', async () => {
      let asked: unknown
      let key: unknown
      handle = (request, response, body) => {
        asked = { path: request.url, ...(JSON.parse(body) as object) }
        key = request.headers['x-api-key']
        response.writeHead(200, { 'content-type': 'application/json' }).end(
          JSON.stringify({
            results: [
              { title: 'A', url: 'https://a.example', publishedDate: '2026-01-01', highlights: ['h'] },
            ],
          }),
        )
      }
      const { text } = await run(
        'web_search',
        {
          query: 'ports',
          num_results: 3,
          include_domains: ['a.example'],
          start_published_date: '2026-01-01',
        },
        exa(),
      )
      assert.equal(key, 'secret-key')
      assert.deepEqual(asked, {
        path: '/search',
        query: 'ports',
        numResults: 3,
        type: 'auto',
        startPublishedDate: '2026-01-01',
        includeDomains: ['a.example'],
        contents: { highlights: true },
      })
      assert.deepEqual(JSON.parse(text), {
        query: 'ports',
        results: [
          {
            title: 'A',
            url: 'https://a.example',
            published_date: '2026-01-01',
            author: null,
            highlights: ['h'],
          },
        ],
      })
    })

    it('asks with the key of the agent, where it has one', async () => {
      let key: unknown
      handle = (request, response) => {
        key = request.headers['x-api-key']
        response.writeHead(200, { 'content-type': 'application/json' }).end('{"results":[]}')
      }
      const secrets = { EXA_API_KEY: 'of the agent' }
      await run('web_search', { query: 'x' }, { ...exa(), secrets })
      assert.equal(key, 'of the agent')
      const { text } = await run(
        'web_search',
        { query: 'x' },
        { exa: { api_key: null, base_url: base }, secrets },
      )
      assert.deepEqual(JSON.parse(text), { query: 'x', results: [] })
      await run('web_search', { query: 'x' }, { ...exa(), secrets: { EXA_API_KEY: '' } })
      assert.equal(key, 'secret-key')
    })

    it('says what is missing or wrong, without the key', async () => {
      await assert.rejects(run('web_search', { query: 'x' }), /set EXA_API_KEY/)
      await assert.rejects(run('web_search', { query: ' ' }, exa()), /query is empty/)
      await assert.rejects(run('web_search', { query: 'x', num_results: 500 }, exa()), /1 to 100/)
      handle = (_, response) => response.writeHead(401).end('{}')
      await assert.rejects(run('web_search', { query: 'x' }, exa()), (error: Error) => {
        assert.match(error.message, /answered 401; check EXA_API_KEY/)
        assert.doesNotMatch(error.message, /secret-key/)
        return true
      })
      handle = (_, response) => response.writeHead(200).end('not json')
      await assert.rejects(run('web_search', { query: 'x' }, exa()), /did not answer/)
    })
  })
})
