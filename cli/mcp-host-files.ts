import { homedir } from 'node:os'
import { join } from 'node:path'

/** How a host starts a server. */
export interface HostEntry {
  command: string
  args: string[]
}

/** A host whose configuration names the servers it starts. */
export interface McpHostFile {
  title: string
  /** Its configuration. */
  file: string
  /** Where in it servers are, by name: keys of JSON, or a table of TOML. */
  path: string[]
  format: 'json' | 'toml'
  entry: (entry: HostEntry) => object
  /** What the user does for the host to see it. */
  next: string
}

const plain = (entry: HostEntry) => entry
const typed = (entry: HostEntry) => ({ type: 'stdio', ...entry })

/** The hosts that `loci mcp install` knows, by name. */
export function hostFiles(
  env: NodeJS.ProcessEnv,
  platform: NodeJS.Platform = process.platform,
): Record<string, McpHostFile> {
  const home = env['HOME'] ?? env['USERPROFILE'] ?? homedir()
  const settings =
    platform === 'darwin'
      ? join(home, 'Library', 'Application Support')
      : platform === 'win32'
        ? (env['APPDATA'] ?? join(home, 'AppData', 'Roaming'))
        : (env['XDG_CONFIG_HOME'] ?? join(home, '.config'))
  const json = (
    title: string,
    file: string,
    { path = ['mcpServers'], entry = plain, next = `Restart ${title}.` }: Partial<McpHostFile> = {},
  ): McpHostFile => ({ title, file, path, format: 'json', entry, next })
  const code = (title: string, folder: string) =>
    json(title, join(settings, folder, 'User', 'mcp.json'), {
      path: ['servers'],
      entry: typed,
      next: 'Run "MCP: List Servers" and start it.',
    })
  return {
    vscode: code('VS Code', 'Code'),
    'vscode-insiders': code('VS Code Insiders', 'Code - Insiders'),
    cursor: json('Cursor', join(home, '.cursor', 'mcp.json'), { next: 'Enable it in Settings, MCP.' }),
    'claude-desktop': json('Claude Desktop', join(settings, 'Claude', 'claude_desktop_config.json')),
    'claude-code': json('Claude Code', join(home, '.claude.json'), {
      entry: typed,
      next: 'Look at it with /mcp.',
    }),
    windsurf: json('Windsurf', join(home, '.codeium', 'windsurf', 'mcp_config.json')),
    gemini: json('Gemini CLI', join(home, '.gemini', 'settings.json')),
    'lm-studio': json('LM Studio', join(home, '.lmstudio', 'mcp.json')),
    zed: json('Zed', join(settings, platform === 'linux' ? 'zed' : 'Zed', 'settings.json'), {
      path: ['context_servers'],
      next: 'Zed sees it at once.',
    }),
    codex: {
      title: 'Codex CLI',
      file: join(home, '.codex', 'config.toml'),
      path: ['mcp_servers'],
      format: 'toml',
      entry: plain,
      next: 'Restart Codex.',
    },
  }
}
