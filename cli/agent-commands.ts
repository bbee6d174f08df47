import type { Command } from 'commander'
import type { ExportOptions } from './commands/agent-files.ts'
import type {
  AttachOptions,
  CreateOptions,
  DeleteOptions,
  ListOptions,
  ShowOptions,
  UpdateOptions,
} from './commands/agents.ts'
import { collect, jsonOption, section, withPlace } from './help.ts'

/** `loci agents …`. */
export function addAgentCommands(program: Command): void {
  const agents = program
    .command('agents')
    .description('list agents, make, change and delete them')
    .addHelpText('after', () =>
      section('Examples', [
        'loci agents list',
        'loci agents create Ada --model openai/gpt-4.1 --persona "I am Ada."',
        'loci agents attach Ada --tool get_weather',
        'loci agents delete Ada',
      ]),
    )
  withPlace(agents.command('list').alias('ls'))
    .description('one line an agent: name, model, when it last worked, id')
    .argument('[text]', 'only agents whose name has this in it')
    .option('--tag <tag>', 'only agents with this tag; may be given several times', collect)
    .option('--limit <n>', 'at most this many, newest first (default: all)')
    .option(...jsonOption)
    .action(async (text: string | undefined, options: ListOptions) => {
      const { runListAgents } = await import('./commands/agents.ts')
      await runListAgents(text, options)
    })
    .addHelpText('after', () =>
      section('Examples', ['loci agents list', "loci agents list --json | jq -r '.[].name'"]),
    )
  withPlace(agents.command('show <agent>'))
    .description('what an agent is: model, memory, tools')
    .option(...jsonOption)
    .action(async (agent: string, options: ShowOptions) => {
      const { runShowAgent } = await import('./commands/agents.ts')
      await runShowAgent(agent, options)
    })
  withSettings(withPlace(agents.command('create <name>')))
    .description('make an agent, and print its id')
    .option('--persona <text>', 'who it is, as a memory block')
    .option('--human <text>', 'what it knows of its user, as a memory block')
    .option('--tool <tool>', 'a tool by name or id; may be given several times', collect)
    .option('--block <block>', 'a block that is there already, by label or id; several times', collect)
    .option('--no-base-tools', 'without the tools for its own memory')
    .option(...jsonOption)
    .action(async (name: string, options: CreateOptions) => {
      const { runCreateAgent } = await import('./commands/agents.ts')
      await runCreateAgent(name, options)
    })
    .addHelpText('after', () =>
      section('Examples', [
        'loci agents create Ada',
        'loci agents create Ada --persona @persona.txt --tool get_weather',
      ]),
    )
  withSettings(withPlace(agents.command('update <agent>')))
    .description('change an agent; what is not given stays as it is')
    .option('--name <name>', 'another name')
    .option(...jsonOption)
    .action(async (agent: string, options: UpdateOptions) => {
      const { runUpdateAgent } = await import('./commands/agents.ts')
      await runUpdateAgent(agent, options)
    })
    .addHelpText('after', () =>
      section('Examples', ['loci agents update Ada --model anthropic/claude-sonnet-4-5']),
    )
  withPlace(agents.command('rename <agent> <name>'))
    .description('give an agent another name')
    .option(...jsonOption)
    .action(async (agent: string, name: string, options: UpdateOptions) => {
      const { runUpdateAgent } = await import('./commands/agents.ts')
      await runUpdateAgent(agent, { ...options, name })
    })
  withPlace(agents.command('delete <agents...>').alias('rm'))
    .description('delete agents with their messages; asks first')
    .option('--yes', 'do not ask')
    .option(...jsonOption)
    .action(async (names: string[], options: DeleteOptions) => {
      const { runDeleteAgents } = await import('./commands/agents.ts')
      await runDeleteAgents(names, options)
    })
  withPlace(agents.command('reset <agent>'))
    .description('delete the messages of an agent; its memory stays; asks first')
    .option('--yes', 'do not ask')
    .option(...jsonOption)
    .action(async (agent: string, options: DeleteOptions) => {
      const { runResetAgent } = await import('./commands/agents.ts')
      await runResetAgent(agent, options)
    })
  for (const change of ['attach', 'detach'] as const)
    withPlace(agents.command(`${change} <agent>`))
      .description(
        change === 'attach' ? 'give an agent tools and blocks' : 'take tools and blocks from an agent',
      )
      .option('--tool <tool>', 'a tool by name or id; may be given several times', collect)
      .option('--block <block>', 'a block by label or id; may be given several times', collect)
      .option(...jsonOption)
      .action(async (agent: string, options: AttachOptions, command: Command) => {
        if (!options.tool && !options.block) command.error("error: name a '--tool' or a '--block'")
        const { runAttach } = await import('./commands/agents.ts')
        await runAttach(change, agent, options)
      })
      .addHelpText('after', () =>
        section('Examples', [`loci agents ${change} Ada --tool get_weather --block team/rules`]),
      )
  addExportCommand(agents)
}

/** `loci export`, also as `loci agents export`. */
export function addExportCommand(parent: Command): void {
  withPlace(parent.command('export <agent>'))
    .description('write an agent to an agent file (.af), by its name or id')
    .option('--output <file>', "where to write it, '-' for stdout (default: its name with .af)")
    .option('--force', 'replace the file when there is one')
    .option('--no-messages', 'leave out all messages')
    .option('--conversation <id>', 'the messages of this conversation instead of the one it always has')
    .option('--json', 'print where it was written, and how large it is, as JSON')
    .action(async (agent: string, options: ExportOptions, command: Command) => {
      if (options.json && options.output === '-')
        command.error("error: '--output -' is JSON already; give either it or '--json'")
      const { runExport } = await import('./commands/agent-files.ts')
      await runExport(agent, options)
    })
    .addHelpText('after', () =>
      section('Examples', ['loci export Ada', 'loci export Ada --no-messages --output - | jq .blocks']),
    )
}

function withSettings(command: Command): Command {
  return command
    .option('--model <handle>', 'its model, as loci models shows them')
    .option('--embedding <handle>', 'its embedding model')
    .option('--description <text>', 'what it is for')
    .option('--system <text>', 'its system prompt; @FILE reads a file, - stdin')
    .option('--context-window <tokens>', 'the largest context it may fill')
    .option('--tag <tag>', 'a tag; may be given several times', collect)
}
