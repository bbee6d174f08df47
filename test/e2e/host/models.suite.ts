import assert from 'node:assert/strict'
import * as vscode from 'vscode'
import { connect, type LociClient } from '../../../shared/client/http.ts'
import type { LociExports } from '../../../extension/host/extension.ts'
import type { VendorExports } from '../fixtures/scripted-vendor.ts'

const MODEL = 'vscode/scripted/tiny'

/** The editor's models for agents, and agents for the editor's models, through VS Code's own API. */
export function defineModelsSuite(): void {
  describe('models of the editor', () => {
    let vendor: VendorExports
    let client: LociClient
    let agent_id: string
    const handles = async () => (await client.letta.models.list()).map(({ handle }) => handle)
    const block = async (label: string) =>
      (await client.letta.agents.blocks.retrieve(label, { agent_id })).value

    before(async () => {
      const found = vscode.extensions.getExtension<VendorExports>('loci-tests.scripted')
      assert.ok(found, 'the extension with models is there')
      vendor = await found.activate()
      const loci = vscode.extensions.getExtension<LociExports>('loci.loci')
      assert.ok(loci)
      const exported = await loci.activate()
      const serverUrl = () => exported.serverUrl()
      assert.equal(serverUrl(), null, 'nothing runs before it is used')
      await vscode.lm.selectChatModels({ vendor: 'loci' })
      assert.equal(serverUrl(), null, 'nor because the editor lists its models')
      await vscode.commands.executeCommand('loci.startServer')
      await vscode.commands.executeCommand('loci.copyServerUrl')
      const copied = await vscode.env.clipboard.readText()
      const value = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(copied)?.[1] ?? ''
      client = connect({ url: value('LETTA_BASE_URL'), token: value('LETTA_API_KEY') })
      await eventually('the server has the models', async () => (await handles()).includes(MODEL))
      const agent = await client.letta.agents.create({
        name: 'Ada',
        model: MODEL,
        memory_blocks: [{ label: 'human', value: 'Nothing yet.' }],
      })
      agent_id = agent.id
    })
    after(async () => {
      await client?.close()
      assert.deepEqual(vendor?.next, [], 'all answers were asked for')
    })

    it('drive a whole turn with tools that another program began', async () => {
      const input = { label: 'human', new_string: 'Name: Grace.' }
      vendor.next.push(
        { text: ['One moment.'], calls: [{ id: 'call-1', name: 'memory_insert', input }] },
        { text: ['Hello ', 'Grace.'] },
      )
      const { messages, usage } = await client.letta.agents.messages.create(agent_id, {
        input: 'I am Grace.',
      })
      const said = messages.flatMap((one) => (one.message_type === 'assistant_message' ? [one.content] : []))
      assert.deepEqual(said, ['One moment.', 'Hello Grace.'])
      assert.match(await block('human'), /Name: Grace\./)
      const [first, second] = vendor.requests
      assert.ok(first?.tools.includes('memory_insert'))
      assert.ok(
        second?.texts.some((text) => text.startsWith('result call-1: ')),
        second?.texts.join('\n'),
      )
      assert.ok((usage.prompt_tokens ?? 0) > 100, 'counted by the model')
    })

    it('stream, and stop when the turn is cancelled', async () => {
      vendor.next.push({ text: ['Well, '], hold: true })
      const stream = await client.letta.agents.messages.create(agent_id, {
        input: 'Think for ever',
        streaming: true,
        stream_tokens: true,
      })
      const stops: string[] = []
      for await (const item of stream) {
        if (item.message_type === 'assistant_message') await client.letta.agents.messages.cancel(agent_id)
        if (item.message_type === 'stop_reason') stops.push(item.stop_reason)
      }
      assert.deepEqual(stops, ['cancelled'])
      await eventually('the model hears of it', () => vendor.requests.at(-1)?.cancelled ?? false)
    })

    it('say what the editor says when they fail', async () => {
      vendor.next.push({ error: 'You have exceeded your quota' })
      await assert.rejects(
        client.letta.agents.messages.create(agent_id, { input: 'Hi' }, { maxRetries: 0 }),
        (error: Error) => /Scripted tiny is at its limit.*exceeded your quota/.test(error.message),
      )
    })

    it('are others as soon as the editor has others', async () => {
      vendor.addModel('small')
      await eventually('the server knows', async () => (await handles()).includes('vscode/scripted/small'))
      assert.deepEqual(
        (await handles()).filter((handle) => handle?.startsWith('vscode/loci/')),
        [],
        'agents are no models for agents',
      )
      await assert.rejects(
        client.letta.agents.create({ model: `vscode/loci/${agent_id}` }),
        /would ask itself without end/,
      )
    })

    const ask = async (model: vscode.LanguageModelChat, text: string, token?: vscode.CancellationToken) => {
      const messages = [vscode.LanguageModelChatMessage.User(text)]
      return model.sendRequest(messages, {}, token)
    }
    const agentModel = async () => {
      let found: vscode.LanguageModelChat | undefined
      await eventually('the editor lists the agent', async () => {
        const all = await vscode.lm.selectChatModels({ vendor: 'loci' })
        found = all.find(({ id }) => id === agent_id)
        return found !== undefined
      })
      assert.ok(found)
      return found
    }

    it('are agents, too: one that the editor selects answers from its memory', async () => {
      await vscode.commands.executeCommand('workbench.view.extension.loci')
      const model = await agentModel()
      assert.deepEqual([model.name, model.family], ['Ada', 'loci-agent'])
      vendor.next.push({ text: ['You are ', 'Grace.'] })
      const response = await ask(model, 'Who am I?')
      let said = ''
      for await (const text of response.text) said += text
      assert.equal(said, 'You are Grace.')
      const { texts } = vendor.requests.at(-1) ?? { texts: [] }
      assert.ok(
        texts.some((text) => text.includes('Name: Grace.')),
        'its memory was told',
      )
    })

    it('stop the turn of an agent when the editor cancels its request', async () => {
      const model = await agentModel()
      vendor.next.push({ text: ['Let me think'], hold: true })
      const source = new vscode.CancellationTokenSource()
      const response = await ask(model, 'Think', source.token)
      for await (const text of response.text) {
        assert.equal(text, 'Let me think')
        source.cancel()
        break
      }
      await eventually('the run is cancelled', async () => {
        const [run] = (await client.letta.runs.list({ agent_id })).getPaginatedItems()
        return run?.status === 'cancelled'
      })
      await eventually('so is the request to its model', () => vendor.requests.at(-1)?.cancelled ?? false)
    })

    const invoke = async (name: string, input: object) => {
      const result = await vscode.lm.invokeTool(name, { input, toolInvocationToken: undefined })
      return result.content
        .map((part) => (part instanceof vscode.LanguageModelTextPart ? part.value : ''))
        .join('')
    }

    it('have tools of Loci, with which they keep facts and find them', async () => {
      const tools = vscode.lm.tools.filter(({ tags }) => tags.includes('loci')).map(({ name }) => name)
      assert.deepEqual(tools.toSorted(), ['loci_ask_agent', 'loci_recall', 'loci_remember'])
      const kept = await invoke('loci_remember', { text: 'The release is on Friday.' })
      assert.match(kept, /^Ada keeps that/)
      const known = await invoke('loci_recall', { query: 'release', agent: 'Ada' })
      assert.match(known, /Name: Grace\..*The release is on Friday\./s)
      await assert.rejects(invoke('loci_recall', { query: 'x', agent: 'Eve' }), /no agent 'Eve'/)
    })

    it('ask agents', async () => {
      vendor.next.push({ text: ['On Friday.'] })
      assert.equal(await invoke('loci_ask_agent', { message: 'When is the release?' }), 'On Friday.')
    })
  })
}

async function eventually(
  label: string,
  condition: () => boolean | Promise<boolean>,
  limit = 30_000,
): Promise<void> {
  const end = Date.now() + limit
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`Waited ${limit} ms in vain: ${label}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
