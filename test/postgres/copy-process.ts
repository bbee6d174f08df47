// A copy in a process of its own, for tests that kill it: one line of stdout for each batch.
import { copyStore } from '../../shared/store/copy-store.ts'

const [from = '', to = '', data = ''] = process.argv.slice(2)
let done = 0
let last = { table: '', rows: 0 }
const { differences } = await copyStore({
  from,
  to,
  data,
  version: '1.0.0',
  encryption_key: null,
  source_encryption_key: null,
  onProgress(phase, table, rows) {
    if (phase !== 'copying') return
    done += table === last.table ? rows - last.rows : rows
    last = { table, rows }
    process.stdout.write(`${done}\n`)
  },
})
process.stdout.write(differences.length === 0 ? 'complete\n' : `${JSON.stringify(differences)}\n`)
