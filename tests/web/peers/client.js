// A WebSocket client that relays standard input and output, for ssh's ProxyCommand.
//
//     node client.js URL
const WebSocket = require('/usr/share/nodejs/ws');

const server = new WebSocket(process.argv[2]);
server.on('open', () => {
  process.stdin.on('data', (data) => {
    process.stdin.pause();
    server.send(data, () => process.stdin.resume());
  });
});
server.on('message', (data) => {
  if (!process.stdout.write(data)) {
    server.pause();
    process.stdout.once('drain', () => server.resume());
  }
});
server.on('close', () => process.stdout.end(() => process.exit(0)));
server.on('error', (error) => {
  console.error(error.message);
  process.exit(1);
});
