import { execFile } from 'node:child_process'
import { cp, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const exec = promisify(execFile)
const HERE = join(import.meta.dirname, '..', '..')
/** The last commit whose PostgreSQL has the schema before the newest. */
const OLDER = '9b736a5'

/**
 * Builds a Loci that knows an older schema in a folder that is there: the last commit that was so or, in a clone without
 * history, the present sources with the list of migrations cut to the first, and the columns that today's queries name.
 */
export async function buildOlder(folder: string): Promise<{ program: string; schema: string; from: string }> {
  const there = await exec('git', ['-C', HERE, 'cat-file', '-e', `${OLDER}^{commit}`]).then(
    () => true,
    () => false,
  )
  if (there) {
    const archive = join(folder, 'older.tar')
    await exec('git', ['-C', HERE, 'archive', '--output', archive, OLDER])
    await exec('tar', ['-xf', archive, '-C', folder])
  } else {
    const left = new Set(['.git', 'dist', 'node_modules'].map((name) => join(HERE, name)))
    await cp(HERE, folder, { recursive: true, filter: (path) => !left.has(path) })
    const list = join(folder, 'shared/store/postgres/migrate.ts')
    const text = await readFile(list, 'utf8')
    const cut = text.replace(
      /(export const MIGRATIONS[^=]*= )(\[.*?\n\])\n/s,
      '$1($2 as const).slice(0, 1).map((one) => ({ ...one, sql: `${one.sql};${requests}` }))\n',
    )
    if (cut === text) throw new Error('the list of migrations is written in another way')
    await writeFile(list, cut)
  }
  await symlink(join(HERE, 'node_modules'), join(folder, 'node_modules'))
  await exec(process.execPath, ['esbuild.mjs', '--quiet', '--without-parsers'], { cwd: folder })
  return {
    program: join(folder, 'dist/loci.js'),
    schema: there ? '2' : '1',
    from: there ? `commit ${OLDER}` : 'the present sources with one migration',
  }
}
