import { resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { LociClient } from '../../shared/client/http.ts'
import { type DebugRun, debugRun } from '../../shared/schema/tool-debug.ts'
import { Failure } from '../failure.ts'
import { plain } from '../terminal.ts'
import { check, toolsOnServer } from '../tools/server-tools.ts'
import { readToolFile } from '../tools/tool-file.ts'
import { withClient } from '../with-client.ts'

const USUAL_URL = 'http://127.0.0.1:8283'

/**
 * `loci tools debug`: lets a debugger stop the next call that an agent makes of the tool, in this file, and says what to
 * attach to. Ends with the call; Ctrl-C ends the debug run.
 */
export async function runDebug(path: string, { url = USUAL_URL }: { url?: string }): Promise<void> {
  const file = await readToolFile(path)
  await withClient({ url }, async (client) => {
    const { name } = await check(client, file)
    const tool = (await toolsOnServer(client, [name])).get(name)
    if (!tool)
      throw new Failure(
        `The server has no tool '${name}' yet. First: loci tools push ${file.path} --url ${url}`,
      )
    const route = `/v1/tools/${tool.id}/debug`
    const armed = debugRun.parse(await client.letta.post(route, { body: { path: resolve(path) } }))
    note(armed.warning)
    note(`Waiting for an agent to call ${name} … (Ctrl-C ends this)`)
    const end = () => void client.letta.delete(route).catch(() => undefined)
    process.once('SIGINT', end)
    try {
      await follow(client, route, armed)
    } finally {
      process.off('SIGINT', end)
    }
  })
}

async function follow(client: LociClient, route: string, first: DebugRun): Promise<void> {
  let run = first
  let told = false
  for (;;) {
    if (run.target && !told) {
      told = true
      const { protocol, host, port, url } = run.target
      process.stdout.write(`${plain(url ?? `${host}:${port}`)}\n`)
      note(
        protocol === 'inspector'
          ? 'Attach a Node debugger there: in VS Code "Debug: Attach to Node Process", or open chrome://inspect.'
          : `Attach a Python debugger there: {"type": "debugpy", "request": "attach", "connect": {"host": "${host}", "port": ${port}}}`,
      )
    }
    if (run.state === 'ended') break
    // The target comes while the state stays; then only the state is waited for.
    const query = told || run.state === 'armed' ? { state: run.state } : {}
    if (!told && run.state !== 'armed') await pause(100)
    run = debugRun.parse(await client.letta.get(route, { query }))
  }
  if (run.outcome === 'success') note(`It returned: ${run.result}`)
  else if (run.outcome === 'cancelled') note('The debug run was ended.')
  else throw new Failure(run.result ?? 'The call failed.')
}

function note(text: string): void {
  process.stderr.write(`${plain(text)}\n`)
}
