import { ProgressLocation, version as editor, window, workspace } from 'vscode'
import type { Services } from '../services.ts'
import { dataPlace, networkSettings, readSettings } from '../settings.ts'
import { childEnvironment } from './child-environment.ts'
import { runLoci } from './run-loci.ts'
import { t } from '../l10n.ts'

interface Finding {
  check: string
  status: 'ok' | 'warning' | 'error'
  message: string
  mend?: string
}

/** What `loci doctor --json` prints. */
export interface DoctorReport {
  ok: boolean
  version: string
  node: string
  data: string
  store: Finding[]
  config: Finding[]
  providers: Finding[]
}

/** Runs `loci doctor` over the data directory of the settings and opens its report, with what this window knows. */
export async function runDiagnostics({ context, server }: Services): Promise<void> {
  const script = context.asAbsolutePath('dist/loci.js')
  const env = childEnvironment(process.env, networkSettings(), '')
  const args = ['doctor', '--json', '--data', dataPlace(readSettings())]
  const { stdout, stderr } = await window.withProgress(
    { location: ProgressLocation.Notification, title: t('Loci looks for what is wrong') },
    () => runLoci(script, args, env),
  )
  const report = stdout.trimStart().startsWith('{') ? (JSON.parse(stdout) as DoctorReport) : null
  if (!report) throw new Error(stderr.trim() || t('loci doctor has said nothing.'))
  const { state } = server
  const here = [
    t('VS Code {0}', editor),
    t(
      'Server of this window: {0}{1}{2}',
      state.kind,
      'url' in state ? `, ${state.url}` : '',
      'message' in state ? `. ${state.message}` : '',
    ),
  ]
  const document = await workspace.openTextDocument({
    language: 'markdown',
    content: diagnosticsText(report, here),
  })
  await window.showTextDocument(document, { preview: true })
}

const MARKS = { ok: '✓ ok', warning: '⚠ warning', error: '✗ wrong' } as const

/** The report for people. It has addresses and paths, and no keys. */
export function diagnosticsText(report: DoctorReport, here: readonly string[]): string {
  const all = [...report.store, ...report.config, ...report.providers]
  const wrong = all.filter(({ status }) => status === 'error').map(({ check }) => check)
  const verdict =
    wrong.length === 0 ? t('Nothing is wrong.') : t('Something is wrong: {0}.', wrong.join(', '))
  return [
    t('# Loci diagnostics'),
    verdict,
    [t('Loci {0}, Node {1}', report.version, report.node), ...here].map((line) => `- ${line}`).join('\n'),
    section(t('Store in {0}', report.data), report.store),
    section('Settings', report.config),
    section('Models', report.providers),
    '',
  ].join('\n\n')
}

function section(title: string, findings: readonly Finding[]): string {
  const lines = findings.map(
    ({ check, status, message, mend }) =>
      `- ${MARKS[status]}: **${check}**: ${message}${mend === undefined ? '' : `\n  → ${mend}`}`,
  )
  return `## ${title}\n\n${lines.join('\n')}`
}
