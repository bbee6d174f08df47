import { type Command, Option } from 'commander'
import type { ChatOptions } from './commands/chat.ts'
import { section, withPlace } from './help.ts'

/** `loci chat`. */
export function addChatCommand(program: Command): void {
  withPlace(
    program
      .command('chat')
      .description('talk to an agent, by its name or id')
      .argument('[agent]', 'its name or id (default: pick one)')
      .option('--create', 'create the agent when there is none of that name')
      .option('--model <handle>', 'with --create: the model it uses (default: the first one found)')
      .option('--conversation <id>', "one of its conversations, or 'new' (default: the one it always has)")
      .option(
        '-m, --message <text>',
        'send this and print the answer; @FILE sends a file, - stdin as a whole',
      )
      .option('--json', 'print what happens as it does, one JSON object a line')
      .addOption(
        new Option(
          '--approve <answer>',
          'without a terminal: what calls are told that wait for an approval',
        ).choices(['yes', 'no']),
      ),
  )
    .action(async (agent: string | undefined, options: ChatOptions, command: Command) => {
      if (options.message?.trim() === '')
        command.error("error: '--message' is empty; give it a text, or leave it out for a chat")
      const { runChat } = await import('./commands/chat.ts')
      await runChat(agent, options)
    })
    .addHelpText('after', () =>
      section('Examples', [
        'loci chat Ada',
        'loci chat Ada --conversation new',
        'loci chat Ada -m "Who am I?"',
        'echo "Who am I?" | loci chat Ada',
        'git diff | loci chat Ada -m - --json',
      ]),
    )
}
