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

const app = new Hono()
app.get('/health', (c) => c.json({ status: 'ok' }))
app.post('/messages', async (c) => {
  // Without a conversation (null) the message stands alone.
  const { conversation, text, streaming } = await c.req.json()
  const history = conversation === null ? [] : (conversations.get(conversation) ?? [])
  if (conversation !== null) conversations.set(conversation, history)
  history.push({ role: 'user', content: text })
  if (streaming !== true) {
    const completion = await openai.chat.completions.create({ model, messages: history })
    const content = completion.choices[0]?.message.content ?? ''
    history.push({ role: 'assistant', content })
    return c.json({ content, usage: completion.usage })
  }
  return streamSSE(c, async (out) => {
    const chunks = await openai.chat.completions.create({ model, messages: history, stream: true })
    let content = ''
    for await (const chunk of chunks) {
      const delta = chunk.choices[0]?.delta.content
      if (!delta) continue
      content += delta
      await out.writeSSE({ data: JSON.stringify({ delta }) })
    }
    history.push({ role: 'assistant', content })
  })
})

serve({ fetch: app.fetch, hostname: '127.0.0.1', port: Number(process.argv[2] ?? 0) }, ({ port }) => {
  process.stdout.write(`http://127.0.0.1:${port}\n`)
})
