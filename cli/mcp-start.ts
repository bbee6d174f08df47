// `loci mcp` as hosts start it, without the parser of the other commands: a host waits for the first answer.
import { runMcp } from './commands/mcp.ts'
import { EXIT, reportFailure } from './failure.ts'
import { endSoon, guardProcess } from './process-end.ts'

guardProcess()
const [, , , flag, value] = process.argv
try {
  await runMcp(flag === '--url' ? { url: value ?? '' } : flag === '--data' ? { data: value ?? '' } : {})
} catch (error) {
  reportFailure(error)
  process.exitCode = EXIT.failure
}
endSoon()
