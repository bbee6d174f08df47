// What every ratio refers to: the least a server can do between a client and a model. Hono and package openai, history
// in memory for who names a conversation, nothing stored. JavaScript, so that no types are stripped at its start.
import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { streamSSE } from 'hono/streaming'
import { OpenAI } from 'openai'

const openai = new OpenAI({ maxRetries: 0 })
const model = 'bench'

/** Messages by conversation. */
const conversations = new Map()
/** Its one tool finds nothing at once. */
const query = { type: 'object', properties: { query: { type: 'string' } }, required: ['query'] }
const description = 'Search the messages of this conversation.'
const tools = [
  { type: 'function', function: { name: 'conversation_search', description, parameters: query } },
]

const app = new Hono()
app.get('/health', (c) => c.json({ status: 'ok' }))
app.post('/conversations', async (c) => {
  const { system } = await c.req.json()
  const id = crypto.randomUUID()
  conversations.set(id, [{ role: 'system', content: system }])
  return c.json({ id })
})
app.post('/messages', async (c) => {
  // Without a conversation (null) the message stands alone.
  const { conversation, text, streaming } = await c.req.json()
  const history = conversations.get(conversation) ?? []
  history.push({ role: 'user', content: text })
  if (streaming === true) return streamSSE(c, (out) => relay(history, out))
  for (;;) {
    const { choices, usage } = await openai.chat.completions.create({ model, messages: history, tools })
    const { message } = choices[0]
    history.push(message)
    if (!message.tool_calls?.length) return c.json({ content: message.content, usage })
    for (const { id } of message.tool_calls)
      history.push({ role: 'tool', tool_call_id: id, content: 'None.' })
  }
})

async function relay(history, out) {
  const chunks = await openai.chat.completions.create({ model, messages: history, tools, stream: true })
  let content = ''
  for await (const chunk of chunks) {
    const delta = chunk.choices[0]?.delta.content
    if (!delta) continue
    content += delta
    await out.writeSSE({ data: JSON.stringify({ delta }) })
  }
  history.push({ role: 'assistant', content })
}

serve({ fetch: app.fetch, hostname: '127.0.0.1', port: Number(process.argv[2] ?? 0) }, ({ port }) => {
  process.stdout.write(`http://127.0.0.1:${port}\n`)
})
