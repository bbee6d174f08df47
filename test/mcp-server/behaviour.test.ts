import assert from 'node:assert/strict'
import { openInProcess } from '../../shared/client/in-process.ts'
import { cleanEnvironment, loci, LOCI, start, temporaryFolder, withDeadline } from '../support/cli-process.ts'
import { type Host, HOSTS } from '../support/mcp-hosts.ts'
import { startScriptedModel } from '../support/scripted-model.ts'

for (const [name, connect] of HOSTS) {
  describe(`loci mcp, ${name}`, () => {
    let folder: Awaited<ReturnType<typeof temporaryFolder>>
    let env: Record<string, string>
    let host: Host

    before(async () => {
      folder = await temporaryFolder()
      env = cleanEnvironment(folder.path)
      const input = 'My name is Ada and I live in London.\n'
      const chat = await loci(['chat', 'Ada', '--create'], { env, input })
      assert.equal(chat.code, 0, chat.stderr)
      host = await connect([], env)
    })
    after(async () => {
      await host?.close()
      await folder.remove()
    })

    it('lists annotated tools with strict schemas, and says what it is for in 150 words', async () => {
      const tools = await host.tools()
      assert.deepEqual(
        tools.map(({ name }) => name),
        [
          'agent_list',
          'agent_get',
          'agent_create',
          'agent_update',
          'agent_delete',
          'agent_send_message',
          'run_get',
          'run_cancel',
          'memory_read',
          'memory_edit',
          'archival_search',
          'archival_insert',
          'conversation_list',
          'conversation_search',
          'file_attach',
          'file_search',
        ],
      )
      for (const tool of tools) {
        assert.equal((tool.inputSchema as { additionalProperties?: boolean }).additionalProperties, false)
        assert.deepEqual(
          Object.keys(tool.annotations ?? {}).sort(),
          ['destructiveHint', 'idempotentHint', 'openWorldHint', 'readOnlyHint'],
          tool.name,
        )
      }
      const bytes = Buffer.byteLength(JSON.stringify(tools))
      // About 3.6 bytes a token in schemas like these.
      const tokens = Math.round(bytes / 3.6)
      console.log(`      tools/list: ${tools.length} tools, ${bytes} bytes, about ${tokens} tokens of 4000`)
      assert.ok(tools.length <= 16 && tokens <= 4000)
      const instructions = host.instructions() ?? ''
      assert.match(instructions, /agent_list/)
      assert.ok(instructions.split(/\s+/).length <= 150)
    })

    it('lists agents, all or by name', async () => {
      assert.match((await host.call('agent_list', {})).text, /^- Ada \(agent-[0-9a-f-]{36}\) · loci\/demo$/)
      assert.match((await host.call('agent_list', { query: 'AD' })).text, /^- Ada/)
      assert.match((await host.call('agent_list', { query: 'Zoe' })).text, /No agent has 'Zoe'/)
    })

    it('answers from what another process told the agent, and teaches it', async () => {
      const who = await host.call('agent_send_message', { agent: 'Ada', message: 'What is my name?' })
      assert.equal(who.isError, false)
      assert.match(who.text, /Ada/)
      const seen: string[] = []
      const taught = await host.call(
        'agent_send_message',
        { agent: 'Ada', message: 'I moved to Paris.' },
        { onprogress: ({ message }) => void seen.push(message ?? '') },
      )
      assert.match(taught.text, /Paris[^]*\[Ada used memory_\w+\]/)
      // What comes together with the answer may be dropped by a client that has its answer: only the first is sure.
      assert.equal(seen[0], 'Sent to Ada')
      const memory = await host.call('memory_read', { agent: 'Ada' })
      assert.match(memory.text, /^## human \(\d+ of 100000 characters\)$/m)
      assert.match(memory.text, /Paris/)
    })

    it('reads one block, takes an id for a name, and names the blocks there are', async () => {
      const [, id = ''] = /\((agent-[0-9a-f-]+)\)/.exec((await host.call('agent_list', {})).text) ?? []
      const block = await host.call('memory_read', { agent: id, label: 'human' })
      assert.match(block.text, /^Name: Ada/)
      const wrong = await host.call('memory_read', { agent: 'Ada', label: 'humen' })
      assert.equal(wrong.isError, true)
      assert.match(wrong.text, /no memory block 'humen'\. Did you mean 'human'\? It has: .*human/)
    })

    it('suggests the near name of an unknown agent', async () => {
      for (const name of ['agent_send_message', 'memory_read']) {
        const args = { agent: 'Adda', ...(name === 'memory_read' ? {} : { message: 'Hi' }) }
        const answer = await host.call(name, args)
        assert.equal(answer.isError, true)
        assert.equal(answer.text, "There is no agent 'Adda'. Did you mean 'Ada'?")
      }
      const id = 'agent-00000000-0000-4000-8000-00000000abcd'
      const gone = await host.call('memory_read', { agent: id })
      assert.equal(gone.isError, true)
      assert.ok(gone.text.includes(id), gone.text)
    })

    it('refuses an argument it does not know, a missing one and a wrong one', async () => {
      for (const [name, args, message] of [
        ['agent_list', { querry: 'x' }, /There is no argument 'querry'. Did you mean 'query'\?/],
        ['agent_send_message', { agent: 'Ada', message: ' \n' }, /message.*blank/],
        ['memory_read', { agent: null }, /agent/],
        [
          'conversation_search',
          { agent: 'Ada', query: 'x', since: '2026-13-45' },
          /since is '2026-13-45', which is no date/,
        ],
        ['conversation_search', { agent: 'Ada', since: '2026-01-01' }, /need a query/],
        ['agent_send_message', { agent: 'Ada' }, /message/],
        ['agent_send_message', { agent: 'Ada', message: 'Hi', wait_seconds: 600 }, /wait_seconds|45/],
        ['memory_read', { agent: 7 }, /agent/],
      ] as const) {
        const answer = await host.call(name, args)
        assert.equal(answer.isError, true)
        assert.match(answer.text, message)
      }
      // Null is what many models write for what they leave out.
      const left = await host.call('memory_read', { agent: 'Ada', label: 'human', offset: null })
      assert.equal(left.isError, false, left.text)
    })

    it('caps a long answer and names the call that shows the rest', async () => {
      const value = Array.from({ length: 9000 }, (_, i) => `line ${i}`).join('\n')
      const here = await openInProcess({ data: env['LOCI_HOME'], env })
      try {
        await here.letta.agents.create({
          name: 'Writer',
          model: 'loci/demo',
          memory_blocks: [
            { label: 'notes', value, limit: 200_000 },
            { label: 'human', value: '' },
          ],
        })
      } finally {
        await here.close()
      }
      assert.match(
        (await host.call('memory_read', { agent: 'Writer' })).text,
        /\[Cut here, \d+ characters left out\. Call memory_read with one label: human, notes\.\]$/,
      )
      let read = ''
      for (let offset: number | null = 0; offset !== null;) {
        const args: Record<string, unknown> = { agent: 'Writer', label: 'notes', offset }
        const { text } = await host.call('memory_read', args)
        const cut = /\n\n\[Cut here.* offset: (\d+)\.\]$/.exec(text)
        read += cut ? text.slice(0, cut.index) : text
        offset = cut ? Number(cut[1]) : null
      }
      assert.equal(read, value)
    })

    it('caps a long reply', async () => {
      const model = await startScriptedModel([{ reply: { text: '€'.repeat(20_000) } }])
      const more = { OPENAI_API_KEY: 'sk-1', OPENAI_BASE_URL: model.url }
      try {
        const created = await loci(['chat', 'Long', '--create', '--model', 'openai/test-model'], {
          env: { ...env, ...more },
        })
        assert.equal(created.code, 0, created.stderr)
        const other = await connect([], { ...env, ...more })
        try {
          const { text } = await other.call('agent_send_message', { agent: 'Long', message: 'Go' })
          assert.ok(Buffer.byteLength(text) < 33_000)
          assert.match(text, /^€+\n\n\[Cut here, \d+ characters left out\. .*agent_send_message/)
        } finally {
          await other.close()
        }
      } finally {
        await model.close()
      }
    })

    it('answers in time when a turn takes longer, and the turn goes on', async () => {
      const rest = Promise.withResolvers<void>()
      const model = await startScriptedModel([{ reply: { text: 'Done at last.', hold: rest.promise } }])
      const more = { OPENAI_API_KEY: 'sk-1', OPENAI_BASE_URL: model.url }
      try {
        await loci(['chat', 'Slow', '--create', '--model', 'openai/test-model'], { env: { ...env, ...more } })
        const other = await connect([], { ...env, ...more })
        try {
          const { text, isError } = await other.call('agent_send_message', {
            agent: 'Slow',
            message: 'Take your time',
            wait_seconds: 1,
          })
          assert.equal(isError, false)
          assert.match(text, /^Slow is still working after 1 s \(run-[0-9a-f-]+\)\..*run_get/)
          const busy = await other.call('agent_send_message', { agent: 'Slow', message: 'And now?' })
          assert.equal(busy.isError, true)
          assert.match(busy.text, /busy|another|running/i)
          assert.match(busy.text, /run-[0-9a-f-]+|again/)
          const asked = await model.request(0)
          rest.resolve()
          assert.equal(await withDeadline(asked.ended, 'the turn'), 'answered')
          await model.done()
        } finally {
          await other.close()
        }
      } finally {
        await model.close()
      }
    })

    it('says what is wrong with a model that fails', async () => {
      const model = await startScriptedModel([
        { reply: { status: 401, body: { error: { message: 'bad key' } } } },
      ])
      const more = { OPENAI_API_KEY: 'sk-secret', OPENAI_BASE_URL: model.url }
      try {
        await loci(['chat', 'Ill', '--create', '--model', 'openai/test-model'], { env: { ...env, ...more } })
        const other = await connect([], { ...env, ...more })
        try {
          const { text, isError } = await other.call('agent_send_message', { agent: 'Ill', message: 'Hi' })
          assert.equal(isError, true)
          assert.ok(text.includes(model.url), text)
          assert.doesNotMatch(text, /sk-secret|\n\s+at /)
          await model.done()
        } finally {
          await other.close()
        }
      } finally {
        await model.close()
      }
    })

    it('stops a turn whose call is cancelled', async () => {
      const never = Promise.withResolvers<void>()
      const model = await startScriptedModel([{ reply: { text: 'Never said.', hold: never.promise } }])
      const more = { OPENAI_API_KEY: 'sk-1', OPENAI_BASE_URL: model.url }
      try {
        await loci(['chat', 'Stop', '--create', '--model', 'openai/test-model'], { env: { ...env, ...more } })
        const other = await connect([], { ...env, ...more })
        try {
          const stop = new AbortController()
          const call = other.call(
            'agent_send_message',
            { agent: 'Stop', message: 'Think for ever' },
            { signal: stop.signal },
          )
          call.catch(() => undefined)
          const asked = await model.request(0)
          stop.abort()
          await assert.rejects(call)
          assert.equal(await withDeadline(asked.ended, 'the model request'), 'aborted')
          assert.match((await other.call('agent_list', {})).text, /Stop/)
        } finally {
          await other.close()
        }
      } finally {
        never.resolve()
        await model.close()
      }
    })

    it('works over a running server, and says which one does not answer', async () => {
      const server = start(process.execPath, [LOCI, 'server', '--port', '0'], env)
      try {
        const [url = ''] = await server.waitFor(/http:\/\/127\.0\.0\.1:\d+/)
        const other = await connect(['--url', url], env)
        try {
          assert.match((await other.call('agent_list', {})).text, /- Ada /)
          await server.stop()
          const down = await other.call('agent_list', {})
          assert.equal(down.isError, true)
          assert.ok(down.text.includes(url), down.text)
        } finally {
          await other.close()
        }
      } finally {
        await server.stop()
      }
    })
  })
}
