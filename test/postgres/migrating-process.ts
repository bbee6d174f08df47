// A process that migrates the database of its argument: `ready` stands in its output just before it begins.
import { openDatabase } from '../../shared/store/postgres/database.ts'

const address = process.argv[2] ?? ''
console.log('ready')
await (await openDatabase({ address, version: '1.0.0' })).close()
