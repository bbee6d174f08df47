import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import type { ToolCallInput } from '../../shared/core/ports/tools.ts'
import { isPrivate } from '../../shared/tools/web/addresses.ts'
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
      for (const empty of ['', '<title></title><script>draw()</script>']) {
        page(empty)
        assert.match((await run('fetch_webpage', { url: base })).text, /^\(There is no text on this page/)
      }
    })

    it('unpacks what comes packed, within the limit', async () => {
      const packed = (encoding: string, body: Buffer) => {
        handle = (_, response) =>
          response.writeHead(200, { 'content-type': 'text/html', 'content-encoding': encoding }).end(body)
      }
      const html = Buffer.from('<p>the packed text</p>')
      for (const [encoding, pack] of [
        ['gzip', gzipSync],
        ['deflate', deflateSync],
        ['br', brotliCompressSync],
      ] as const) {
        packed(encoding, pack(html))
        assert.equal((await run('fetch_webpage', { url: base })).text, 'the packed text', encoding)
      }
      packed('gzip', gzipSync(Buffer.alloc(300_000_000, 'a')))
      await assert.rejects(run('fetch_webpage', { url: base }), /larger than 10 MiB/)
      packed('gzip', html)
      await assert.rejects(run('fetch_webpage', { url: base }), /not packed as it says \(gzip\)/)
      packed('br', html)
      await assert.rejects(run('fetch_webpage', { url: base }), /not packed as it says \(br\)/)
      packed('compress', html)
      await assert.rejects(run('fetch_webpage', { url: base }), /packed in a way that is not known/)
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

    it('refuses addresses of this machine, and those that are reserved, in every form', async () => {
      for (const address of [
        '8.8.8.8',
        '2606:4700::1',
        '::ffff:8.8.8.8',
        '2002:808:808::1',
        '64:ff9b::8.8.8.8',
        '2a00:1450::1',
      ])
        assert.equal(isPrivate(address, []), false, address)
      for (const address of [
        '192.0.2.1',
        '198.51.100.1',
        '203.0.113.1',
        '198.19.0.1',
        '240.0.0.1',
        '255.255.255.255',
        '100.100.0.1',
        '::ffff:10.0.0.1',
        '::10.0.0.1',
        '::8.8.8.8',
        '::',
        '::1',
        '2002:a00:1::1',
        '2002:7f00:1::',
        '64:ff9b::7f00:1',
        '64:ff9b::10.0.0.1',
        '64:ff9b:1::808:808',
        '2001::1',
        '2001:0:808:808::1',
        '2001:db8::1',
        'fec0::1',
        'fe80::1%eth0',
        'fd00::1',
        'ff02::1',
        '100::1',
      ])
        assert.equal(isPrivate(address, []), true, address)
      const own = ['8.8.8.8', '2606:4700::1']
      for (const address of ['8.8.8.8', '::ffff:8.8.8.8', '2606:4700:0::1', '64:ff9b::8.8.8.8'])
        assert.equal(isPrivate(address, own), true, address)
      for (const { address } of Object.values(networkInterfaces()).flatMap((all) => all ?? []))
        assert.equal(isPrivate(address), true, address)
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

    it('says so of a page that is nested too deeply, and outlives one that no heap holds', async () => {
      const { signal } = new AbortController()
      const deep = `${'<b>'.repeat(20_000)}deep`
      await assert.rejects(readPage({ html: deep, url: base }, { signal }), /nested too deeply/)
      const wide = `<p>${'<b>a</b>'.repeat(2_000_000)}`
      await assert.rejects(
        readPage({ html: wide, url: base }, { signal, timeout_ms: 60_000 }),
        /more than 256 MB/,
      )
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
