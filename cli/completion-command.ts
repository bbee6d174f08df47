import { type Command, InvalidArgumentError } from 'commander'
import { didYouMean } from '../shared/schema/near-names.ts'
import { section } from './help.ts'

/** The shells there are scripts for, and how one keeps its script. */
const INSTALL = {
  bash: 'loci completion bash >> ~/.bashrc',
  zsh: 'loci completion zsh >> ~/.zshrc',
  fish: 'loci completion fish >> ~/.config/fish/config.fish',
  powershell: 'loci completion powershell >> $PROFILE',
}
export type Shell = keyof typeof INSTALL
export const SHELLS = Object.keys(INSTALL) as Shell[]

/** `loci completion SHELL`. */
export function addCompletionCommand(program: Command): void {
  program
    .command('completion')
    .description('print what makes Tab complete commands, options and the names of agents')
    .argument('<shell>', SHELLS.join(', '), parseShell)
    .action(async (shell: Shell) => {
      const { SCRIPTS } = await import('./completion-scripts.ts')
      process.stdout.write(SCRIPTS[shell])
    })
    .addHelpText('after', () => section('To keep it', Object.values(INSTALL)))
}

function parseShell(text: string): Shell {
  const shell = text === 'pwsh' ? 'powershell' : SHELLS.find((one) => one === text)
  if (shell) return shell
  throw new InvalidArgumentError(didYouMean(text, SHELLS, ''))
}
