import { cleanEnvironment, temporaryFolder } from './cli-process.ts'
import { type Host, HOSTS, type HostOptions } from './mcp-hosts.ts'
import { type ScriptedModel, startScriptedModel } from './scripted-model.ts'

/** What a suite of tests over MCP works with. */
export interface McpSuite {
  env: Record<string, string>
  folder: string
  host: Host
  model: ScriptedModel
  /** Another host on the same data directory, with other arguments or abilities; closed after the test. */
  connect: (args: string[], options?: HostOptions) => Promise<Host>
}

/** Runs the same tests with each official client over each transport, on a data directory and a scripted model. */
export function describeHosts(
  title: string,
  tests: (suite: McpSuite, transport: 'stdio' | 'HTTP') => void,
): void {
  for (const [name, connect] of HOSTS) {
    describe(`${title}, ${name}`, () => {
      const suite = {} as McpSuite
      let remove = () => Promise.resolve()
      const others: Host[] = []
      before(async () => {
        const folder = await temporaryFolder()
        remove = () => folder.remove()
        suite.folder = folder.path
        suite.model = await startScriptedModel([])
        suite.env = cleanEnvironment(folder.path, {
          OPENAI_API_KEY: 'sk-1',
          OPENAI_BASE_URL: suite.model.url,
        })
        suite.host = await connect([], suite.env)
        suite.connect = async (args, options) => {
          const other = await connect(args, suite.env, options)
          others.push(other)
          return other
        }
      })
      afterEach(async () => {
        for (const other of others.splice(0)) await other.close()
      })
      after(async () => {
        await suite.host?.close()
        await suite.model?.close()
        await remove()
      })
      tests(suite, name.endsWith('HTTP') ? 'HTTP' : 'stdio')
    })
  }
}
