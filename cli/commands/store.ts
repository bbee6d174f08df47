import { dirname, isAbsolute, resolve } from 'node:path'
import { loadStoreCopy, resolveDataDirectory } from '../../shared/server/main.ts'
import { VERSION } from '../../shared/schema/version.ts'
import { complain, EXIT, Failure } from '../failure.ts'
import { note, number, printJson, printTable } from '../print.ts'
import { count, progressLine, quoted } from '../progress.ts'
import { untilStopped } from '../shutdown.ts'
import type { StoreCopyOptions } from '../store-commands.ts'

type Copy = Awaited<ReturnType<typeof loadStoreCopy>>
type Report = Awaited<ReturnType<Copy['copyStore']>>

/** What takes longer, in seconds, is told with its rate. */
const LONG_S = 1
/** Differences that are told one by one. */
const TOLD = 20

/** `loci store copy`: rows of each table on stdout, the rest on stderr. Exit code 1 when a row differs. */
export async function runStoreCopy(options: StoreCopyOptions): Promise<void> {
  const { copyStore, discardCopy, verifyCopy } = await loadStoreCopy()
  const { env } = process
  const common = { to: options.to, version: VERSION, allow_network_fs: env['LOCI_ALLOW_NETWORK_FS'] === '1' }
  if (options.discard) {
    const waiting = progress(options.json === true)
    const { to, rows } = await discardCopy({
      ...common,
      onWaiting: (place, seconds) => waiting.onWaiting(place, seconds),
    }).finally(() => waiting.end())
    if (options.json) return printJson({ to, discarded: rows })
    return note(`Discarded ${count(rows, 'row')}: ${to} is empty.`)
  }
  const { begun, ...work } = progress(options.json === true)
  const stop = new AbortController()
  const interrupt = async () => {
    await untilStopped()
    const how = options.verify
      ? 'Nothing was changed.'
      : !begun()
        ? 'Nothing was copied.'
        : 'To go on, give the same command again; to give it up, add --discard.'
    stop.abort(new Failure(`Stopped. ${how}`))
  }
  void interrupt()
  const began = performance.now()
  try {
    const report = await (options.verify ? verifyCopy : copyStore)({
      ...common,
      from: options.from ?? '',
      data: options.data === undefined ? resolveDataDirectory(env) : resolve(options.data),
      encryption_key: env['LOCI_ENCRYPTION_KEY'] || null,
      source_encryption_key: env['LOCI_SOURCE_ENCRYPTION_KEY'] || null,
      keep_sealed: options.keepSealed === true,
      restart: options.restart === true,
      signal: stop.signal,
      ...work,
    })
    work.end()
    show(report, options, (performance.now() - began) / 1000)
  } catch (error) {
    if (error === stop.signal.reason) process.exitCode = EXIT.interrupted
    throw error
  } finally {
    work.end()
  }
}

function show(report: Report, options: StoreCopyOptions, seconds: number): void {
  const { differences, rows, from, to } = report
  const total = Object.values(rows).reduce((sum, n) => sum + n, 0)
  const untold = report.uncompared.secrets > 0 && !options.keepSealed
  if (differences.length > 0 || untold) process.exitCode = EXIT.failure
  if (options.json)
    return printJson({
      ...report,
      total,
      seconds: Number(seconds.toFixed(1)),
      same: differences.length === 0 && !untold,
    })
  const filled = Object.entries(rows).filter(([, n]) => n > 0)
  printTable(
    [{ title: 'TABLE' }, { title: 'ROWS', align: 'right' }],
    [...filled, ['in all', total] as const].map(([name, n]) => [name, number(n)]),
  )
  if (differences.length > 0) tell(report, options)
  else if (options.verify)
    note(
      report.uncompared.secrets > 0
        ? `Every row of ${from} is in ${to}, and nothing else, as far as it could be compared.`
        : `Every row of ${from} is in ${to}, and nothing else.`,
    )
  if (report.uncompared.secrets > 0) tellOfUncompared(report, untold)
  if (differences.length > 0 || untold || options.verify) return
  const all = report.copied === total ? '' : ` (${number(total - report.copied)} were there from before)`
  note(`Copied and verified in ${seconds.toFixed(1)} s: ${count(total, 'row')}${all} from ${from} to ${to}.`)
  tellOfSecrets(report)
  if (report.uploads && report.uploads.absent.length > 0)
    note(
      `${count(report.uploads.absent.length, 'file')} had not been read yet, and what was uploaded is not in ${from} ` +
        `(${report.uploads.absent.slice(0, 3).join(', ')}): upload them again, unless they are in object storage, where the ` +
        'copy finds them.',
    )
  note(`Settings (config.json) stay where they are; ${from} was not changed.`)
  note(`To use the copy: ${use(options.to, report)}`)
}

/** How a server is started that can read all of the copy. */
function use(to: string, { key }: Report): string {
  const server = key?.from === 'LOCI_ENCRYPTION_KEY' ? 'LOCI_ENCRYPTION_KEY=… loci server' : 'loci server'
  if (!/^\w+:\/\//.test(to)) return `${server} --data ${quoted(to)}`
  const data = isFile(key) ? ` --data ${quoted(dirname(key.from))}` : ''
  return `${server}${data} --store postgres://…`
}

function isFile(key: Report['key']): key is { id: string; from: string } {
  return key !== null && key.from !== null && isAbsolute(key.from)
}

function tell({ differences, to }: Report, { verify }: StoreCopyOptions): void {
  for (const { table, key, what } of differences.slice(0, TOLD)) note(`${table} ${key}: ${what}`)
  const first = differences[0]
  complain(
    `${differences.length >= TOLD ? 'Many rows are' : count(differences.length, 'row') + (differences.length === 1 ? ' is' : ' are')} ` +
      `not the same in ${to}, the first in ${first?.table ?? ''}: ${first?.key ?? ''} (${first?.what ?? ''}).` +
      (verify
        ? ''
        : ' The copy is not complete: stop every server of the source, and begin anew with --restart.'),
  )
}

/** Which keys are not here, and how they are given. */
function tellOfUncompared({ uncompared, from, to }: Report, isFailure: boolean): void {
  const { secrets, source_keys, target_keys } = uncompared
  const needs = [
    ...(source_keys.length > 0
      ? [`LOCI_SOURCE_ENCRYPTION_KEY to that of ${from} (${source_keys.join(', ')})`]
      : []),
    ...(target_keys.length > 0 ? [`LOCI_ENCRYPTION_KEY to that of ${to} (${target_keys.join(', ')})`] : []),
  ]
  const text =
    `${count(secrets, 'secret')} cannot be compared without ${secrets === 1 ? 'its key' : 'their keys'}: set ` +
    `${needs.join(' and ')}, or give --data the directory whose secrets.key it is.`
  if (isFailure) complain(`${text} To be content with the rest, add --keep-sealed.`)
  else note(text)
}

function tellOfSecrets({ secrets, key }: Report): void {
  if (secrets.opened > 0 && key) {
    const are = `${count(secrets.opened, 'secret')} ${secrets.opened === 1 ? 'is' : 'are'} encrypted with`
    note(
      isFile(key)
        ? `${are} the key in ${key.from}. Servers with another data directory need it, too: ` +
            `LOCI_ENCRYPTION_KEY="$(head -n 1 ${quoted(key.from)})".`
        : `${are} this LOCI_ENCRYPTION_KEY. Every server of the copy needs the same.`,
    )
  }
  if (secrets.sealed > 0)
    note(
      `${count(secrets.sealed, 'secret')} stayed encrypted with a key that is not here (${secrets.missing_keys.join(', ')}).`,
    )
}

/** What is under way: one line on a terminal, else a line for each table that has rows. */
function progress(silent: boolean) {
  const line = progressLine()
  const live = process.stderr.isTTY
  let at = { phase: '', table: '', since: 0, rows: 0, from: 0 }
  const ended = () => {
    if (live || silent || at.rows === 0) return
    const seconds = (performance.now() - at.since) / 1000
    const long = seconds >= LONG_S
    if (at.phase === 'copying' || long)
      note(
        `${at.phase === 'copying' ? 'copied' : 'verified'} ${at.table}: ${count(at.rows, 'row')}` +
          (long ? `, ${number(Math.round((at.rows - at.from) / seconds))} a second` : ''),
      )
  }
  let begun = false
  let told = 1
  return {
    begun: () => begun,
    onProgress(phase: 'copying' | 'verifying', table: string, rows: number, of: number) {
      begun = true
      told = 1
      if (at.phase !== phase || at.table !== table) {
        ended()
        // Of the first batch one hears when it is done.
        at = { phase, table, since: performance.now(), rows, from: rows }
      }
      at.rows = rows
      const rate = Math.round(rows / Math.max(0.001, (performance.now() - at.since) / 1000))
      const verb = phase === 'copying' ? 'Copying' : 'Verifying'
      line.show(`${verb} ${table}, ${count(rows, 'row')}, ${number(rate)}/s`, of === 0 ? 1 : rows / of)
    },
    onWaiting(place: string, seconds: number) {
      const text = `Waiting for ${place}, which has answered nothing for ${seconds} s`
      if (live) line.show(text)
      else if (!silent && seconds >= told * 2) note(text)
      else return
      told = seconds
    },
    onStage(text: string) {
      ended()
      at = { ...at, table: '', rows: 0 }
      if (live) line.show(text)
      else if (!silent) note(text)
    },
    end() {
      ended()
      at = { ...at, table: '', rows: 0 }
      line.end()
    },
  }
}
