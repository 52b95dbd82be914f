#!/usr/bin/python3
"""SSH servers for the real-peer suite that are libraries or need a superserver.

usage: ssh_servers.py asyncssh|paramiko PORT FOLDER USER PASSWORD
       ssh_servers.py exec PORT PROGRAM [ARG...]

asyncssh and paramiko forward connections (direct-tcpip) for USER, who logs in with PASSWORD, with
the answer PASSWORD to a question, or with a key in FOLDER/authorized_keys. The host key is
FOLDER/host. Both start a key exchange after each 64 KiB. exec runs PROGRAM for each connection, with
the connection as its standard input and output, as inetd does.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
import threading

# Both libraries start a key exchange after this many bytes.
REKEY_BYTES = 64 << 10


def serve_asyncssh(port, folder, user, password):
    import asyncssh

    class Server(asyncssh.SSHServer):
        def begin_auth(self, username):
            return True

        def password_auth_supported(self):
            return True

        def validate_password(self, username, given):
            return (username, given) == (user, password)

        def kbdint_auth_supported(self):
            return True

        def get_kbdint_challenge(self, username, lang, submethods):
            return "Login", "", "en", [("Passcode: ", False)]

        def validate_kbdint_response(self, username, responses):
            return (username, list(responses)) == (user, [password])

        def connection_requested(self, *addresses):
            return True

        def unix_connection_requested(self, path):
            return True

    async def main():
        logging.basicConfig(level=logging.DEBUG)
        server = await asyncssh.listen(
            "127.0.0.1",
            port,
            server_factory=Server,
            server_host_keys=[folder + "/host"],
            authorized_client_keys=folder + "/authorized_keys",
            rekey_bytes=REKEY_BYTES,
        )
        await server.wait_closed()

    asyncio.run(main())


def serve_paramiko(port, folder, user, password):
    import paramiko

    with open(folder + "/authorized_keys", encoding="ascii") as file:
        authorized = {line.split()[1] for line in file if line.strip()}

    class Server(paramiko.ServerInterface):
        def __init__(self):
            self.targets = {}

        def get_allowed_auths(self, username):
            return "publickey,password,keyboard-interactive"

        def check_auth_password(self, username, given):
            if (username, given) == (user, password):
                return paramiko.AUTH_SUCCESSFUL
            return paramiko.AUTH_FAILED

        def check_auth_publickey(self, username, key):
            if username == user and key.get_base64() in authorized:
                return paramiko.AUTH_SUCCESSFUL
            return paramiko.AUTH_FAILED

        def check_auth_interactive(self, username, submethods):
            return paramiko.InteractiveQuery("Login", "", ("Passcode: ", False))

        def check_auth_interactive_response(self, responses):
            if responses == [password]:
                return paramiko.AUTH_SUCCESSFUL
            return paramiko.AUTH_FAILED

        def check_channel_direct_tcpip_request(self, number, origin, destination):
            try:
                self.targets[number] = socket.create_connection(destination)
            except OSError:
                return paramiko.OPEN_FAILED_CONNECT_FAILED
            return paramiko.OPEN_SUCCEEDED

    def copy(source, sink, shut_down):
        while data := source.recv(65536):
            sink.sendall(data)
        shut_down()

    def relay(channel, target):
        up = threading.Thread(
            target=copy, args=(channel, target, lambda: target.shutdown(socket.SHUT_WR))
        )
        up.start()
        copy(target, channel, channel.shutdown_write)
        up.join()
        channel.close()
        target.close()

    def serve(connection):
        transport = paramiko.Transport(connection)
        transport.packetizer.REKEY_BYTES = REKEY_BYTES
        transport.add_server_key(paramiko.Ed25519Key(filename=folder + "/host"))
        server = Server()
        try:
            transport.start_server(server=server)
        except (EOFError, paramiko.SSHException) as error:
            print(error, flush=True)
            return
        while transport.is_active():
            channel = transport.accept(1)
            if channel is not None:
                target = server.targets.pop(channel.get_id())
                threading.Thread(target=relay, args=(channel, target)).start()

    logging.basicConfig(level=logging.DEBUG)
    listener = socket.create_server(("127.0.0.1", port), backlog=100)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def serve_program(port, *command):
    # The kernel reaps the children.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.create_server(("127.0.0.1", port), backlog=100)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(connection.fileno(), 0)
            os.dup2(connection.fileno(), 1)
            os.closerange(3, 64)
            os.execvp(command[0], command)
        connection.close()


if __name__ == "__main__":
    SERVERS = {
        "asyncssh": serve_asyncssh,
        "paramiko": serve_paramiko,
        "exec": serve_program,
    }
    SERVERS[sys.argv[1]](int(sys.argv[2]), *sys.argv[3:])
