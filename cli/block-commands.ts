import type { Command } from 'commander'
import type {
  BlockOptions,
  CreateBlockOptions,
  DeleteBlocksOptions,
  HistoryOptions,
  ListBlocksOptions,
  SetBlockOptions,
} from './commands/blocks.ts'
import { jsonOption, section, withPlace } from './help.ts'

/** `loci blocks …`. A block is named by its id, its label, or as AGENT/LABEL. */
export function addBlockCommands(program: Command): void {
  const blocks = program
    .command('blocks')
    .description('read, edit and share memory blocks; a block is named by label, AGENT/LABEL or id')
    .addHelpText('after', () =>
      section('Examples', [
        'loci blocks show Ada/human',
        'loci blocks edit Ada/persona',
        'loci blocks set Ada/human < notes.txt',
        'loci blocks history Ada/human',
      ]),
    )
  withPlace(blocks.command('list').alias('ls'))
    .description('one line a block: label, agents, size, id')
    .argument('[agent]', 'only the blocks of this agent')
    .option('--label <label>', 'only blocks with this label')
    .option(...jsonOption)
    .action(async (agent: string | undefined, options: ListBlocksOptions) => {
      const { runListBlocks } = await import('./commands/blocks.ts')
      await runListBlocks(agent, options)
    })
  withAgent(blocks.command('show <block>'))
    .description('print what a block holds, as it is')
    .action(async (block: string, options: BlockOptions) => {
      const { runShowBlock } = await import('./commands/blocks.ts')
      await runShowBlock(block, options)
    })
    .addHelpText('after', () => section('Examples', ['loci blocks show Ada/human > human.txt']))
  withPlace(blocks.command('create <label>'))
    .description('make a block, and print its id')
    .option('--value <text>', 'what it holds; @FILE reads a file, - stdin')
    .option('--description <text>', 'what it is for: agents read this')
    .option('--limit <characters>', 'how much an agent may write into it')
    .option('--read-only', 'agents may not change it')
    .option('--agent <agent>', 'attach it to this agent')
    .option(...jsonOption)
    .action(async (label: string, options: CreateBlockOptions) => {
      const { runCreateBlock } = await import('./commands/blocks.ts')
      await runCreateBlock(label, options)
    })
    .addHelpText('after', () =>
      section('Examples', ['loci blocks create rules --value @rules.md --agent Ada']),
    )
  withAgent(blocks.command('edit <block>'))
    .description('open a block in VISUAL or EDITOR; what others changed meanwhile is not overwritten')
    .action(async (block: string, options: BlockOptions) => {
      const { runEditBlock } = await import('./commands/blocks-edit.ts')
      await runEditBlock(block, options)
    })
  withAgent(blocks.command('set'))
    .description('give a block another value: the text given, or stdin')
    .argument('<block>', 'its label, AGENT/LABEL or id')
    .argument('[text]', 'the value; @FILE reads a file (default: stdin)')
    .option('--append', 'add it as a last line instead')
    .option('--if-version <n>', 'only when the block is still at this version')
    .action(async (block: string, text: string | undefined, options: SetBlockOptions) => {
      const { runSetBlock } = await import('./commands/blocks.ts')
      await runSetBlock(block, text, options)
    })
    .addHelpText('after', () =>
      section('Examples', [
        'loci blocks set Ada/human "Lives in Paris."',
        'loci blocks set Ada/human < notes.txt',
        'echo "Likes tea." | loci blocks set Ada/human --append',
      ]),
    )
  withAgent(blocks.command('history <block>'))
    .description('the versions of a block: when, by whom, what changed')
    .option('--limit <n>', 'how many, newest first (default: 20)')
    .action(async (block: string, options: HistoryOptions) => {
      const { runBlockHistory } = await import('./commands/blocks.ts')
      await runBlockHistory(block, options)
    })
  withAgent(blocks.command('restore <block> <version>'))
    .description('give a block the value that it had after a version')
    .action(async (block: string, version: string, options: BlockOptions) => {
      const { runRestoreBlock } = await import('./commands/blocks.ts')
      await runRestoreBlock(block, version, options)
    })
    .addHelpText('after', () => section('Examples', ['loci blocks restore Ada/human 3']))
  withPlace(blocks.command('delete <blocks...>').alias('rm'))
    .description('delete blocks, and take them from every agent; asks first')
    .option('--agent <agent>', 'blocks of this agent')
    .option('--yes', 'do not ask')
    .option(...jsonOption)
    .action(async (named: string[], options: DeleteBlocksOptions) => {
      const { runDeleteBlocks } = await import('./commands/blocks.ts')
      await runDeleteBlocks(named, options)
    })
  for (const change of ['attach', 'detach'] as const)
    withPlace(blocks.command(`${change} <block> <agent>`))
      .description(change === 'attach' ? 'let an agent have a block, too' : 'take a block from an agent')
      .option(...jsonOption)
      .action(async (block: string, agent: string, options: BlockOptions) => {
        const { runAttachBlock } = await import('./commands/blocks.ts')
        await runAttachBlock(change, block, agent, options)
      })
}

function withAgent(command: Command): Command {
  return withPlace(command)
    .option('--agent <agent>', 'the agent whose block it is')
    .option(...jsonOption)
}
