import assert from 'node:assert/strict'
import { createCustomTools } from '../../../shared/tools/sandbox/custom-tools.ts'
import { openWall } from '../../../shared/tools/sandbox/wall.ts'
import { createToolSources } from '../../../shared/tools/source/sources.ts'
import { createTypeScriptTools } from '../../../shared/tools/typescript/typescript-tools.ts'
import { tryTool } from '../../support/custom-tool.ts'

const SOURCE = 'export const two = () => 1 + 1'

describe("tools of one's own", () => {
  const open = (options: Partial<Parameters<typeof createCustomTools>[0]> = {}) =>
    createCustomTools({
      sources: createToolSources(),
      api: () => Promise.resolve(Response.json({})),
      hide: [],
      languages: {
        typescript: (its) =>
          Promise.resolve(
            createTypeScriptTools({
              ...its,
              hide: [],
              requirements: () => assert.fail('none are asked for'),
            }),
          ),
      },
      ...options,
    })

  it('look for a wall once, and only when it is needed', async () => {
    let looked = 0
    const tools = open({
      open: () => {
        looked++
        return openWall()
      },
    })
    await tools.derive({ source_type: 'typescript', source_code: SOURCE })
    assert.equal(looked, 0)
    const calls = await Promise.all([1, 2].map(() => tryTool(tools, 'typescript', SOURCE)))
    assert.deepEqual(
      calls.map(({ func_response }) => func_response),
      ['2', '2'],
    )
    const { kind, description } = await tools.wall()
    assert.equal(looked, 1)
    assert.match(description, kind === 'none' ? /^Nothing keeps tools away/ : /^Tools run behind /)
    await tools.close()
  })

  it('are not run in a language that is not there, nor after the end, and say so', async () => {
    const tools = open({ languages: {} })
    const { status, func_response } = await tryTool(tools, 'python', 'def f(): pass')
    assert.deepEqual(
      [status, func_response],
      ['error', 'Error executing function attempt: Loci runs no tools in python here'],
    )
    await tools.close()
    const late = await tryTool(tools, 'typescript', SOURCE)
    assert.equal(late.func_response, 'Error executing function attempt: Loci is shutting down')
  })

  it('are tried again after what runs them could not be made', async () => {
    let fails = true
    const tools = open({
      languages: {
        typescript: (its) =>
          fails
            ? Promise.reject(new Error('no disk'))
            : Promise.resolve(createTypeScriptTools({ ...its, hide: [], requirements: () => assert.fail() })),
      },
    })
    const first = await tryTool(tools, 'typescript', SOURCE)
    assert.match(JSON.stringify(first.func_response), /tools in typescript cannot be run: no disk/)
    fails = false
    assert.equal((await tryTool(tools, 'typescript', SOURCE)).func_response, '2')
    await tools.close()
  })

  it('end what runs when they are closed', async () => {
    const tools = open()
    assert.equal((await tryTool(tools, 'typescript', SOURCE)).status, 'success')
    const running = tryTool(
      tools,
      'typescript',
      `export async function wait() { await new Promise(() => undefined) }`,
    )
    await tools.close()
    assert.equal((await running).status, 'error')
  })
})
