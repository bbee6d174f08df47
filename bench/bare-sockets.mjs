// What an idle WebSocket costs at the least: package ws, and nothing that is done with what comes.
// JavaScript, so that no types are stripped at its start.
import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'

const server = createServer()
const sockets = new WebSocketServer({ server, path: '/v1/ws', perMessageDeflate: false })
sockets.on('connection', (socket) => {
  socket.on('error', () => undefined)
  socket.send('{"type":"ready"}')
})
server.listen(0, '127.0.0.1', () => process.stdout.write(`http://127.0.0.1:${server.address().port}\n`))
