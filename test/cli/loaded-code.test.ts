import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { start, temporaryFolder } from '../support/cli-process.ts'

const OUTLIVE = pathToFileURL(join(import.meta.dirname, '..', '..', 'cli', 'loaded-code.ts')).href

describe('a process whose files an update removes', () => {
  it('goes on with the code that it has loaded, and says of the rest that it has to be restarted', async () => {
    const folder = await temporaryFolder()
    const code = join(folder.path, 'code')
    await mkdir(code)
    const put = (name: string, text: string) => writeFile(join(code, name), text)
    await put('soon.mjs', 'export const said = "loaded before"')
    await put('never.mjs', 'export const said = "never loaded"')
    // The module that imports is another one than that which has loaded it.
    await put('user.mjs', 'export const use = (name) => import(name)')
    await put(
      'main.mjs',
      `import { createInterface } from 'node:readline'
       import { outliveUpdates } from '${OUTLIVE}'
       import { use } from './user.mjs'
       createInterface({ input: process.stdin }).on('line', async (name) => {
         const { said } = await use(name).catch((error) => ({ said: error.name + ' ' + error.message }))
         console.log(name, said)
       })
       await outliveUpdates(() => import('./soon.mjs'), (error) => console.log('failed', error))
       console.log('ready')`,
    )
    const main = start(process.execPath, [join(code, 'main.mjs')], {})
    try {
      await main.waitFor(/ready\n/)
      await rm(code, { recursive: true })
      main.child.stdin?.write('./soon.mjs\n./never.mjs\n')
      await main.waitFor(/soon\.mjs loaded before\n/)
      await main.waitFor(/never\.mjs AppError A part of Loci is not there any more: .*Restart it/)
    } finally {
      await main.stop()
      await folder.remove()
    }
  })
})
