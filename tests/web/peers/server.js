// A WebSocket server that relays each client to a TCP port.
//
//     node server.js PORT TARGET_PORT [SUBPROTOCOL]
//
// With SUBPROTOCOL, the server selects it even if the client did not offer it.
const net = require('net');
const { WebSocketServer } = require('/usr/share/nodejs/ws');

const [port, target, subprotocol] = process.argv.slice(2);
const server = new WebSocketServer({ host: '127.0.0.1', port: Number(port), perMessageDeflate: true });
if (subprotocol) {
  server.on('headers', (headers) => headers.push(`Sec-WebSocket-Protocol: ${subprotocol}`));
}
server.on('connection', (client) => {
  const socket = net.connect(Number(target), '127.0.0.1');
  socket.on('data', (data) => {
    socket.pause();
    client.send(data, () => socket.resume());
  });
  socket.on('end', () => client.close(1000));
  socket.on('error', () => client.close(1011));
  client.on('message', (data) => {
    if (!socket.write(data)) {
      client.pause();
      socket.once('drain', () => client.resume());
    }
  });
  client.on('close', () => socket.end());
});
