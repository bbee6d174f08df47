import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { applyPatch, createTwoFilesPatch, structuredPatch } from 'diff'
import { type LociClient, refusalOf } from '../../shared/client/http.ts'
import { messageOf } from '../../shared/schema/errors.ts'
import type { Block } from '../../shared/schema/block.ts'
import { ask, isInteractive } from '../ask.ts'
import { Failure } from '../failure.ts'
import { findBlock } from '../find.ts'
import { note, printJson } from '../print.ts'
import { count } from '../progress.ts'
import { plain } from '../terminal.ts'
import { withClient } from '../with-client.ts'
import { type BlockOptions, writeBlock } from './blocks.ts'

/**
 * `loci blocks edit`: the value in the user's editor. It is saved only over the version that was opened: when somebody
 * else has written meanwhile, both are put together where they fit, and the user decides where they do not. What was
 * typed is never lost: a text that is not saved stays in its file.
 */
export async function runEditBlock(named: string, options: BlockOptions): Promise<void> {
  await withClient(options, async (client) => {
    const opened = await findBlock(client, named, options.agent)
    const folder = await mkdtemp(join(tmpdir(), 'loci-block-'))
    const file = join(folder, `${(opened.label ?? 'block').replaceAll(/[^\w-]/g, '_')}.md`)
    await writeFile(file, opened.value, { mode: 0o600 })
    let saved: Block | null
    try {
      saved = await editAndSave(client, opened, file)
    } catch (error) {
      if (await hasText(file, opened.value)) note(`What you wrote is kept in ${file}`)
      else await rm(folder, { recursive: true })
      throw error
    }
    await rm(folder, { recursive: true })
    if (options.json) return printJson(saved ?? opened)
    if (!saved) return note(`${opened.label} is as it was.`)
    note(
      `Saved ${opened.label}: ${count(saved.value.length, 'character')}, version ${saved.version}. To go back: loci blocks restore ${opened.id} ${opened.version}`,
    )
  })
}

async function hasText(file: string, before: string): Promise<boolean> {
  const text = await readFile(file, 'utf8').catch(() => null)
  return text !== null && withoutAddedNewline(text, before) !== before
}

/** Null when nothing was changed. */
async function editAndSave(client: LociClient, opened: Block, file: string): Promise<Block | null> {
  let base = opened
  await openEditor(file)
  for (;;) {
    const value = withoutAddedNewline(await readFile(file, 'utf8'), base.value)
    if (value === base.value) return null
    try {
      return await writeBlock(client, base.id, value, base.version)
    } catch (error) {
      if (refusalOf(error)?.status !== 409) throw error
    }
    const theirs = await findBlock(client, base.id)
    const next = await settle(base, theirs, value)
    base = theirs
    await writeFile(file, next.value)
    if (next.edit) await openEditor(file)
  }
}

/** What is to be written over what somebody else has written meanwhile. */
async function settle(base: Block, theirs: Block, mine: string): Promise<{ value: string; edit: boolean }> {
  const before = structuredPatch('', '', base.value, mine, undefined, undefined, { context: 2 })
  const merged = applyPatch(theirs.value, before)
  process.stderr.write(
    `${plain(difference('what you opened', base.value, 'what it is now', theirs.value))}\n`,
  )
  const changed = `${base.label} was changed meanwhile, as shown above (version ${theirs.version}).`
  if (!isInteractive()) throw new Failure(`${changed} Nothing was saved.`)
  const choices =
    merged === false
      ? '[e]dit yours again, [o]verwrite theirs, [q]uit? '
      : 'Both changes fit together: [m]erge, [e]dit the merged text, [o]verwrite theirs, [q]uit? '
  for (;;) {
    const answer = (await ask(`${changed} ${choices}`)).toLowerCase()
    if (answer === 'm' && merged !== false) return { value: merged, edit: false }
    if (answer === 'e') return { value: merged === false ? mine : merged, edit: true }
    if (answer === 'o') return { value: mine, edit: false }
    if (answer === 'q') throw new Failure('Nothing was saved.')
  }
}

function difference(from: string, before: string, to: string, after: string): string {
  return createTwoFilesPatch(from, to, before, after, undefined, undefined, { context: 2 })
    .split('\n')
    .filter((line) => !/^=+$/.test(line))
    .join('\n')
    .trimEnd()
}

/** Editors end a file with a newline; that alone is no change. */
function withoutAddedNewline(text: string, before: string): string {
  const unix = before.includes('\r\n') ? text : text.replaceAll('\r\n', '\n')
  return !before.endsWith('\n') && unix.endsWith('\n') ? unix.slice(0, -1) : unix
}

/** Opens the file in the user's editor and waits for its end. Throws a `Failure` when it fails. */
async function openEditor(file: string): Promise<void> {
  const { env, platform } = process
  const editor = env['VISUAL'] || env['EDITOR'] || (platform === 'win32' ? 'notepad' : 'vi')
  // As git does it: the variable may hold arguments, so a shell reads it; the file is no part of what it reads.
  const [command, args] =
    platform === 'win32' ? [`${editor} "${file}"`, []] : ['sh', ['-c', `${editor} "$@"`, editor, file]]
  const child = spawn(command, args, { stdio: 'inherit', shell: platform === 'win32' })
  // Ctrl-C in an editor is the editor's.
  const ignore = () => undefined
  process.on('SIGINT', ignore)
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject).once('exit', resolve)
    })
    if (code !== 0)
      throw new Failure(
        `'${editor}' ended with ${code ?? 'a signal'}: nothing was saved. EDITOR names another one.`,
      )
  } catch (cause) {
    if (cause instanceof Failure) throw cause
    throw new Failure(`'${editor}' cannot be started: ${messageOf(cause)}. EDITOR names another one.`, {
      cause,
    })
  } finally {
    process.off('SIGINT', ignore)
  }
}
