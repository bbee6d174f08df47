// `loci mcp` as hosts start it, without the parser of the other commands: a host waits for the first answer.
import { type McpCommand, runMcp } from './commands/mcp.ts'
import { EXIT, reportFailure } from './failure.ts'
import { endSoon, guardProcess } from './process-end.ts'

guardProcess()
const options: McpCommand = {}
// The launcher has looked at them: a flag, or a name and its value.
const args = process.argv.slice(3)
for (let i = 0; i < args.length; i++) {
  if (args[i] === '--read-only') options.readOnly = true
  else options[(args[i] ?? '').slice(2) as 'data' | 'url' | 'agent' | 'toolsets'] = args[++i] ?? ''
}
try {
  await runMcp(options)
} catch (error) {
  reportFailure(error)
  process.exitCode = EXIT.failure
}
endSoon()
