/** Tools with packages of the public index: the official client inside a Python tool, pydantic models, numpy; npm's zod. */
import assert from 'node:assert/strict'
import { startLoci, type TestLoci } from '../support/loci.ts'

describe('tools with packages', function () {
  this.timeout(600_000)
  let loci: TestLoci
  let agent_id: string
  before(async () => {
    const env = Object.fromEntries(
      Object.entries(process.env).filter((each): each is [string, string] =>
        /^(PATH|HOME|(pip|npm)_.*|(https?|no)_proxy|ssl_cert_.*|node_extra_ca_certs)$/i.test(each[0]),
      ),
    )
    loci = await startLoci({ env })
    const agent = await loci.letta.agents.create({
      model: 'loci/demo',
      memory_blocks: [{ label: 'notes', value: 'none' }],
    })
    agent_id = agent.id
  })
  after(() => loci?.close())

  const call = async (
    tool: Parameters<TestLoci['letta']['tools']['create']>[0],
    args: Record<string, unknown> = {},
  ) => {
    const { id, name } = await loci.letta.tools.create(tool)
    await loci.letta.agents.tools.attach(id, { agent_id })
    const result = await loci.letta.agents.tools.run(name ?? '', { agent_id, args })
    assert.equal(result.status, 'success', JSON.stringify(result))
    return result
  }

  it('a Python tool uses the official client, and models of pydantic', async () => {
    const source_code = `
from pydantic import BaseModel, Field
from letta_client import Letta, NotFoundError

class Note(BaseModel):
    text: str = Field(description="What to write.")
    times: int = Field(1, description="How often.")

def note(note: Note, agent_id: str) -> str:
    """Writes a note.

    Args:
        note: The note.
    """
    assert isinstance(client, Letta)
    client.agents.blocks.update("notes", agent_id=agent_id, value=note.text * note.times)
    try:
        client.agents.blocks.retrieve("none", agent_id=agent_id)
    except NotFoundError as error:
        return f"{client.agents.blocks.retrieve('notes', agent_id=agent_id).value} {error.status_code}"
`
    const { func_return } = await call(
      { source_code, pip_requirements: [{ name: 'letta-client', version: '1.12.1' }] },
      { note: { text: 'ha', times: 2 } },
    )
    assert.equal(func_return, 'haha 404')
  })

  it('a Python tool uses numpy', async () => {
    const source_code = `
import numpy
def mean(values: list[float]) -> float:
    """The mean of numbers.

    Args:
        values: The numbers.
    """
    return float(numpy.array(values).mean())
`
    const { func_return } = await call(
      { source_code, pip_requirements: [{ name: 'numpy' }] },
      { values: [1, 2, 6] },
    )
    assert.equal(func_return, '3.0')
  })

  it('a TypeScript tool uses a package of npm', async () => {
    const source_code = `
import camelCase from 'lodash.camelcase'
/**
 * Writes words as one name.
 * @param words - The words.
 */
export function camel(words: string) {
  return camelCase(words)
}
`
    const { func_return } = await call(
      {
        source_code,
        source_type: 'typescript',
        npm_requirements: [{ name: 'lodash.camelcase', version: '4.3.0' }],
      },
      { words: 'to the sea' },
    )
    assert.equal(func_return, 'toTheSea')
  })
})
