import assert from 'node:assert/strict'
import { createServer, type AddressInfo } from 'node:net'
import { mcpDefinition } from '../../extension/host/mcp/definitions.ts'
import { withLoci } from '../../extension/host/mcp/mcp-json.ts'
import { checkProviderName, checkProviderUrl } from '../../extension/host/providers/provider-kinds.ts'
import { childEnvironment } from '../../extension/host/server/child-environment.ts'
import { freePortFrom } from '../../extension/host/server/free-port.ts'
import { passingPlace } from '../../extension/host/server/passing-place.ts'

const network = { proxy: '', noProxy: [], systemCertificates: false }

describe('the environment of a server that the extension starts', () => {
  it("is this process's, without what is the editor's own and with our token", () => {
    const inherited = { PATH: '/bin', VSCODE_PID: '1', ELECTRON_RUN_AS_NODE: '1', NODE_OPTIONS: '--x' }
    assert.deepEqual(childEnvironment(inherited, network, 'token'), { PATH: '/bin', LOCI_API_KEY: 'token' })
    assert.equal(inherited.VSCODE_PID, '1', 'what was given stays as it was')
  })

  it("has the editor's proxy and certificates", () => {
    const settings = { proxy: 'http://proxy:3128', noProxy: ['intranet'], systemCertificates: true }
    const env = childEnvironment({ NO_PROXY: 'localhost', HTTPS_PROXY: 'http://other' }, settings, '')
    assert.equal(env['HTTPS_PROXY'], 'http://proxy:3128')
    assert.equal(env['http_proxy'], 'http://proxy:3128')
    assert.equal(env['NO_PROXY'], 'localhost,intranet')
    assert.equal(env['NODE_USE_SYSTEM_CA'], '1')
  })
})

describe('the port of the local server', () => {
  it('is the first one, or the next that is free', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const { port } = taken.address() as AddressInfo
    try {
      const found = await freePortFrom(port)
      assert.ok(found > port && found <= port + 20, String(found))
    } finally {
      await new Promise((resolve) => taken.close(resolve))
    }
    assert.equal(await freePortFrom(port), port)
  })
})

describe('a home that is thrown away', () => {
  const settings = { url: null, dataDirectory: null, port: 8283, requireToken: true }

  it('is that of a codespace and of a dev container', () => {
    assert.equal(passingPlace('codespaces', {}, settings), 'codespace')
    assert.equal(passingPlace('dev-container', {}, settings), 'container')
    assert.equal(passingPlace(undefined, {}, settings), null)
    assert.equal(passingPlace('ssh-remote', {}, settings), null)
  })

  it('does not matter where the data are elsewhere', () => {
    assert.equal(passingPlace('dev-container', { LOCI_HOME: '/mnt' }, settings), null)
    assert.equal(passingPlace('dev-container', {}, { ...settings, dataDirectory: '/mnt' }), null)
    assert.equal(passingPlace('dev-container', {}, { ...settings, url: 'http://host:8283' }), null)
  })
})

describe("Loci's MCP server for hosts", () => {
  const source = { extension: '/ext', node: '/node', dataDirectory: '/data', url: null, token: undefined }

  it('is a program over the data of the settings', () => {
    assert.deepEqual(mcpDefinition(source), {
      kind: 'stdio',
      command: '/node',
      args: ['/ext/dist/loci.js', 'mcp', '--data', '/data'],
      env: { ELECTRON_RUN_AS_NODE: '1' },
    })
  })

  it('is an address with its token where the settings name a server', () => {
    assert.deepEqual(mcpDefinition({ ...source, url: 'http://host:8283/', token: 't' }), {
      kind: 'http',
      url: 'http://host:8283/mcp',
      headers: { Authorization: 'Bearer t' },
    })
  })

  it('is written into mcp.json beside the others, without a secret in the file', () => {
    const before = '{\n    "servers": { "other": { "command": "x" } },\n    "inputs": []\n}\n'
    const entry = {
      type: 'http' as const,
      url: 'http://host/mcp',
      headers: { Authorization: 'Bearer ${input:loci-token}' },
    }
    const after = withLoci(before, entry)
    assert.match(after, /^\{\n {4}"servers"/, 'the indentation stays')
    const { servers, inputs } = JSON.parse(after) as {
      servers: object
      inputs: { id: string; password: true }[]
    }
    assert.deepEqual(servers, { other: { command: 'x' }, loci: entry })
    assert.deepEqual(
      inputs.map(({ id, password }) => [id, password]),
      [['loci-token', true]],
    )
    assert.equal(withLoci(after, entry), after, 'the same again changes nothing')
  })

  it('is not written over what cannot be read', () => {
    const entry = { type: 'stdio' as const, command: 'loci', args: [] }
    assert.throws(() => withLoci('{ // mine\n}', entry))
    assert.throws(() => withLoci('[]', entry), /no JSON object/)
  })
})

describe('what the provider wizard takes', () => {
  it('is a name that handles can begin with, and that is free', () => {
    assert.equal(checkProviderName('my-server.2', []), null)
    for (const name of ['', 'a b', 'a/b', '-a'])
      assert.match(checkProviderName(name, []) ?? '', /Letters/, name)
    assert.match(checkProviderName('loci', []) ?? '', /taken by Loci/)
    assert.match(checkProviderName('mine', ['mine']) ?? '', /already/)
  })

  it('is an address on the web', () => {
    assert.equal(checkProviderUrl(' https://example.com/v1 '), null)
    for (const url of ['', 'example.com', 'ftp://x', 'javascript:1']) assert.ok(checkProviderUrl(url), url)
  })
})
