import { Client } from 'pg'
import { startServer, type TestServer } from './server.ts'
import { describeUploadTakeOver } from './upload-take-over.ts'

describe('servers over one PostgreSQL', function () {
  this.timeout(120_000)
  let server: TestServer
  let made = 0
  before(async () => {
    server = await startServer()
  })
  after(() => server?.stop())

  describeUploadTakeOver('with uploads in the database', async () => {
    const name = `take_over_${made++}`
    await server.create(name)
    const address = server.address(name)
    const ask = async (sql: string) => {
      const client = new Client({ connectionString: address })
      await client.connect()
      try {
        return (await client.query(sql)).rows as { file_id: string }[]
      } finally {
        await client.end()
      }
    }
    return {
      env: { LOCI_STORE: address },
      lying: async () =>
        (await ask('SELECT DISTINCT file_id FROM upload_chunks')).map(({ file_id }) => file_id),
      age: async () => {
        await ask("UPDATE upload_chunks SET created_at = created_at - interval '1 hour'")
      },
    }
  })
})
