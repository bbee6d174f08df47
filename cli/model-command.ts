import type { Command } from 'commander'
import type { ModelsOptions } from './commands/models.ts'
import { jsonOption, section, withPlace } from './help.ts'

/** `loci models`. */
export function addModelCommand(program: Command): void {
  withPlace(program.command('models'))
    .description('the models that can be used now: context, price, and the providers that do not answer')
    .argument('[text]', 'only models whose handle has this in it')
    .option('--provider <name>', 'only the models of this provider')
    .option('--embeddings', 'embedding models instead')
    .option(...jsonOption)
    .action(async (text: string | undefined, options: ModelsOptions) => {
      const { runModels } = await import('./commands/models.ts')
      await runModels(text, options)
    })
    .addHelpText('after', () =>
      section('Examples', [
        'loci models',
        'loci models gpt-4 --provider openrouter',
        "loci models --json | jq -r '.models[].handle'",
      ]),
    )
}
