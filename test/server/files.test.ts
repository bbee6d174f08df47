import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { aDocx, aPdf, anEncryptedPdf, anXlsx, aZip } from '../support/documents.ts'
import { eventually, lyingUploads, SCRIPTED, startLoci, storeBeside, type TestLoci } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

describe('folders and files', () => {
  let model: ScriptedModel
  let t: TestLoci
  let data: string
  before(async () => {
    data = await mkdtemp(join(tmpdir(), 'loci-files-'))
    await writeFile(join(data, 'config.json'), JSON.stringify({ server: { max_upload_mb: 4 } }))
    model = await startScriptedModel([])
    t = await startLoci({ model_url: model.url, data })
  })
  after(async () => {
    await t.close()
    await model.close()
    await rm(data, { recursive: true, force: true })
    assert.deepEqual(t.failures, [])
  })

  const aFolder = async () => (await t.letta.folders.create({ name: `f ${crypto.randomUUID()}` })).id
  const upload = (folder_id: string, name: string, content: string | Buffer, more: object = {}) =>
    t.letta.folders.files.upload(folder_id, {
      file: new File([typeof content === 'string' ? content : new Uint8Array(content)], name),
      ...more,
    })
  const read = (folder_id: string, file_id: string) =>
    eventually(
      `${file_id} is read`,
      async () => {
        const file = await t.letta.folders.files.retrieve(file_id, { folder_id, include_content: true })
        return ['completed', 'error'].includes(file.processing_status ?? '') ? file : null
      },
      60_000,
    )
  const uploaded = async (name: string, content: string | Buffer) => {
    const folder_id = await aFolder()
    return read(folder_id, (await upload(folder_id, name, content)).id)
  }
  const reader = async (folder_id: string, more: object = {}) =>
    t.letta.agents.create({ name: 'Reader', model: SCRIPTED, folder_ids: [folder_id], ...more })
  const call = async (agent_id: string, name: string, args: Record<string, unknown>) => {
    const id = `call-${crypto.randomUUID().slice(0, 8)}`
    model.add({ reply: { tool_calls: [{ id, name, arguments: args }] } }, { reply: { text: 'Done.' } })
    const { messages } = await t.letta.agents.messages.create(agent_id, { input: 'Go on' })
    const found = messages.find((message) => message.message_type === 'tool_return_message')
    return found as { tool_return: string; status: string }
  }

  describe('reading', () => {
    it('keeps text as it is, and tells its type', async () => {
      const texts: [string, string][] = [
        ['a.txt', 'one\ntwo\n\nGröße 😀'],
        ['a.md', '# Title\n\n```ts\nconst a = 1\n```'],
        ['a.csv', 'a,b\n1,"x, y"'],
        ['a.py', 'def f():\n    return 1'],
      ]
      for (const [name, text] of texts) {
        const file = await uploaded(name, text)
        assert.deepEqual([file.processing_status, file.content], ['completed', text], name)
      }
      assert.equal((await uploaded('crlf.txt', 'a\r\nb\r\n')).content, 'a\nb')
      assert.equal((await uploaded('latin.txt', Buffer.from('Gr\xf6\xdfe', 'latin1'))).content, 'Größe')
      const utf16 = Buffer.from('\uFEFFwide', 'utf16le')
      assert.equal((await uploaded('wide.txt', utf16)).content, 'wide')
    })

    it('reads HTML as Markdown, and JSON on one line by lines', async () => {
      const html =
        '<html><head><title>T</title></head><body><h1>Head</h1><p>Some <b>text</b></p></body></html>'
      assert.match((await uploaded('a.html', html)).content ?? '', /# Head\n\nSome \*\*text\*\*/)
      const json = JSON.stringify(Array.from({ length: 900 }, (_, i) => ({ i })))
      assert.match((await uploaded('a.json', json)).content ?? '', /^\[\n {2}\{\n {4}"i": 0/)
    })

    it('reads PDF, DOCX and XLSX by what is in them, whatever they are called', async () => {
      const pdf = await uploaded('report.pdf', aPdf('Hello from a page'))
      assert.deepEqual([pdf.error_message, pdf.file_type], [null, 'application/pdf'])
      assert.match(pdf.content ?? '', /\[Page 1\]\nHello from a page/)
      const docx = await uploaded('letter.bin', aDocx('Dear reader'))
      assert.deepEqual([docx.error_message, docx.content], [null, 'Dear reader'])
      const xlsx = await uploaded(
        'sheet.xlsx',
        anXlsx([
          ['name', 'n'],
          ['Ada', 7],
        ]),
      )
      assert.deepEqual([xlsx.error_message, xlsx.content], [null, '# Sheet1\n\nname,n\nAda,7'])
    })

    it('tells what an image says of itself', async () => {
      const png = Buffer.alloc(24)
      png.set([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
      png.writeUInt32BE(640, 16)
      png.writeUInt32BE(480, 20)
      assert.match((await uploaded('a.png', png)).content ?? '', /Width: 640 pixels\nHeight: 480 pixels/)
    })

    it('ends with an error that says what is wrong', async () => {
      const zeros = Buffer.alloc(300 * 1024 * 1024)
      const bad: [string, string | Buffer, RegExp][] = [
        ['empty.txt', '', /the file is empty/],
        ['blank.txt', ' \n\n ', /no text/],
        ['bomb.docx', aZip({ 'word/document.xml': zeros }), /unpacks to more than/],
        ['cut.docx', aDocx('x').subarray(0, 300), /broken or incomplete/],
        ['other.docx', aZip({ 'a.txt': Buffer.from('a') }), /no DOCX and no XLSX/],
        ['secret.pdf', anEncryptedPdf(), /encrypted/],
        ['scan.pdf', aPdf(''), /no text in this PDF/],
        ['broken.pdf', '%PDF-1.4\nand nothing', /this PDF is broken \(.*\); save it anew/],
        ['deep.docx', aDocx(`${'<w:r>'.repeat(100_000)}x${'</w:r>'.repeat(100_000)}`), /nested too deeply/],
        ['entity.docx', aDocx('&nothing;'), /: this DOCX is broken \(entity not found.*\); save it anew/],
        ['noise.txt', Buffer.from(Array.from({ length: 999 }, (_, i) => (i * 7) % 256)), /binary.*\.txt/],
        ['old.doc', Buffer.from('d0cf11e0a1b11ae1', 'hex'), /old Office document/],
      ]
      for (const [name, content, why] of bad) {
        const file = await uploaded(name, content)
        assert.equal(file.processing_status, 'error', name)
        assert.match(`${name}: ${file.error_message}`, why)
        assert.deepEqual([file.content, file.total_chunks], ['', 0], name)
      }
      // It is removed after the file's row says how it ended.
      await eventually('no upload stays when it was read', async () =>
        (await lyingUploads(data)).length === 0 ? true : null,
      )
    })
  })

  describe('uploads', () => {
    it('of one name twice are suffixed, skipped, refused or replaced', async () => {
      const folder_id = await aFolder()
      const one = await upload(folder_id, 'a.txt', 'one')
      const suffixed = await upload(folder_id, 'a.txt', 'two')
      assert.equal(suffixed.original_file_name, 'a_(1).txt')
      const skipped = await t.letta.folders.files
        .upload(folder_id, { file: new File(['x'], 'a.txt'), duplicate_handling: 'skip' })
        .withResponse()
      assert.deepEqual(
        [skipped.data.id, skipped.response.headers.get('x-upload-result')],
        [one.id, 'skipped'],
      )
      await assert.rejects(upload(folder_id, 'a.txt', 'x', { duplicate_handling: 'error' }), { status: 409 })
      const replaced = await upload(folder_id, 'a.txt', 'new', { duplicate_handling: 'replace' })
      assert.notEqual(replaced.id, one.id)
      assert.equal((await read(folder_id, replaced.id)).content, 'new')
      const names = (await t.letta.folders.files.list(folder_id)).items.map((f) => f.original_file_name)
      assert.deepEqual(names.toSorted(), ['a.txt', 'a_(1).txt'])
    })

    it('get names that are safe', async () => {
      const folder_id = await aFolder()
      const named = async (name: string) =>
        (await upload(folder_id, 'x.txt', 'x', { name })).original_file_name
      assert.equal(await named('../../etc/passwd'), 'passwd')
      assert.equal(await named('a\0b\nc.txt'), 'ab c.txt')
      assert.equal(await named('..'), 'file')
      assert.equal(await named('😀.md'), '😀.md')
      assert.equal(await named(`${'x'.repeat(500)}.pdf`), `${'x'.repeat(196)}.pdf`)
      assert.equal(await named(String.raw`C:\docs\plan.md`), 'plan.md')
    })

    it('larger than the limit are refused before they are read, or as soon as too much has come', async () => {
      const folder_id = await aFolder()
      const { hostname, port } = new URL(t.url)
      const path = `/v1/folders/${folder_id}/upload`
      const post = (
        headers: Record<string, string | number>,
        body: (write: (b: Buffer) => boolean) => void,
      ) =>
        new Promise<{ status: number; text: string }>((resolve, reject) => {
          const type = { 'content-type': 'multipart/form-data; boundary=b' }
          const sent = httpRequest(
            { hostname, port, path, method: 'POST', headers: { ...type, ...headers } },
            (answer) => {
              let text = ''
              answer.on('data', (piece: Buffer) => (text += piece.toString()))
              answer.on('end', () => {
                sent.destroy()
                resolve({ status: answer.statusCode ?? 0, text })
              })
            },
          )
          sent.on('error', reject)
          sent.flushHeaders()
          body((bytes) => sent.write(bytes))
        })
      const size = 300 * 1024 * 1024
      const announced = await post({ 'content-length': size }, () => undefined)
      assert.equal(announced.status, 413, 'answered although nothing of it was sent')
      assert.match(announced.text, /(?:4 MB|takes at most).*max_upload_mb/)
      const streamed = await post({}, (write) => {
        write(Buffer.from('--b\r\nContent-Disposition: form-data; name="file"; filename="big"\r\n\r\n'))
        for (let i = 0; i < 5; i++) write(Buffer.alloc(1024 * 1024, 'x'))
      })
      assert.equal(streamed.status, 413)
      assert.deepEqual((await t.letta.folders.files.list(folder_id)).items, [])
      await eventually('nothing of it stays', async () =>
        (await lyingUploads(data)).length === 0 ? true : null,
      )
    })

    it('whose bytes are gone before they were read end with an error that says so', async () => {
      const folder_id = await aFolder()
      // One large file is read at a time: the second waits for the first.
      await upload(folder_id, 'first.txt', 'x\n'.repeat(1_000_000))
      const { id } = await upload(folder_id, 'second.txt', 'x\n'.repeat(600_000))
      const store = await storeBeside(data)
      await store.uploads.discard(id)
      await store.close()
      const file = await read(folder_id, id)
      assert.match(file.error_message ?? '', /its upload is gone.*upload it again/)
    })

    it('that are no form, broken or without a file are refused', async () => {
      const folder_id = await aFolder()
      const post = async (type: string, body: string) =>
        (
          await fetch(`${t.url}/v1/folders/${folder_id}/upload`, {
            method: 'POST',
            headers: { 'content-type': type },
            body,
          })
        ).status
      assert.equal(await post('application/json', '{}'), 415)
      assert.equal(await post('multipart/form-data; boundary=b', '--b--\r\n'), 400)
      const head = '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
      assert.equal(await post('multipart/form-data; boundary=b', `${head}cut off`), 400)
      const field = '--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n'
      assert.equal(await post('multipart/form-data; boundary=b', `${field}${head}\r\n--b--`), 200)
      assert.equal(await post('multipart/form-data; boundary=b', `${head}text\r\n${field}--b--`), 200)
      assert.equal((await t.http('POST', `/v1/folders/source-${crypto.randomUUID()}/upload`)).status, 404)
    })

    it('in another field, or two at once, are refused, and nothing of them stays', async () => {
      const folder_id = await aFolder()
      const post = async (...files: [field: string, name: string][]) => {
        const body = new FormData()
        for (const [field, name] of files) body.append(field, new File(['text'], name))
        const answer = await fetch(`${t.url}/v1/folders/${folder_id}/upload`, { method: 'POST', body })
        return { status: answer.status, text: await answer.text() }
      }
      const other = await post(['document', 'a.txt'])
      assert.equal(other.status, 422)
      assert.match(other.text, /body\.document: a file is sent in the field named file/)
      const two = await post(['file', 'a.txt'], ['file', 'b.txt'])
      assert.equal(two.status, 422)
      assert.match(two.text, /one file; send 'b\.txt' in another/)
      assert.deepEqual((await t.letta.folders.files.list(folder_id)).items, [])
      assert.equal((await post(['file', 'a.txt'])).status, 200)
    })
  })

  it('of a folder that is deleted leave no upload behind', async () => {
    const folder_id = await aFolder()
    const long = 'a line of text\n'.repeat(200_000)
    for (const name of ['a.txt', 'b.txt', 'c.txt']) await upload(folder_id, name, long)
    await t.letta.folders.delete(folder_id)
    await eventually('the uploads are gone', async () =>
      (await lyingUploads(data)).length === 0 ? true : null,
    )
    const next = await uploaded('next.txt', 'It goes on.')
    assert.equal(next.content, 'It goes on.')
  })

  describe('an agent', () => {
    const lines = Array.from({ length: 40 }, (_, i) => `line ${i + 1} of the log`)

    it('sees its open files in the prompt, which stays as it is within a turn', async () => {
      const folder_id = await aFolder()
      await read(folder_id, (await upload(folder_id, 'log.txt', lines.join('\n'))).id)
      const agent = await reader(folder_id, { per_file_view_window_char_limit: 200 })
      const from = model.requests.length
      const { tool_return } = await call(agent.id, 'open_files', {
        file_requests: [{ file_name: 'log.txt', offset: 30, length: 2 }],
      })
      assert.match(
        tool_return,
        /\[Viewing lines 31 to 32 \(out of 40 lines\)\]\n31: line 31 of the log\n32: line 32/,
      )
      const prompts = model.requests
        .slice(from)
        .map(({ body }) => (body as { messages: { content: string }[] }).messages[0]?.content)
      assert.equal(prompts.length, 2)
      assert.equal(prompts[0], prompts[1])
      assert.match(prompts[0] ?? '', /<directories>\n<file_limits>\n- current_files_open=1\n/)
      assert.match(prompts[0] ?? '', /<file status="open" name="[^"]*log\.txt">[^]*\n1: line 1 of the log\n/)
      model.add({ reply: { text: 'Hm.' } })
      await t.letta.agents.messages.create(agent.id, { input: 'And now?' })
      const next = model.requests.at(-1)?.body as { messages: { content: string }[] }
      assert.match(next.messages[0]?.content ?? '', /<value>\n\[Viewing lines 31 to 32[^]*32: line 32/)
    })

    it('is told what it asked for in a wrong way', async () => {
      const folder_id = await aFolder()
      await read(folder_id, (await upload(folder_id, 'a.txt', 'a')).id)
      const agent = await reader(folder_id, { max_files_open: 1 })
      const wrong: [Record<string, unknown>, RegExp][] = [
        [{ file_requests: [] }, /ValueError.*empty/],
        [{ file_requests: [{ file_name: 'nope.txt' }] }, /ValueError.*the files are: .*a\.txt/],
        [{ file_requests: [{ file_name: 'a.txt', offset: -1 }] }, /ValueError.*less than 0/],
        [{ file_requests: [{ file_name: 'a.txt', offset: 9 }] }, /ValueError.*past the end/],
        [{ file_requests: [{ file_name: 'a.txt', length: 0 }] }, /ValueError.*less than 1/],
        [{ file_requests: ['a.txt', 'a.txt'] }, /ValueError.*at most 1/],
      ]
      for (const [args, why] of wrong) {
        const { status, tool_return } = await call(agent.id, 'open_files', args)
        assert.equal(status, 'error')
        assert.match(tool_return, why)
      }
    })

    it('opens no file that could not be read, and hears why', async () => {
      const folder_id = await aFolder()
      for (const name of ['bad.pdf', 'worse.pdf']) await upload(folder_id, name, '%PDF-1.4\nand nothing')
      await read(folder_id, (await upload(folder_id, 'good.txt', 'the good text')).id)
      await eventually('all are read', async () => {
        const { items } = await t.letta.folders.files.list(folder_id)
        return items.every((file) => ['completed', 'error'].includes(file.processing_status ?? '')) || null
      })
      const agent = await reader(folder_id, { max_files_open: 1 })
      const { status, tool_return } = await call(agent.id, 'open_files', {
        file_requests: [{ file_name: 'bad.pdf' }],
      })
      assert.equal(status, 'error')
      assert.match(tool_return, /'bad\.pdf' cannot be opened, since it could not be read: this PDF is broken/)
      const opened = await call(agent.id, 'open_files', { file_requests: [{ file_name: 'good.txt' }] })
      assert.match(opened.tool_return, /1: the good text/)
      assert.doesNotMatch(opened.tool_return, /Closed:/)
      const { files } = await t.letta.agents.files.list(agent.id, { is_open: true })
      assert.deepEqual(
        files.map((file) => file.file_name.split('/')[1]),
        ['good.txt'],
      )
    })

    it('is searched from outside, too, best first, with lines that count from 1', async () => {
      const folder_id = await aFolder()
      const lines = Array.from({ length: 40 }, (_, i) => `line ${i + 1}`).join('\n')
      const { id } = await read(folder_id, (await upload(folder_id, 'a.txt', `${lines}\nthe owl sleeps`)).id)
      await read(folder_id, (await upload(folder_id, 'b.txt', 'nothing of it')).id)
      const agent = await reader(folder_id)
      const path = `/v1/agents/${agent.id}/files/search`
      const { status, body, headers } = await t.http('GET', `${path}?query=owl`)
      assert.equal(status, 200)
      assert.equal(headers.get('x-search-mode'), 'fts')
      const [found, ...more] = body as {
        file_id: string
        file_name: string
        text: string
        end_line: number
      }[]
      assert.deepEqual(more, [])
      assert.equal(found?.file_id, id)
      assert.match(found.file_name, /\/a\.txt$/)
      assert.match(found.text, /the owl sleeps/)
      assert.equal(found.end_line, 41)
      assert.deepEqual((await t.http('GET', `${path}?query=zebra`)).body, [])
      assert.equal((await t.http('GET', path)).status, 422)
      const nobody = '/v1/agents/agent-00000000-0000-4000-8000-000000000000/files/search?query=x'
      assert.equal((await t.http('GET', nobody)).status, 404)
    })

    it('finds lines by a regular expression, in linear time', async () => {
      const folder_id = await aFolder()
      await read(folder_id, (await upload(folder_id, 'log.txt', lines.join('\n'))).id)
      await read(folder_id, (await upload(folder_id, 'a.md', `${'a'.repeat(3000)}!`)).id)
      const agent = await reader(folder_id)
      const found = await call(agent.id, 'grep_files', { pattern: 'line 1[23] ', include: '*.txt' })
      assert.match(found.tool_return, /log\.txt\n {2}11: .*\n> 12: line 12 of the log\n {2}13: /)
      const all = await call(agent.id, 'grep_files', { pattern: '^line', context_lines: 0 })
      assert.match(all.tool_return, /Matches 1 to 20:[^]*call again with offset=20/)
      const rest = await call(agent.id, 'grep_files', { pattern: '^line', context_lines: 0, offset: 20 })
      assert.match(rest.tool_return, /Matches 21 to 40:/)
      assert.doesNotMatch(rest.tool_return, /More matches/)
      const from = performance.now()
      const evil = await call(agent.id, 'grep_files', { pattern: '(a+)+$' })
      assert.match(evil.tool_return, /No matches/)
      assert.ok(performance.now() - from < 10_000, 'a backtracking engine would not have come back')
      const broken = await call(agent.id, 'grep_files', { pattern: '(' })
      assert.match(broken.tool_return, /ValueError: the pattern is not a regular expression/)
    })

    it('finds parts of its files by words, of its own folders alone', async () => {
      const folder_id = await aFolder()
      await read(folder_id, (await upload(folder_id, 'zoo.md', '# Birds\n\nThe parrot is called Iago.')).id)
      const other = await aFolder()
      await read(other, (await upload(other, 'secret.md', 'Another parrot, of somebody else.')).id)
      const agent = await reader(folder_id)
      const { tool_return } = await call(agent.id, 'semantic_search_files', { query: 'parrots' })
      assert.match(tool_return, /zoo\.md\n\[lines 1 to 3\]\n# Birds\n\nThe parrot is called Iago\./)
      assert.doesNotMatch(tool_return, /somebody else/)
      const none = await call(agent.id, 'semantic_search_files', { query: 'zeppelin OR "' })
      assert.match(none.tool_return, /Nothing in your files fits/)
    })

    it('closes the file used the longest ago when it opens one too many', async () => {
      const folder_id = await aFolder()
      for (const name of ['a.txt', 'b.txt', 'c.txt'])
        await read(folder_id, (await upload(folder_id, name, name)).id)
      const agent = await reader(folder_id, { max_files_open: 2 })
      const open = async (...names: string[]) =>
        call(agent.id, 'open_files', { file_requests: names.map((file_name) => ({ file_name })) })
      await open('a.txt')
      await open('b.txt')
      assert.match((await open('c.txt')).tool_return, /Closed: .*a\.txt$/)
      const { files } = await t.letta.agents.files.list(agent.id, { is_open: true })
      assert.deepEqual(files.map((f) => f.file_name.split('/')[1]).toSorted(), ['b.txt', 'c.txt'])
      await call(agent.id, 'open_files', { file_requests: [{ file_name: 'a.txt' }], close_all_others: true })
      const left = await t.letta.agents.files.list(agent.id, { is_open: true })
      assert.deepEqual(
        left.files.map((f) => f.file_name.split('/')[1]),
        ['a.txt'],
      )
    })
  })
})
