import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Runs a Loci with a log in a process of its own, as stderr belongs to the process. */
async function logOf(level: string, work: string): Promise<Record<string, unknown>[]> {
  const data = await mkdtemp(join(tmpdir(), 'loci-log-'))
  const main = new URL('../../shared/server/main.ts', import.meta.url).href
  const serve = new URL('../../shared/server/serve.ts', import.meta.url).href
  const code = `
    import { openLoci } from ${JSON.stringify(main)}
    import { listen } from ${JSON.stringify(serve)}
    const loci = await openLoci({ data: ${JSON.stringify(data)}, env: {}, discover_local: false, log_level: ${JSON.stringify(level)} })
    const { url, close } = await listen(loci, { host: '127.0.0.1', port: 0, key: 'top-secret', grace_ms: 20_000 })
    const call = async (method, path, body) => {
      const headers = { authorization: 'Bearer top-secret', 'content-type': 'application/json', 'x-request-id': method + '-1' }
      const answer = await fetch(url + path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) })
      return answer.json()
    }
    ${work}
    await close()
    await loci.close()
  `
  try {
    const { stderr } = await run(process.execPath, ['--input-type=module', '-e', code], {
      env: { ...process.env, NODE_NO_WARNINGS: '1' },
    })
    return stderr
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  } finally {
    await rm(data, { recursive: true, force: true })
  }
}

describe('the log', () => {
  it('never has the key of a provider, also where its provider fails', async () => {
    const lines = await logOf(
      'debug',
      `
        const provider = { name: 'mine', provider_type: 'openai', api_key: 'sk-private-key', base_url: 'http://127.0.0.1:1' }
        const made = await call('POST', '/v1/providers/', provider)
        await call('POST', '/v1/providers/check', provider)
        await call('PATCH', '/v1/providers/' + made.id + '/refresh')
        await call('POST', '/v1/providers/', { ...provider, base_url: 'none' })
        await call('POST', '/v1/agents/', { model: 'mine/model' })
      `,
    )
    assert.equal(lines.filter((line) => line['method'] !== undefined).length, 5)
    assert.doesNotMatch(JSON.stringify(lines), /private-key/)
  })

  it('tells that a file could not be read and that texts were not embedded, without anything of them', async () => {
    const lines = await logOf(
      'warn',
      `
        const provider = { name: 'mine', provider_type: 'openai', api_key: 'sk-private-key', base_url: 'http://127.0.0.1:1' }
        await call('POST', '/v1/providers/', provider)
        const archive = await call('POST', '/v1/archives/', { name: 'a', embedding: 'mine/private-model' })
        await call('POST', '/v1/archives/' + archive.id + '/passages', { text: 'private-text' })
        const folder = await call('POST', '/v1/folders/', { name: 'f' })
        const body = new FormData()
        body.append('file', new File(['%PDF-1.4 private-text'], 'private-name.pdf'))
        const headers = { authorization: 'Bearer top-secret' }
        await fetch(url + '/v1/folders/' + folder.id + '/upload', { method: 'POST', headers, body })
        for (const end = Date.now() + 30_000; Date.now() < end;) {
          const [file] = await call('GET', '/v1/folders/' + folder.id + '/files')
          const { metadata } = await call('GET', '/v1/archives/' + archive.id)
          if (file.processing_status === 'error' && metadata.embedding.status === 'error') break
          await new Promise((resolve) => setTimeout(resolve, 50))
        }
      `,
    )
    const said = lines.map(({ level, where, reason }) => [level, where, String(reason)] as const)
    const embedding = said.find(([, where]) => where === 'embedding')
    assert.match(
      embedding?.[2] ?? '',
      /^mine\/private-model failed for archive-\S+ \(llm_\w+\); it is asked again in/,
    )
    const file = said.find(([, where]) => where === 'reading files')
    assert.match(file?.[2] ?? '', /^file-\S+ could not be read; its error_message says why$/)
    assert.ok(said.every(([level]) => level === 40))
    assert.doesNotMatch(JSON.stringify(lines), /private-(text|name|key)/)
  })

  it('has one line for each request: no query, key or text of a message', async () => {
    const lines = await logOf(
      'info',
      `
        const agent = await call('POST', '/v1/agents/', { model: 'loci/demo' })
        await call('POST', '/v1/agents/' + agent.id + '/messages', { input: 'my-private-words' })
        await call('GET', '/v1/agents/?name=token-in-query')
        await call('GET', '/v1/health/')
      `,
    )
    assert.deepEqual(
      lines.map((line) => [line['request_id'], line['method'], line['status'], typeof line['ms']]),
      [
        ['POST-1', 'POST', 200, 'number'],
        ['POST-1', 'POST', 200, 'number'],
        ['GET-1', 'GET', 200, 'number'],
      ],
    )
    assert.equal(lines[2]?.['path'], '/v1/agents')
    assert.doesNotMatch(JSON.stringify(lines), /private-words|top-secret|token-in-query/)
  })

  it('has a line for each model call from debug on, and for turns that fail, without a word of either side', async () => {
    const work = `
      const { createServer } = await import('node:http')
      const provider = createServer((request, response) => {
        let body = ''
        request.on('data', (piece) => (body += piece)).on('end', () => {
          if (request.method === 'GET')
            return response.end(JSON.stringify({ data: [{ id: 'good', context_length: 9000 }, { id: 'bad', context_length: 9000 }] }))
          const bad = JSON.parse(body).model === 'bad'
          response.writeHead(bad ? 401 : 200, { 'content-type': 'application/json' })
          response.end(JSON.stringify(bad
            ? { error: { message: 'wrong key sk-private-key and private-words: ' + body } }
            : { id: 'x', object: 'chat.completion', created: 1, model: 'good',
                choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'private-answer' } }],
                usage: { prompt_tokens: 12, completion_tokens: 3, total_tokens: 15 } }))
        })
      })
      await new Promise((resolve) => provider.listen(0, '127.0.0.1', resolve))
      const base_url = 'http://127.0.0.1:' + provider.address().port + '/v1'
      await call('POST', '/v1/providers/', { name: 'mine', provider_type: 'openai', api_key: 'sk-private-key', base_url })
      for (const model of ['mine/good', 'mine/bad']) {
        const agent = await call('POST', '/v1/agents/', { model, include_base_tools: false })
        await call('POST', '/v1/agents/' + agent.id + '/messages', { input: 'private-words' })
      }
      provider.close()
      provider.closeAllConnections()
    `
    const lines = await logOf('debug', work)
    const [good, bad] = lines.filter((line) => line['where'] === 'model')
    const { time: _time, ms, first_ms, ...rest } = good ?? {}
    assert.deepEqual([typeof ms, typeof first_ms], ['number', 'number'])
    assert.deepEqual(rest, {
      level: 20,
      where: 'model',
      model: 'mine/good',
      provider: 'mine',
      status: 'success',
      stream: false,
      messages: 2,
      tools: 0,
      prompt_tokens: 12,
      completion_tokens: 3,
      finish_reason: 'stop',
    })
    assert.deepEqual(
      [bad?.['model'], bad?.['status'], bad?.['code'], bad?.['answered']],
      ['mine/bad', 'failed', 'llm_authentication', 401],
    )
    const turn = lines.find((line) => line['where'] === 'turn')
    assert.match(String(turn?.['run_id']), /^run-/)
    assert.deepEqual([turn?.['level'], turn?.['code']], [40, 'llm_authentication'])
    assert.doesNotMatch(JSON.stringify(lines), /private-/)
    const fewer = await logOf('info', work)
    assert.equal(fewer.filter((line) => line['where'] === 'model').length, 0)
    assert.equal(fewer.filter((line) => line['where'] === 'turn').length, 1)
  })

  it('hides secrets in paths and in failures of ours, those of headers, queries and bodies too', async () => {
    const lines = await logOf(
      'debug',
      `
        const key = 'sk-' + 'private-0123456789'
        await call('GET', '/v1/none/' + key + '?token=private-query')
        await call('POST', '/v1/blocks/?api_key=private-query', { label: 'a', value: key, password: 'private-body' })
        await fetch(url + '/v1/blocks/', { headers: { authorization: 'Bearer private-header', 'x-api-key': 'private-header', 'x-request-id': 'private-header ' + key } })
        loci.log.failure('asking with ' + key, new Error('Bearer private-failure', { cause: new Error('the key was top-secret, password=private-cause') }))
        loci.log.warn('somewhere', 'https://ada:private-url@example.com')
      `,
    )
    assert.ok(lines.length >= 5)
    assert.doesNotMatch(JSON.stringify(lines), /private-|top-secret/)
    assert.match(JSON.stringify(lines), /the key was \*\*\*|\/v1\/none\/sk-\*\*\*/)
  })

  it('names the request of a failure of ours, which is answered 500 with that id and nothing else', async () => {
    const lines = await logOf(
      'error',
      `
        await loci.fetch(new Request('http://localhost/v1/tags/'))
        const { DatabaseSync } = await import('node:sqlite')
        const { join } = await import('node:path')
        const db = new DatabaseSync(join(loci.data, 'loci.db'))
        db.exec('DROP TABLE block_tags')
        db.close()
        const answer = await call('GET', '/v1/tags/')
        console.error(JSON.stringify({ answer }))
      `,
    )
    const answer = lines.find((line) => line['answer'])?.['answer'] as { detail: string; request_id: string }
    const failure = lines.find((line) => line['where'])
    const request = lines.find((line) => line['status'])
    assert.match(answer.detail, /under request GET-1/)
    assert.doesNotMatch(JSON.stringify(answer), /block_tags|sqlite|\.ts/i)
    assert.equal(failure?.['request_id'], 'GET-1')
    assert.match(JSON.stringify(failure?.['err']), /block_tags/)
    assert.deepEqual([request?.['status'], request?.['request_id']], [500, 'GET-1'])
  })

  it('has failures that are ours alone as errors: not those of others, nor what is sent away at the end', async () => {
    const lines = await logOf(
      'debug',
      `
        const http = await import('node:http')
        const provider = http.createServer((request, response) => {
          if (request.method === 'GET') return response.end(JSON.stringify({ data: [{ id: 'bad', context_length: 9000 }] }))
          request.resume().on('end', () => response.writeHead(200, { 'content-type': 'application/json' }).end('{}'))
        })
        await new Promise((resolve) => provider.listen(0, '127.0.0.1', resolve))
        const base_url = 'http://127.0.0.1:' + provider.address().port + '/v1'
        await call('POST', '/v1/providers/', { name: 'mine', provider_type: 'openai', api_key: 'x', base_url })
        const agent = await call('POST', '/v1/agents/', { model: 'mine/bad', include_base_tools: false })
        await call('POST', '/v1/agents/' + agent.id + '/messages', { input: 'hi' })
        provider.close()
        provider.closeAllConnections()
        // The end waits for a request that has begun.
        const slow = http.request(url + '/v1/blocks/', { method: 'POST', headers: { authorization: 'Bearer top-secret', 'content-length': 9, expect: '100-continue' } })
        slow.on('error', () => undefined).flushHeaders()
        await new Promise((resolve) => slow.once('continue', resolve))
        const closed = close()
        await call('GET', '/v1/tags/')
        await call('GET', '/v1/ready/')
        slow.destroy()
        await closed
      `,
    )
    const levels = lines.flatMap(({ method, path, status, level, reason }) =>
      Number(status) >= 500
        ? [[method, String(path).replace(/agent-[^/]+/, '…'), status, level, reason]]
        : [],
    )
    const away = lines.find(({ path }) => path === '/v1/tags')?.['reason']
    assert.match(String(away), /shutting down/)
    assert.deepEqual(levels, [
      ['POST', '/v1/agents/…/messages', 502, 40, undefined],
      ['GET', '/v1/tags', 503, 30, away],
      ['GET', '/v1/ready', 503, 20, 'this server is shutting down and takes no more requests'],
    ])
  })

  it('says why the store cannot be used', async () => {
    const lines = await logOf(
      'info',
      `
        const { DatabaseSync } = await import('node:sqlite')
        const { join } = await import('node:path')
        const db = new DatabaseSync(join(loci.data, 'loci.db'))
        db.exec('PRAGMA user_version = 99')
        db.close()
        await call('POST', '/v1/blocks/', { label: 'a', value: 'private-words' })
      `,
    )
    const refused = lines.find((line) => line['status'] === 503)
    assert.match(String(refused?.['reason']), /was updated by Loci/)
    assert.equal(refused?.['level'], 50)
    assert.doesNotMatch(JSON.stringify(lines), /private-words/)
  })

  it('says nothing below its level', async () => {
    assert.deepEqual(await logOf('silent', `await call('GET', '/v1/nothing')`), [])
    const lines = await logOf('debug', `await call('GET', '/v1/health/')`)
    assert.equal(lines.length, 1)
  })
})
