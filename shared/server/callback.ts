import { lookup as dnsLookup } from 'node:dns'
import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import type { ActiveRun } from '../core/runs/active-run.ts'
import type { TurnResult } from '../core/events.ts'
import type { BatchCallback } from '../core/ports/batch-store.ts'
import { AppError, messageOf } from '../schema/errors.ts'
import type { LettaResponse } from '../schema/message.ts'
import type { Run } from '../schema/run.ts'
import type { ServerContext } from './context.ts'

/** How long the receiver of a callback may take, in milliseconds; and when the server is about to close. */
const TIMEOUT_MS = 10_000
const CLOSING_TIMEOUT_MS = 3_000
/** Pauses before it is called again, in milliseconds. */
const PAUSES_MS = [1_000, 5_000, 20_000, 60_000]

/** What is called back for: a turn of this process, or one that has ended elsewhere. */
export type EndingRun = Pick<ActiveRun, 'run' | 'actor' | 'done' | 'handedOver'>

/**
 * Tells `url` how a run ended, once it has, and keeps with the run how that went. A receiver that cannot be reached, or
 * answers 408, 425, 429 or 5xx, is called again with growing pauses, five times in all; redirects are not followed, and
 * what it answers is not read. Returns at once; the server waits briefly for it when it closes.
 */
export function callBack(
  context: ServerContext,
  run: EndingRun,
  url: string,
  answer: (result: TurnResult) => LettaResponse,
): void {
  inBackground(context, `calling back for run ${run.run.id}`, tell(context, run, url, answer))
}

/** Tells `url` that a batch has ended, and keeps how that went, as `callBack` does for a run. */
export function callBackForBatch(context: ServerContext, callback: BatchCallback): void {
  const { batch, url } = callback
  const { id: job_id, status, completed_at } = batch
  const told = deliver(context, url, JSON.stringify({ job_id, status, completed_at }), (outcome) =>
    context.deps.store.batches.saveCallback(callback, outcome),
  )
  inBackground(context, `calling back for batch ${job_id}`, told)
}

function inBackground(context: ServerContext, where: string, work: Promise<void>): void {
  const task = work.catch((failure: unknown) => context.onFailure(where, failure))
  context.tasks.add(task)
  void task.finally(() => context.tasks.delete(task))
}

async function tell(
  context: ServerContext,
  run: EndingRun,
  url: string,
  answer: (result: TurnResult) => LettaResponse,
): Promise<void> {
  const result = await run.done
  // Whoever goes on with it calls back.
  if (run.handedOver()) return
  const { error } = result
  const body = JSON.stringify({
    run_id: run.run.id,
    status: result.status,
    completed_at: new Date().toISOString(),
    metadata: error
      ? { error: { type: error.type, message: error.message, detail: error.detail } }
      : { result: answer(result) },
  })
  await deliver(context, url, body, (outcome) =>
    context.deps.store.turns.saveCallback(run.actor, run.run.id, outcome),
  )
}

type KeptOutcome = Pick<Run, 'callback_sent_at' | 'callback_status_code' | 'callback_error'>

async function deliver(
  context: ServerContext,
  url: string,
  body: string,
  keep: (outcome: KeptOutcome) => Promise<void>,
): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const outcome = await call(url, body, context.closing)
    const { callback_sent_at, callback_status_code, callback_error } = outcome
    try {
      await keep({ callback_sent_at, callback_status_code, callback_error })
    } catch (failure) {
      context.onFailure(`keeping how the callback to ${url} went`, failure)
    }
    const pause = PAUSES_MS[attempt]
    if (!outcome.again || pause === undefined) return
    if (!(await waited(pause, context.closing))) return
  }
}

interface Outcome {
  callback_sent_at: string
  callback_status_code: number | null
  callback_error: string | null
  /** It may go better another time. */
  again: boolean
}

async function call(url: string, body: string, closing: AbortSignal): Promise<Outcome> {
  const callback_sent_at = new Date().toISOString()
  try {
    const status = await post(url, body, closing)
    const again = status >= 500 || [408, 425, 429].includes(status)
    const callback_error = status < 300 ? null : `the callback to ${url} was answered with status ${status}`
    return { callback_sent_at, callback_status_code: status, callback_error, again }
  } catch (failure) {
    const callback_error = `the callback to ${url} failed: ${messageOf(failure)}`
    const again = !(failure instanceof AppError)
    return { callback_sent_at, callback_status_code: null, callback_error, again }
  }
}

/** False when the server closes before the time is over. */
function waited(ms: number, closing: AbortSignal): Promise<boolean> {
  if (closing.aborted) return Promise.resolve(false)
  return new Promise((resolve) => {
    const end = (whole: boolean) => {
      clearTimeout(timer)
      closing.removeEventListener('abort', stop)
      resolve(whole)
    }
    const stop = () => end(false)
    const timer = setTimeout(() => end(true), ms)
    closing.addEventListener('abort', stop)
  })
}

function post(url: string, body: string, closing: AbortSignal): Promise<number> {
  const target = new URL(url)
  const host = target.hostname.replace(/^\[|\]$/g, '')
  if (isIP(host) && isRefused(host)) throw refused(host, host)
  const limit = new AbortController()
  const timer = setTimeout(() => limit.abort(), closing.aborted ? CLOSING_TIMEOUT_MS : TIMEOUT_MS)
  // A server that closes meanwhile waits no longer than one that is closing already.
  let hurry: ReturnType<typeof setTimeout> | undefined
  const onClosing = () => {
    hurry = setTimeout(() => limit.abort(), CLOSING_TIMEOUT_MS)
  }
  closing.addEventListener('abort', onClosing)
  return new Promise<number>((resolve, reject) => {
    const request = target.protocol === 'https:' ? requestHttps : requestHttp
    const outgoing = request(
      target,
      {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
        signal: limit.signal,
        lookup,
        // A callback is rare: nothing is gained by a connection that stays.
        agent: false,
      },
      (response) => {
        resolve(response.statusCode ?? 0)
        response.destroy()
      },
    )
    outgoing.on('error', (error) =>
      reject(limit.signal.aborted ? new Error('there was no answer in time', { cause: error }) : error),
    )
    outgoing.end(body)
  }).finally(() => {
    clearTimeout(timer)
    clearTimeout(hurry)
    closing.removeEventListener('abort', onClosing)
  })
}

/**
 * Where callbacks never go: addresses that mean nobody or many, and link-local ones, where clouds serve a machine's own
 * credentials. Loopback and private networks are allowed: the receiver is the developer's own program.
 */
const REFUSED = new BlockList()
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['169.254.0.0', 16],
  ['224.0.0.0', 3],
] as const)
  REFUSED.addSubnet(network, prefix, 'ipv4')
for (const [network, prefix] of [
  ['::', 128],
  ['fe80::', 10],
  ['ff00::', 8],
] as const)
  REFUSED.addSubnet(network, prefix, 'ipv6')

function isRefused(address: string): boolean {
  return REFUSED.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
}

function refused(host: string, address: string): AppError {
  const at = host === address ? '' : ` (${address})`
  return new AppError(
    'invalid_argument',
    `${host}${at} is a link-local, multicast or unspecified address, and callbacks are not sent there`,
  )
}

/** The address is checked where the connection is made: a name cannot change its mind in between. */
const lookup: LookupFunction = (name, options, callback) => {
  dnsLookup(name, { ...options, all: true }, (error, addresses) => {
    const found = error ? [] : addresses
    const bad = found.find(({ address }) => isRefused(address))
    const [first] = found
    if (error || !first) callback(error ?? new Error(`${name} has no address`), '', 0)
    else if (bad) callback(refused(name, bad.address), '', 0)
    else if (options.all) callback(null, found)
    else callback(null, first.address, first.family)
  })
}
