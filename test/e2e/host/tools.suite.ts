import assert from 'node:assert/strict'
import * as vscode from 'vscode'
import { connect, type LociClient } from '../../../shared/client/http.ts'

/** Where the tool of the workspace begins and where it returns, from 0. */
const BEGINS = 5
const RETURNS = 8

/** Tools as a developer writes them, seen through VS Code's own API. The server and its model are the caller's. */
export function defineToolsSuite(): void {
  describe('tools in the extension host', () => {
    let client: LociClient
    let agent_id: string
    let file: vscode.Uri
    before(async () => {
      client = connect({ url: process.env['LOCI_E2E_URL'] ?? '' })
      const folder = vscode.workspace.workspaceFolders?.[0]?.uri
      assert.ok(folder)
      file = vscode.Uri.joinPath(folder, '.loci', 'tools', 'add_up.ts')
      await vscode.window.showTextDocument(file)
    })
    after(async () => {
      vscode.debug.removeBreakpoints(vscode.debug.breakpoints)
      await client?.close()
    })

    it('has what can be done with a tool above its function', async () => {
      const titles = async () => {
        const lenses = await vscode.commands.executeCommand<vscode.CodeLens[]>(
          'vscode.executeCodeLensProvider',
          file,
          10,
        )
        return lenses
          .filter((lens) => lens.range.start.line === BEGINS)
          .map((lens) => lens.command?.title ?? '')
          .filter((title) => /^(Run|Debug|Attach|Schema)/.test(title))
      }
      await eventually('the lenses are there', async () => (await titles()).length === 4)
      assert.deepEqual(await titles(), ['Run', 'Debug', 'Attach to Agent…', 'Schema'])
    })

    it('shows a problem at its line while it is written, and takes it away again', async () => {
      const editor = await vscode.window.showTextDocument(file)
      const type = new vscode.Range(BEGINS, 32, BEGINS, 40)
      assert.equal(editor.document.getText(type), 'number[]')
      await editor.edit((edit) => edit.replace(type, 'Map<string, number>'))
      const problems = () =>
        vscode.languages.getDiagnostics(file).filter((diagnostic) => diagnostic.source === 'Loci')
      await eventually('the problem is there', () => problems().length > 0)
      assert.equal(problems()[0]?.range.start.line, BEGINS)
      assert.equal(problems()[0]?.severity, vscode.DiagnosticSeverity.Error)
      await vscode.commands.executeCommand('undo')
      await eventually('the problem is gone', () => problems().length === 0)
      await editor.document.save()
    })

    it('shows the schema of the model, kept up to date', async () => {
      await vscode.commands.executeCommand('loci.showToolSchema', file)
      const shown = () => vscode.workspace.textDocuments.find(({ uri }) => uri.scheme === 'loci-tool')
      await eventually('the schema is open', () => (shown()?.getText() ?? '').includes('"numbers"'))
      const edit = new vscode.WorkspaceEdit()
      edit.replace(file, new vscode.Range(1, 3, 1, 19), 'Sums up.')
      await vscode.workspace.applyEdit(edit)
      await eventually('it has what was written', () => (shown()?.getText() ?? '').includes('Sums up.'))
      await vscode.window.showTextDocument(file)
      await vscode.commands.executeCommand('workbench.action.files.revert')
    })

    it('is pushed once, and found again by its name', async () => {
      await vscode.commands.executeCommand('loci.pushTool', file)
      const [tool] = (await client.letta.tools.list({ names: ['add_up'] })).items
      assert.ok(tool)
      assert.equal(tool.source_code, (await vscode.workspace.openTextDocument(file)).getText())
      const agent = await client.letta.agents.create({
        name: 'Adder',
        model: 'openai/test-model',
        tool_ids: [tool.id],
      })
      agent_id = agent.id
      await vscode.commands.executeCommand('workbench.action.closeAllEditors')
      await vscode.commands.executeCommand('loci.openTool', tool.id)
      assert.equal(vscode.window.activeTextEditor?.document.uri.toString(), file.toString())
    })

    it('stops at a breakpoint while an agent calls it, and goes on with what it returns', async () => {
      const open = new Set<vscode.DebugSession>()
      vscode.debug.onDidStartDebugSession((each) => open.add(each))
      vscode.debug.onDidTerminateDebugSession((each) => open.delete(each))
      const at = new vscode.Location(file, new vscode.Position(RETURNS, 0))
      vscode.debug.addBreakpoints([new vscode.SourceBreakpoint(at)])
      await vscode.commands.executeCommand('loci.debugTool', file)
      const turn = client.letta.agents.messages.create(agent_id, {
        messages: [{ role: 'user', content: 'Add 1, 2 and 3' }],
      })
      const frame = () => {
        const item = vscode.debug.activeStackItem
        return item instanceof vscode.DebugStackFrame ? item : null
      }
      await eventually('the debugger stands', () => frame() !== null)
      const stopped = frame()
      assert.ok(stopped)
      const { session, frameId, threadId } = stopped
      const { stackFrames } = (await session.customRequest('stackTrace', { threadId })) as {
        stackFrames: { line: number; source?: { path?: string; sourceReference?: number } }[]
      }
      assert.equal(vscode.Uri.parse(stackFrames[0]?.source?.path ?? '').path, file.path)
      assert.equal(stackFrames[0]?.line, RETURNS + 1)
      // The file itself, not what was made of it.
      assert.equal(stackFrames[0].source?.sourceReference ?? 0, 0)
      assert.equal(vscode.window.activeTextEditor?.document.uri.toString(), file.toString())
      const { result } = (await session.customRequest('evaluate', {
        expression: 'total',
        frameId,
        context: 'watch',
      })) as { result: string }
      assert.equal(result, '6')
      await session.customRequest('continue', { threadId })
      const { messages } = await turn
      const returned = messages.find((message) => message.message_type === 'tool_return_message')
      assert.equal(JSON.stringify(returned).includes('The sum is 6'), true, JSON.stringify(messages))
      assert.ok(JSON.stringify(messages).includes('Six.'))
      // Not `activeDebugSession`: it may keep the last one after it has ended.
      await eventually('the debugger is gone', () => open.size === 0)
    })
  })
}

async function eventually(
  label: string,
  condition: () => boolean | Promise<boolean>,
  limit = 30_000,
): Promise<void> {
  const end = Date.now() + limit
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`Waited ${limit} ms in vain: ${label}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
