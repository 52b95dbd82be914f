// An SSH server made with the npm package ssh2.
//
// usage: node server.js PORT FOLDER USER PASSWORD
//
// Forwards connections (direct-tcpip) for USER, who logs in with PASSWORD, with the answer PASSWORD
// to a question, or with a key in FOLDER/authorized_keys. The host key is FOLDER/host. NODE_PATH
// names the folder that contains the package. Starts a key exchange after each MiB sent.
'use strict';

const fs = require('fs');
const net = require('net');
const { Server, utils } = require('ssh2');

const REKEY_BYTES = 1 << 20;

const [port, folder, user, password] = process.argv.slice(2);
const authorized = fs
  .readFileSync(`${folder}/authorized_keys`, 'utf8')
  .trim()
  .split('\n')
  .map((line) => utils.parseKey(line));

function isAuthorized(context) {
  const key = authorized.find((key) => key.getPublicSSH().equals(context.key.data));
  if (!key) return false;
  // A query has no signature.
  return !context.signature || key.verify(context.blob, context.signature, context.hashAlgo) === true;
}

function authenticate(context) {
  if (context.username !== user) return context.reject(['publickey', 'password', 'keyboard-interactive']);
  if (context.method === 'publickey' && isAuthorized(context)) return context.accept();
  if (context.method === 'password' && context.password === password) return context.accept();
  if (context.method === 'keyboard-interactive') {
    return context.prompt([{ prompt: 'Passcode: ', echo: false }], 'Login', (answers) => {
      if (answers[0] === password) context.accept();
      else context.reject();
    });
  }
  return context.reject(['publickey', 'password', 'keyboard-interactive']);
}

function forward(client, accept, reject, { destIP, destPort }) {
  const target = net.connect({ host: destIP, port: destPort, allowHalfOpen: true });
  target.once('error', () => reject());
  target.once('connect', () => {
    target.removeAllListeners('error');
    const channel = accept();
    let sent = 0;
    target.on('data', (data) => {
      sent += data.length;
      if (sent < REKEY_BYTES) return;
      sent = 0;
      client.rekey();
    });
    target.on('error', () => channel.close());
    channel.on('error', () => target.destroy());
    channel.pipe(target);
    target.pipe(channel);
  });
}

new Server({ hostKeys: [fs.readFileSync(`${folder}/host`)] }, (client) => {
  client.on('authentication', authenticate);
  client.on('ready', () => client.on('tcpip', (...args) => forward(client, ...args)));
  client.on('rekey', () => console.log('keys exchanged'));
  client.on('error', (error) => console.log(error.message));
}).listen(Number(port), '127.0.0.1');
