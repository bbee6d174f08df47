import {
  Disposable,
  Location,
  Position,
  Range,
  TestMessage,
  TestRunProfileKind,
  tests,
  workspace,
  type CancellationToken,
  type TestController,
  type TestItem,
  type TestRun,
  type TestRunRequest,
  type Uri,
} from 'vscode'
import { languageOf } from '../../../shared/client/tool-files.ts'
import type { TestFailure, TestOutcome, TestReport } from '../../../shared/client/tool-tests.ts'
import { childEnvironment } from '../server/child-environment.ts'
import type { Services } from '../services.ts'
import { networkSettings } from '../settings.ts'
import { findTests } from './outline.ts'
import { runToolTests } from './test-run.ts'
import { byPath, inToolsFolder, isTest, nameOf, testedBy, textOf } from './tool-document.ts'
import { t } from '../l10n.ts'

/** The unit tests of the workspace's tools in the Test Explorer. They run as `loci tools test` does: as the user. */
export function createToolTests({ context }: Services): Disposable {
  const controller = tests.createTestController('loci.tools', t('Loci Tools'))
  const command = {
    script: context.asAbsolutePath('dist/loci.js'),
    env: childEnvironment(process.env, networkSettings(), ''),
  }
  controller.resolveHandler = async (item) => (item ? read(controller, item) : discover(controller))
  controller.refreshHandler = () => discover(controller)
  controller.createRunProfile(
    t('Run'),
    TestRunProfileKind.Run,
    (request, token) => runTests(controller, command, request, token),
    true,
  )
  return Disposable.from(controller, ...watch(controller))
}

function watch(controller: TestController): Disposable[] {
  const watchFolders = () =>
    (workspace.workspaceFolders ?? []).map((folder) => {
      const watcher = workspace.createFileSystemWatcher(inToolsFolder(folder))
      watcher.onDidCreate((uri) => isTest(uri) && void add(controller, uri))
      watcher.onDidChange((uri) => isTest(uri) && void add(controller, uri))
      watcher.onDidDelete((uri) => controller.items.delete(uri.toString()))
      return watcher
    })
  let watchers = watchFolders()
  const end = () => {
    for (const watcher of watchers) watcher.dispose()
  }
  return [
    new Disposable(end),
    workspace.onDidChangeWorkspaceFolders(() => {
      end()
      watchers = watchFolders()
      void discover(controller)
    }),
    workspace.onDidChangeTextDocument(({ document }) => {
      if (isTest(document.uri)) void add(controller, document.uri)
    }),
  ]
}

async function discover(controller: TestController): Promise<void> {
  const folders = workspace.workspaceFolders ?? []
  const found = await Promise.all(folders.map((folder) => workspace.findFiles(inToolsFolder(folder), null)))
  const files = found.flat().filter(isTest).sort(byPath)
  controller.items.replace([])
  for (const uri of files) await add(controller, uri)
}

async function add(controller: TestController, uri: Uri): Promise<void> {
  const id = uri.toString()
  let item = controller.items.get(id)
  if (!item) {
    item = controller.createTestItem(id, nameOf(uri), uri)
    item.canResolveChildren = true
    controller.items.add(item)
  }
  await read(controller, item)
}

/** Finds the tests in a file by their look; a run finds those that are made otherwise. */
async function read(controller: TestController, item: TestItem): Promise<void> {
  const { uri } = item
  const language = uri && languageOf(uri.path)
  if (!uri || !language) return
  const places = findTests((await textOf(uri)) ?? '', language)
  const wanted = new Set(places.map(({ name }) => name.join('\n')))
  const stale: string[] = []
  item.children.forEach((child) => {
    if (!wanted.has(child.id)) stale.push(child.id)
  })
  for (const id of stale) item.children.delete(id)
  for (const { name, line } of places) {
    const child = childOf(controller, item, name)
    child.range = new Range(line, 0, line, 0)
  }
}

function childOf(controller: TestController, file: TestItem, name: readonly string[]): TestItem {
  const id = name.join('\n')
  const known = file.children.get(id)
  if (known) return known
  const child = controller.createTestItem(id, name.at(-1) ?? id, file.uri)
  if (name.length > 1) child.description = name.slice(0, -1).join(' › ')
  file.children.add(child)
  return child
}

async function runTests(
  controller: TestController,
  command: { script: string; env: NodeJS.ProcessEnv },
  request: TestRunRequest,
  token: CancellationToken,
): Promise<void> {
  const run = controller.createTestRun(request)
  const abort = new AbortController()
  token.onCancellationRequested(() => abort.abort())
  try {
    for (const file of filesOf(controller, request)) {
      if (token.isCancellationRequested) break
      await runFile(controller, run, command, file, request, abort.signal)
    }
  } finally {
    run.end()
  }
}

function filesOf(controller: TestController, { include, exclude = [] }: TestRunRequest): TestItem[] {
  const all: TestItem[] = []
  controller.items.forEach((item) => all.push(item))
  const meant = include ? [...new Set(include.map((item) => item.parent ?? item))] : all
  return meant.filter((item) => !exclude.includes(item))
}

/**
 * Runs all tests of a file, and tells of those that were asked for. The file is what its tests are, unless it cannot be
 * run.
 */
async function runFile(
  controller: TestController,
  run: TestRun,
  { script, env }: { script: string; env: NodeJS.ProcessEnv },
  file: TestItem,
  { include, exclude = [] }: TestRunRequest,
  signal: AbortSignal,
): Promise<void> {
  const { uri } = file
  if (!uri) return
  const whole = !include || include.includes(file)
  const isWanted = (item: TestItem) => (whole || include.includes(item)) && !exclude.includes(item)
  const open = new Set<TestItem>()
  file.children.forEach((child) => {
    if (isWanted(child)) open.add(child)
  })
  for (const item of open) run.started(item)
  const folder = workspace.getWorkspaceFolder(uri)?.uri.fsPath
  try {
    if (!workspace.isTrusted)
      throw new Error(t('Tests are code: in a workspace that is not trusted none runs.'))
    // Its run is that of the file on disk.
    await workspace.textDocuments.find((document) => document.uri.toString() === uri.toString())?.save()
    const reports = runToolTests(
      { script, env, cwd: folder ?? testedBy(uri).fsPath.replace(/[^/\\]*$/, '') },
      [testedBy(uri).fsPath],
      signal,
    )
    for await (const report of reports)
      tell(run, report, file, (name) => {
        const item = name.length === 0 ? file : childOf(controller, file, name)
        open.delete(item)
        return isWanted(item) ? item : null
      })
    for (const item of open) run.skipped(item)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    run.appendOutput(`${message}\r\n`)
    for (const item of open.size === 0 ? [file] : open) run.errored(item, new TestMessage(message))
  }
}

function tell(
  run: TestRun,
  report: TestReport,
  file: TestItem,
  itemOf: (name: readonly string[]) => TestItem | null,
): void {
  if ('output' in report) {
    run.appendOutput(report.output.replaceAll(/\r?\n/g, '\r\n'))
    return
  }
  const item = itemOf(report.name)
  if (!item) return
  const { state, duration, failure } = report
  mark(run, report, item)
  if (failure?.stack) run.appendOutput(`${failure.message}\n${failure.stack}\n`.replaceAll('\n', '\r\n'))
  if (state === 'passed') run.passed(item, duration)
  if (state === 'skipped') run.skipped(item)
  if (state === 'failed') run.failed(item, failure ? messageOf(failure, file, item) : [], duration)
}

/** One line for each test in the output, as a terminal shows it. */
function mark(run: TestRun, { state, name }: TestOutcome, item: TestItem): void {
  const sign = { passed: '✔', failed: '✖', skipped: '-' }[state]
  run.appendOutput(`${sign} ${name.join(' › ') || item.label}\r\n`)
}

function messageOf(
  { message, expected, actual, line }: TestFailure,
  file: TestItem,
  item: TestItem,
): TestMessage {
  const said =
    expected !== null && actual !== null
      ? TestMessage.diff(message, expected, actual)
      : new TestMessage(message)
  const at = line === null ? item.range?.start : new Position(line - 1, 0)
  if (file.uri && at) said.location = new Location(file.uri, at)
  return said
}
