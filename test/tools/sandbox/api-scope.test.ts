import assert from 'node:assert/strict'
import { refusedRequest, withoutSecrets } from '../../../shared/tools/sandbox/api-scope.ts'

describe('what the client inside a tool may ask', () => {
  const ask = (method: string, path: string, body?: unknown) =>
    refusedRequest(
      method,
      new URL(path, 'http://loci.invalid'),
      body === undefined ? null : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
    )

  for (const [method, path, body] of [
    ['GET', '/v1/agents/?limit=3'],
    ['POST', '/v1/agents/', { name: 'helper', memory_blocks: [] }],
    ['PATCH', '/v1/agents/agent-1', { name: 'new' }],
    ['POST', '/v1/agents/agent-1/messages', { messages: [{ role: 'user', content: 'hi' }] }],
    ['GET', '/v1/agents/agent-1/core-memory/blocks/human'],
    ['PATCH', '/v1/agents/agent-1/core-memory/blocks/human', { value: 'x' }],
    ['PATCH', '/v1/agents/agent-1/core-memory/blocks/attach/block-1'],
    ['POST', '/v1/agents/agent-1/archival-memory', { text: 'x' }],
    ['DELETE', '/v1/agents/agent-1/archival-memory/passage-1'],
    ['PATCH', '/v1/agents/agent-1/tools/attach/tool-1'],
    ['POST', '/v1/blocks/', { label: 'a', value: 'b' }],
    ['POST', '/v1/passages/search', { query: 'x' }],
    ['GET', '/v1/runs/run-1/messages'],
  ] as const)
    it(`it may: ${method} ${path}`, () => assert.equal(ask(method, path, body), null))

  for (const [method, path, body] of [
    ['GET', '/v1/tools/'],
    ['POST', '/v1/tools/run', { source_code: 'x' }],
    ['PUT', '/v1/tools/', {}],
    ['GET', '/v1/providers/'],
    ['GET', '/v1/mcp-servers/'],
    ['POST', '/v1/mcp-servers/', {}],
    ['GET', '/v1/agents/agent-1/export'],
    ['POST', '/v1/agents/import', {}],
    ['POST', '/v1/agents/agent-1/tools/send/run', {}],
    ['PATCH', '/v1/agents/agent-1/tools/approval/send', { requires_approval: false }],
    ['PATCH', '/v1/agents/agent-1', { secrets: { A: 'b' } }],
    ['PATCH', '/v1/agents/agent-1/', { tool_exec_environment_variables: {} }],
    ['POST', '/v1/agents/', { llm_config: { model_endpoint: 'http://elsewhere' } }],
    ['PATCH', '/v1/agents/agent-1', { tool_rules: [] }],
    ['POST', '/v1/agents/agent-1/messages', { messages: [{ type: 'approval', approve: true }] }],
    ['POST', '/v1/conversations/conv-1/messages', { messages: [{ type: 'approval', approve: true }] }],
    ['PATCH', '/v1/agents/agent-1', 'no JSON'],
    ['GET', '/v1/agents/../tools/'],
    ['GET', '/v1/agents/%2e%2e/tools/'],
    ['GET', '/v1/agents/x%2Fexport'],
    ['GET', '/v1/config'],
    ['GET', '/'],
    ['DELETE', '/v1/agents/'],
  ] as const)
    it(`it may not: ${method} ${path} ${JSON.stringify(body ?? '')}`, () => {
      assert.match(ask(method, path, body) ?? '', /^The client inside a tool (may not|sends JSON)/)
    })

  it('sees no secret of an agent, at any depth', () => {
    const answer = {
      agents: [
        {
          name: 'a',
          secrets: [{ key: 'A', value: 'SECRET' }],
          tool_exec_environment_variables: [{ value: 'SECRET' }],
        },
      ],
    }
    const seen = withoutSecrets(Buffer.from(JSON.stringify(answer))).toString()
    assert.deepEqual(JSON.parse(seen), {
      agents: [{ name: 'a', secrets: [], tool_exec_environment_variables: [] }],
    })
    const plain = Buffer.from('{"secrets":[],"text":"é"}')
    assert.equal(withoutSecrets(plain), plain)
  })
})
