import type { Command } from 'commander'
import type { McpHttpCommand } from './commands/mcp-http.ts'
import type { McpInstallCommand } from './commands/mcp-install.ts'
import { dataOption, jsonOption, section, urlOption } from './help.ts'
import { parsePort } from './port.ts'

type OnlyOne = (command: Command, options: { url?: string; data?: string }) => void

/** `loci mcp`: an MCP server for hosts on this machine, or over HTTP. */
export function addMcpCommand(program: Command, onlyOne: OnlyOne): void {
  const mcp = withOffer(program.command('mcp'))
    .description('serve MCP on stdin and stdout, for an MCP host to start, or over HTTP')
    .option('--http', 'serve Streamable HTTP on /mcp instead of stdin and stdout')
    .option('--port <port>', 'with --http: port to listen on, 0 for a free one (default: 8284)', parsePort)
    .option('--host <host>', 'with --http: address to listen on (default: 127.0.0.1)')
    .option('--auth', 'with --http: ask every request for a key: LOCI_API_KEY, or a random one')
    .action(async ({ http, ...options }: McpHttpCommand & { http?: boolean }, command: Command) => {
      onlyOne(command, options)
      if (http) {
        const { runMcpHttp } = await import('./commands/mcp-http.ts')
        return runMcpHttp(options)
      }
      for (const name of ['port', 'host', 'auth'] as const)
        if (options[name] !== undefined) command.error(`error: '--${name}' needs '--http'`)
      const { runMcp } = await import('./commands/mcp.ts')
      return runMcp(options)
    })
    .addHelpText('after', () =>
      section('Examples', [
        'loci mcp',
        'loci mcp --agent Ada',
        'loci mcp --url http://127.0.0.1:8283',
        'loci mcp --http --port 9000',
        'loci mcp install vscode',
      ]),
    )
  withOffer(mcp.command('install'))
    .description('tell an MCP host on this machine to start Loci; shows what changes, and keeps a backup')
    .argument('[host]', 'vscode, cursor, claude-desktop, claude-code, … (default: list them)')
    .option('--name <name>', 'what the host calls it', 'loci')
    .option('--print', 'only print the entry, to paste')
    .option('--dry-run', 'only show what would change')
    .option('--remove', 'take the entry away')
    .option(...jsonOption)
    .action(async (host: string | undefined, _: object, command: Command) => {
      const options = command.optsWithGlobals<McpInstallCommand & { http?: boolean }>()
      onlyOne(command, options)
      if (options.http)
        command.error("error: 'loci mcp install' is for hosts that start Loci; give others the URL")
      const { runMcpInstall } = await import('./commands/mcp-install.ts')
      await runMcpInstall(host, options)
    })
    .addHelpText('after', () =>
      section('Examples', [
        'loci mcp install',
        'loci mcp install vscode',
        'loci mcp install cursor --agent Ada --name ada',
        'loci mcp install claude-desktop --print',
      ]),
    )
}

/** What is offered, and of which Loci: asked of the server itself and of those who tell a host to start it. */
function withOffer(command: Command): Command {
  return command
    .option('--agent <agent>', 'only this agent, by its name or id: a memory for the host itself')
    .option('--toolsets <names>', 'default, authoring, admin with commas, or all (default: default)')
    .option('--read-only', 'only tools that change nothing')
    .option(...dataOption)
    .option(...urlOption)
}
