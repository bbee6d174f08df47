import assert from 'node:assert/strict'
import type { ContractTest } from '../../support/contract.ts'
import { openWindow, scriptedEditor } from '../../support/editor-models.ts'
import type { PlainOperation } from './plain.ts'

interface Editor {
  id: string
  base_url: string
}

/** Does `work` while a window offers its models. */
async function withWindow(t: ContractTest, work: (offered: Editor, path: string) => Promise<void>) {
  const window = await openWindow(scriptedEditor())
  try {
    const path = `/v1/editors/${window.id}`
    const { status, body } = await t.http('PUT', path, window.body)
    assert.equal(status, 200, JSON.stringify(body))
    await work(body as Editor, path)
  } finally {
    await window.close()
  }
}

/** Windows of editors: what becomes of their models is tested in test/server/editors.test.ts. */
export const editorOperations: PlainOperation[] = [
  {
    name: 'PUT /v1/editors/{editor_id}',
    shows: 'the window as it was offered, without its key',
    async run(t) {
      await withWindow(t, async ({ id, base_url }, path) => {
        assert.ok(path.endsWith(id))
        assert.match(base_url, /^http:\/\/127\.0\.0\.1:\d+/)
        await t.http('DELETE', path)
      })
    },
  },
  {
    name: 'GET /v1/editors',
    shows: 'the windows that offer their models',
    async run(t) {
      await withWindow(t, async (offered, path) => {
        assert.deepEqual((await t.http('GET', '/v1/editors')).body, [offered])
        await t.http('DELETE', path)
        assert.deepEqual((await t.http('GET', '/v1/editors')).body, [])
      })
    },
  },
  {
    name: 'DELETE /v1/editors/{editor_id}',
    shows: 'that the window is gone; the second time there is none',
    async run(t) {
      await withWindow(t, async (_offered, path) => {
        assert.equal((await t.http('DELETE', path)).status, 204)
        assert.equal((await t.http('DELETE', path)).status, 404)
      })
    },
  },
]
