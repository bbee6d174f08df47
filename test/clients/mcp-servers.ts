/** Real MCP servers, installed once outside the repository, from npm. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const CACHE = process.env['LOCI_CLIENTS'] ?? join(tmpdir(), 'loci-clients')

/** Exact, so that a run can be repeated. */
const VERSION = '2026.8.31'
const SERVERS = ['everything', 'memory', 'filesystem'] as const

/** Paths of their programs. Throws when they cannot be installed; never skips. */
export function mcpServers(): Record<(typeof SERVERS)[number], string> {
  const folder = join(CACHE, `mcp-servers-${VERSION}`)
  const main = (name: string) =>
    join(folder, 'node_modules', '@modelcontextprotocol', `server-${name}`, 'dist', 'index.js')
  if (!SERVERS.every((name) => existsSync(main(name)))) {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
    const packages = SERVERS.map((name) => `@modelcontextprotocol/server-${name}@${VERSION}`)
    const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-save']
    execFileSync('npm', ['install', ...flags, ...packages], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  }
  return { everything: main('everything'), memory: main('memory'), filesystem: main('filesystem') }
}
