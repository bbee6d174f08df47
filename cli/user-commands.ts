import type { Command } from 'commander'
import { ROLES } from '../shared/schema/user.ts'
import type { ListOptions } from './commands/users.ts'
import { dataOption, section, urlOption } from './help.ts'
import type { Place } from './with-client.ts'

const json = ['--json', 'print JSON'] as const

/** `loci users …` and `loci keys …`; `onlyOne` refuses `--url` together with `--data`. */
export function addUserCommands(program: Command, onlyOne: (command: Command, options: Place) => void): void {
  const users = program
    .command('users')
    .description('let others use this server, each with agents of their own')
    .addHelpText('after', () =>
      section('Examples', [
        'loci users add ada',
        'loci keys create ada',
        'loci users add kai --organization team --role reader',
      ]),
    )
  users
    .command('add <name>')
    .description('make a user, with an organisation of their own unless one is named')
    .option(
      '--organization <name>',
      "an organisation by name or id, made when there is none; 'default': yours",
    )
    .option('--role <role>', `${ROLES.join(', ')} (default: admin of an own organisation, else member)`)
    .option('--requests-per-hour <n>', "how many requests an hour (a number, or 'none' for no limit)")
    .option('--agents <n>', "how many agents (a number, or 'none')")
    .option(...json)
    .option(...urlOption)
    .option(...dataOption)
    .action(async (name: string, options: Record<string, string> & ListOptions, command: Command) => {
      onlyOne(command, options)
      const { runAddUser } = await import('./commands/users.ts')
      await runAddUser(name, options)
    })
  users
    .command('list')
    .description('one line a user: name, role, organisation, id')
    .option(...json)
    .option(...urlOption)
    .option(...dataOption)
    .action(async (options: ListOptions, command: Command) => {
      onlyOne(command, options)
      const { runListUsers } = await import('./commands/users.ts')
      await runListUsers(options)
    })
  users
    .command('remove <user>')
    .description('delete a user, by name or id, and revoke their keys; their agents stay; asks first')
    .option('--yes', 'do not ask')
    .option(...json)
    .option(...urlOption)
    .option(...dataOption)
    .action(async (user: string, options: ListOptions & { yes?: boolean }, command: Command) => {
      onlyOne(command, options)
      const { runRemoveUser } = await import('./commands/users.ts')
      await runRemoveUser(user, options)
    })
  const keys = program
    .command('keys')
    .description('the keys that users send: Authorization: Bearer loci_…')
    .addHelpText('after', () =>
      section('Examples', ['loci keys create ada --name laptop --days 90', 'loci keys list ada']),
    )
  keys
    .command('create <user>')
    .description('make a key of a user; it is printed once, and kept nowhere')
    .option('--name <name>', "what it is for (default: 'key')")
    .option('--days <n>', 'for how many days it is good (default: until it is revoked)')
    .option(...json)
    .option(...urlOption)
    .option(...dataOption)
    .action(
      async (user: string, options: ListOptions & { name?: string; days?: string }, command: Command) => {
        onlyOne(command, options)
        const { runCreateKey } = await import('./commands/users.ts')
        await runCreateKey(user, options)
      },
    )
  keys
    .command('list <user>')
    .description('the keys of a user: how each begins, its name, when it was last used')
    .option(...json)
    .option(...urlOption)
    .option(...dataOption)
    .action(async (user: string, options: ListOptions, command: Command) => {
      onlyOne(command, options)
      const { runListKeys } = await import('./commands/users.ts')
      await runListKeys(user, options)
    })
  for (const [name, does] of [
    ['revoke', 'refuse a key from now on'],
    ['rotate', 'make a key in the place of another, which is refused from now on'],
  ] as const)
    keys
      .command(`${name} <key-id>`)
      .description(does)
      .option(...json)
      .option(...urlOption)
      .option(...dataOption)
      .action(async (key: string, options: ListOptions, command: Command) => {
        onlyOne(command, options)
        const { runEndKey } = await import('./commands/users.ts')
        await runEndKey(name, key, options)
      })
}
