// Runs after `npm ci` and `npm install` in a checkout: makes `node` in npm scripts the Node that came with the packages.
// npm 11 and later link it themselves; npm 10 sees that several platform packages have a bin of this name and links none.
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const modules = join(import.meta.dirname, '..', 'node_modules')
const windows = process.platform === 'win32'
const platform = `${windows ? 'win' : process.platform}-${process.arch}`
const binary = join('bin', windows ? 'node.exe' : 'node')
const name = [`node-${platform}`, `node-bin-${platform}`].find((n) => existsSync(join(modules, n, binary)))
const link = join(modules, '.bin', windows ? 'node.cmd' : 'node')

if (name && !existsSync(link)) {
  mkdirSync(join(modules, '.bin'), { recursive: true })
  if (windows) writeFileSync(link, `@"%~dp0\\..\\${name}\\bin\\node.exe" %*\r\n`)
  else symlinkSync(join('..', name, binary), link)
}
