/** deploy/Dockerfile as a builder reads it, and what it builds, made by its own commands without a container. */
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { DEPLOY } from './compose.ts'

const ROOT = join(DEPLOY, '..')
const sh = promisify(execFile)

/** An instruction; comments and continued lines are put together. */
interface Instruction {
  name: string
  text: string
}

export interface Image {
  stages: Instruction[][]
  entrypoint: string[]
  command: string[]
  healthcheck: string[]
  env: Record<string, string>
  uid: number
  gid: number
  volumes: string[]
  stop_signal: string
}

/** What the last stage says of the image. Throws when the file does not say it. */
export async function readDockerfile(): Promise<Image> {
  const text = await readFile(join(DEPLOY, 'Dockerfile'), 'utf8')
  const lines = text.split('\n').filter((line) => !line.startsWith('#') && line.trim() !== '')
  const stages: Instruction[][] = []
  for (const line of lines.join('\n').replaceAll('\\\n', ' ').split('\n')) {
    const [, name = '', rest = ''] = /^(\w+)\s+(.*)$/.exec(line) ?? []
    if (name === 'FROM') stages.push([])
    stages.at(-1)?.push({ name, text: rest.trim() })
  }
  const last = stages.at(-1) ?? []
  const of = (name: string) => {
    const found = last.filter((instruction) => instruction.name === name)
    if (found.length !== 1) throw new Error(`the last stage has ${found.length} times ${name}`)
    return found[0]?.text ?? ''
  }
  const [, uid, gid] = /^(\d+):(\d+)$/.exec(of('USER')) ?? []
  const pairs = [...of('ENV').matchAll(/(\w+)=(\S+)/g)].map(([, name, value]) => [name, value] as const)
  return {
    stages,
    entrypoint: JSON.parse(of('ENTRYPOINT')) as string[],
    command: JSON.parse(of('CMD')) as string[],
    healthcheck: JSON.parse(/CMD\s+(\[.*\])$/.exec(of('HEALTHCHECK'))?.[1] ?? 'null') as string[],
    env: Object.fromEntries(pairs) as Record<string, string>,
    uid: Number(uid),
    gid: Number(gid),
    volumes: JSON.parse(of('VOLUME')) as string[],
    stop_signal: of('STOPSIGNAL'),
  }
}

/** What `Dockerfile.dockerignore` lets into the build. */
export async function buildContext(): Promise<string[]> {
  const text = await readFile(join(DEPLOY, 'Dockerfile.dockerignore'), 'utf8')
  const rules = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  if (rules.shift() !== '*') throw new Error('it begins with everything left out')
  return rules.map((rule) => {
    if (!rule.startsWith('!')) throw new Error(`'${rule}' is no exception`)
    return rule.slice(1)
  })
}

export interface Package {
  path: string
  /** Of all of its files. */
  bytes: number
  remove(): Promise<void>
}

async function sizeOf(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  const sizes = files.map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).size)
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}

/**
 * The folder that the build stage makes (`/opt/loci`), and its size in bytes, by the commands that stand there, from the files that the build
 * would see. Packages of npm are those of this checkout instead of `npm ci`. The caller removes it.
 */
export async function buildPackage(image: Image): Promise<Package> {
  const folder = await mkdtemp(join(tmpdir(), 'loci-image-'))
  const remove = () => rm(folder, { recursive: true, force: true })
  try {
    const [context, out, tmp] = ['build', 'opt', 'tmp'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ]
    for (const path of [context, out, tmp]) await mkdir(path)
    const seen = await buildContext()
    for (const path of (await sh('git', ['ls-files'], { cwd: ROOT })).stdout.trim().split('\n')) {
      if (!seen.some((allowed) => path === allowed || path.startsWith(`${allowed}/`))) continue
      await mkdir(dirname(join(context, path)), { recursive: true })
      await cp(join(ROOT, path), join(context, path))
    }
    await symlink(join(ROOT, 'node_modules'), join(context, 'node_modules'))
    const runs = (image.stages[0] ?? []).filter(({ name }) => name === 'RUN').map(({ text }) => text)
    const [install, ...others] = runs
    if (!install?.startsWith('npm ci')) throw new Error('the build begins with npm ci')
    const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env['PATH']}` }
    for (const command of others) {
      const here = command.replaceAll(/(?<=\s)\/(opt|tmp)\b/g, (_, name: string) => join(folder, name))
      await sh('/bin/sh', ['-ec', here], { cwd: context, env, maxBuffer: 64 * 1024 * 1024 })
    }
    const path = join(out, 'loci')
    return { path, bytes: await sizeOf(path), remove }
  } catch (error) {
    await remove()
    throw error
  }
}
