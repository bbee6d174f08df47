import assert from 'node:assert/strict'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

describe('folders and files', () => {
  let model: ScriptedModel
  let t: TestLoci
  before(async () => {
    model = await startScriptedModel()
    t = await startLoci({ model_url: model.url })
  })
  after(async () => {
    await t.close()
    await model.close()
  })

  const folderOf = async (name = `folder ${crypto.randomUUID()}`) =>
    (await t.letta.folders.create({ name })).id
  const upload = (folder_id: string, name: string, content: string | Buffer, more: object = {}) =>
    t.letta.folders.files.upload(folder_id, {
      file: new File([typeof content === 'string' ? content : new Uint8Array(content)], name),
      ...more,
    })
  const done = (folder_id: string, file_id: string) =>
    eventually(
      `${file_id} is read`,
      async () => {
        const file = await t.letta.folders.files.retrieve(file_id, { folder_id, include_content: true })
        return file.processing_status === 'completed' || file.processing_status === 'error' ? file : null
      },
      60_000,
    )

  it('reads an uploaded text, which an agent then opens', async () => {
    const folder_id = await folderOf()
    const text = 'one\ntwo\nthree'
    const file = await upload(folder_id, 'count.txt', text)
    const read = await done(folder_id, file.id)
    assert.deepEqual([read.processing_status, read.content, read.error_message], ['completed', text, null])
    const agent = await t.letta.agents.create({ name: 'Reader', model: SCRIPTED, max_files_open: 1 })
    const attached = await t.letta.agents.folders.attach(folder_id, { agent_id: agent.id })
    assert.ok(attached?.tools.some((tool) => tool.name === 'open_files'))
    assert.equal(SCRIPTED, 'openai/test-model')
  })
})
