import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describeHosts } from '../support/mcp-suite.ts'

const idIn = (text: string) => /\((agent-[0-9a-f-]{36})\)/.exec(text)?.[1] ?? ''

describeHosts('the default tools', (suite, transport) => {
  const call = async (name: string, args: Record<string, unknown>) => {
    const answer = await suite.host.call(name, args)
    assert.equal(answer.isError, false, answer.text)
    return answer
  }
  const refused = async (name: string, args: Record<string, unknown>, words: RegExp) => {
    const answer = await suite.host.call(name, args)
    assert.equal(answer.isError, true, answer.text)
    assert.match(answer.text, words)
  }

  before(async () => {
    const { text, structured } = await call('agent_create', {
      name: 'Ada',
      description: 'Helps with tests',
      persona: 'I am Ada.',
      human: 'Likes tea.',
      model: 'loci/demo',
    })
    assert.match(text, /^Created Ada \(agent-\S+\) on loci\/demo/)
    assert.deepEqual(structured, { name: 'Ada', id: idIn(text), model: 'loci/demo' })
  })

  it('refuses a second agent of a name, a model that is not there and a wrong cursor', async () => {
    await refused('agent_create', { name: 'Ada' }, /an agent 'Ada' already \(agent-/)
    await refused('agent_create', { name: 'Bob', model: 'loci/demmo' }, /^There is no model 'loci\/demmo'/)
    await refused('agent_create', { name: 'Bob/x' }, /^name: letters, digits/)
    await refused(
      'agent_create',
      { name: 'Bob', tools: ['nonsense'] },
      /^There is no tool 'nonsense'\. There are: /,
    )
    await refused('agent_create', { name: 'Bob', model: 'nobody/x' }, /no model 'nobody\/x' here/)
    await refused('agent_list', { cursor: 'agent-00000000-0000-4000-8000-000000000000' }, /cursor|page|item/i)
  })

  it('pages through agents with the cursor of the last answer', async () => {
    for (const name of ['Page 1', 'Page 2', 'Page 3'])
      await call('agent_create', { name, model: 'loci/demo' })
    const seen: string[] = []
    for (let cursor: unknown = undefined; cursor !== null;) {
      const args = { query: 'Page', limit: 2, ...(cursor === undefined ? {} : { cursor }) }
      const { text, structured } = await call('agent_list', args)
      const page = structured as { agents: { name: string }[]; cursor: string | null }
      seen.push(...page.agents.map(({ name }) => name))
      assert.equal(page.cursor !== null, text.includes(`More: call agent_list with cursor: "${page.cursor}"`))
      cursor = page.cursor
    }
    assert.deepEqual(seen, ['Page 3', 'Page 2', 'Page 1'])
  })

  it('shows an agent in a few lines, and in full when asked', async () => {
    const short = (await call('agent_get', { agent: 'Ada' })).text
    assert.match(
      short,
      /^Ada \(agent-[^]*Helps with tests[^]*model: loci\/demo[^]*memory: .*human \(10 characters\)/,
    )
    assert.match(short, /tools: .*conversation_search/)
    assert.doesNotMatch(short, /system prompt/)
    const full = (await call('agent_get', { agent: 'Ada', detail: 'full' })).text
    assert.match(full, /system prompt:\n./)
  })

  it('changes what is given of an agent and nothing else', async () => {
    await refused('agent_update', { agent: 'Ada' }, /Nothing to change/)
    await refused('agent_update', { agent: 'Ada', name: 'Page 1' }, /already/)
    const { text } = await call('agent_update', { agent: 'Page 1', name: 'Renamed', tags: ['a'] })
    assert.match(text, /Changed name, tags of Renamed/)
    assert.match((await call('agent_get', { agent: 'Renamed' })).text, /tags: a/)
    assert.match((await call('agent_get', { agent: 'Ada' })).text, /Helps with tests/)
  })

  it('deletes an agent when it was confirmed', async () => {
    await refused('agent_delete', { agent: 'Page 2' }, /for good.*confirm: true/)
    assert.match((await call('agent_delete', { agent: 'Page 2', confirm: true })).text, /^Deleted Page 2/)
    await refused('agent_get', { agent: 'Page 2' }, /no agent 'Page 2'/)
  })

  it('asks the user before it deletes, where the host can', async () => {
    const asked: string[] = []
    let agree = false
    const other = await suite.connect([], {
      onQuestion: ({ message }) => {
        asked.push(message)
        return agree ? { action: 'accept', content: { delete: true } } : { action: 'decline' }
      },
    })
    const no = await other.call('agent_delete', { agent: 'Page 3', confirm: true })
    assert.match(no.text, /was not deleted/)
    agree = true
    assert.match((await other.call('agent_delete', { agent: 'Page 3' })).text, /^Deleted Page 3/)
    assert.equal(asked.length, 2)
    assert.match(asked[0] ?? '', /Delete Page 3 \(agent-.*cannot be undone/)
  })

  it('edits a block and answers its new value', async () => {
    const edit = (more: object) => ({ agent: 'Ada', label: 'human', ...more })
    const appended = await call('memory_edit', edit({ mode: 'append', text: 'Lives in London.' }))
    assert.match(
      appended.text,
      /human of Ada is now \(27 of \d+ characters\):\nLikes tea\.\nLives in London\.$/,
    )
    assert.deepEqual(appended.structured, {
      label: 'human',
      value: 'Likes tea.\nLives in London.',
      characters: 27,
    })
    await call('memory_edit', edit({ mode: 'replace', old_text: 'London', text: 'Paris' }))
    await refused(
      'memory_edit',
      edit({ mode: 'replace', old_text: 'London', text: 'Rome' }),
      /not in it[^]*Paris/,
    )
    await refused('memory_edit', edit({ mode: 'replace', old_text: 'i', text: 'x' }), /more than once/)
    await refused('memory_edit', edit({ mode: 'replace', text: 'x' }), /needs old_text/)
    await refused('memory_edit', edit({ mode: 'append', old_text: 'a', text: 'x' }), /takes no old_text/)
    await refused(
      'memory_edit',
      edit({ mode: 'set', old_text: 'old', text: 'x' }),
      /not what you expect[^]*Paris/,
    )
    const set = edit({ mode: 'set', old_text: 'Likes tea.\nLives in Paris.', text: 'Likes tea.' })
    assert.equal((await call('memory_edit', set)).structured?.['value'], 'Likes tea.')
    await refused('memory_edit', { ...set, label: 'humam' }, /Did you mean 'human'\?/)
    assert.equal((await call('memory_read', { agent: 'Ada', label: 'human' })).text, 'Likes tea.')
    await refused(
      'memory_edit',
      edit({ mode: 'append', text: 'x'.repeat(200_000) }),
      /^Block 'human' was not changed: it would have 200011 characters, and its limit is 100000 \(it has 10\)/,
    )
    assert.equal((await call('memory_read', { agent: 'Ada', label: 'human' })).text, 'Likes tea.')
  })

  it('stores passages and finds them, by words, tags and pages', async () => {
    for (const [text, tags] of [
      ['The moon is far away.', ['sky']],
      ['The sun is a star.', ['sky', 'hot']],
      ['Soup is hot.', ['hot']],
    ] as const) {
      assert.match((await call('archival_insert', { agent: 'Ada', text, tags })).text, /^Stored for Ada/)
    }
    // Agents are made without the tool for it.
    assert.match((await call('agent_get', { agent: 'Ada' })).text, /^tools: .*archival_memory_search/m)
    const found = (await call('archival_search', { agent: 'Ada', query: 'moon' })).text
    assert.match(found, /^- \d{4}-\d\d-\d\d \d\d:\d\d \[sky\] The moon is far away\.$/m)
    const tagged = (await call('archival_search', { agent: 'Ada', query: 'is', tags: ['hot'] })).text
    assert.match(tagged, /star[^]*Soup|Soup[^]*star/)
    assert.doesNotMatch(tagged, /moon/)
    await refused('archival_search', { agent: 'Ada', tags: ['hot'] }, /tags need a query/)
    await refused('archival_search', { agent: 'Ada', query: 'x', cursor: 'y' }, /'y' is no cursor/)
    const first = (await call('archival_search', { agent: 'Ada', limit: 2 })).text
    const cursor = /cursor: "([^"]+)"/.exec(first)?.[1]
    const second = (await call('archival_search', { agent: 'Ada', limit: 2, cursor })).text
    assert.match(first, /Soup[^]*sun/)
    assert.match(second, /^- .*moon[^\n]*$/)
    assert.match(
      (await call('archival_search', { agent: 'Ada', query: 'zebra' })).text,
      /no passage like that/,
    )
  })

  it('keeps conversations apart, and finds what was said in all of them', async () => {
    const first = await call('agent_send_message', {
      agent: 'Ada',
      message: 'What do you know of zebras?',
      conversation_id: 'new',
    })
    const id = String(first.structured?.['conversation_id'])
    assert.match(id, /^conv-/)
    assert.ok(first.text.includes(`[conversation_id: ${id}]`))
    await call('agent_send_message', { agent: 'Ada', message: 'And of giraffes?' })
    const list = (await call('conversation_list', { agent: 'Ada' })).text
    assert.match(list, new RegExp(`^- default · the main one\n- ${id}`))
    const all = (await call('conversation_search', { agent: 'Ada', query: 'zebras' })).text
    assert.match(all, new RegExp(`user \\(${id}\\): What do you know of zebras\\?`))
    const latest = (await call('conversation_search', { agent: 'Ada', conversation_id: 'default' })).text
    assert.match(latest, /user: And of giraffes\?/)
    assert.doesNotMatch(latest, /zebras/)
    const page = (await call('conversation_search', { agent: 'Ada', limit: 1 })).text
    const cursor = /cursor: "([^"]+)"/.exec(page)?.[1]
    const next = (await call('conversation_search', { agent: 'Ada', limit: 1, cursor })).text
    assert.match(next, /user: And of giraffes\?/)
    await refused(
      'agent_send_message',
      { agent: 'Ada', message: 'Hi', conversation_id: 'conv-nonsense' },
      new RegExp(`no conversation 'conv-nonsense'.*${id}`),
    )
  })

  it('gives an agent files and searches them', async () => {
    const text = '# Notes\nThe owl flies at night.\n'
    const given = await call('file_attach', { agent: 'Ada', name: 'notes.md', text })
    assert.match(given.text, /Ada has notes\.md now/)
    assert.match((await call('file_search', { agent: 'Ada' })).text, /^- Files of Ada\/notes\.md /)
    const found = (await call('file_search', { agent: 'Ada', query: 'owl' })).text
    assert.match(found, /notes\.md, lines 1–2: # Notes The owl flies at night\./)
    await refused('file_attach', { agent: 'Ada', text }, /needs a name/)
    await refused('file_attach', { agent: 'Ada', folder: 'Files of Adda' }, /Did you mean 'Files of Ada'/)
    await refused('file_attach', { agent: 'Ada', folder: 'x', path: '/x' }, /Give one of/)
    const path = join(suite.folder, 'local.txt')
    await writeFile(path, 'A local secret.')
    if (transport === 'HTTP') return refused('file_attach', { agent: 'Ada', path }, /out of reach over HTTP/)
    assert.match((await call('file_attach', { agent: 'Ada', path })).text, /Ada has local\.txt now/)
    await refused('file_attach', { agent: 'Ada', path: `${path}.not` }, /there is no such file/)
    await refused('file_attach', { agent: 'Ada', path: suite.folder }, /is no file/)
    await refused('file_attach', { agent: 'Ada', path: 'local.txt' }, /no absolute path/)
  })

  it('offers only what changes nothing with --read-only', async () => {
    const reader = await suite.connect(['--read-only'])
    const names = (await reader.tools()).map(({ name }) => name)
    assert.deepEqual(names, [
      'agent_list',
      'agent_get',
      'run_get',
      'memory_read',
      'archival_search',
      'conversation_list',
      'conversation_search',
      'file_search',
    ])
    const said = reader.instructions() ?? ''
    assert.match(said, /memory_read/)
    assert.doesNotMatch(said, /memory_edit|archival_insert|agent_send_message/)
    assert.deepEqual(await reader.prompts(), [])
    const tried = await reader
      .call('memory_edit', { agent: 'Ada', label: 'human', mode: 'set', text: '' })
      .catch((error: Error) => ({ isError: true, text: error.message }))
    assert.equal(tried.isError, true)
    assert.match(tried.text, /memory_edit/)
  })

  it('is about one agent with --agent, and takes none', async () => {
    const pinned = await suite.connect(['--agent', 'Ada'])
    const tools = await pinned.tools()
    const names = tools.map(({ name }) => name)
    assert.ok(!names.some((name) => ['agent_list', 'agent_create', 'agent_delete'].includes(name)))
    for (const { name, inputSchema } of tools)
      assert.ok(!('agent' in ((inputSchema as { properties?: object }).properties ?? {})), name)
    assert.match(pinned.instructions() ?? '', /your long-term memory/)
    assert.equal((await pinned.call('memory_read', { label: 'human' })).text, 'Likes tea.')
    const other = await pinned.call('memory_read', { agent: 'Renamed' })
    assert.equal(other.isError, true)
    const { structured } = await call('agent_send_message', { agent: 'Renamed', message: 'Hello' })
    const run = await pinned.call('run_get', { run_id: structured?.['run_id'] })
    assert.equal(run.isError, true)
    assert.match(run.text, /There is no run/)
    assert.deepEqual(
      (await pinned.prompts()).map(({ name }) => name),
      ['chat_with_agent', 'remember_this', 'review_memory'],
    )
    const memory = await pinned.read('agent://Ada/memory/human')
    assert.equal(memory, 'Likes tea.')
    await assert.rejects(pinned.read('agent://Renamed'), /is about Ada/)
  })
})
