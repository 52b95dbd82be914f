//! The running processes of a tunnel.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use super::participants::nginx_config;
use super::tunnel::{Command, Port, Tunnel};
use super::{hub, slow_link, ssh};
use crate::options::scratch_directory;
use crate::relay::Relay;

/// Time limit for a server to listen on its port.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(10);

/// The running servers of a tunnel.
pub(super) struct Servers {
    relays: Vec<Relay>,
    ports: [u16; 2],
    target: u16,
    /// The near end of a slow link to the first port; `None` if the client does not use one.
    slow: Option<u16>,
}

impl Servers {
    /// Starts the servers of a tunnel to this port. They are killed after `limit`.
    pub(super) fn start(tunnel: &Tunnel, target: u16, limit: Duration) -> io::Result<Self> {
        // The listeners are closed again before the servers bind these ports.
        let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listeners = [free()?, free()?];
        let ports = [listeners[0].local_addr()?.port(), listeners[1].local_addr()?.port()];
        drop(listeners);
        let is_slow = tunnel.client.args.contains("{slow}");
        let slow = is_slow.then(|| slow_link::start(ports[0])).transpose()?;
        let mut servers = Self { relays: Vec::new(), ports, target, slow };
        for command in &tunnel.servers {
            if let Some(port) = command.after {
                servers.wait_for(servers.number(port))?;
            }
            servers.relays.push(servers.run(command, limit)?);
        }
        if !tunnel.servers.is_empty() {
            servers.wait_for(servers.number(tunnel.entry))?;
        }
        Ok(servers)
    }

    /// Returns the number of a port.
    pub(super) fn number(&self, port: Port) -> u16 {
        match port {
            Port::A => self.ports[0],
            Port::B => self.ports[1],
            Port::Fixed(port) => port,
        }
    }

    /// Starts the tunnel's client.
    pub(super) fn client(&self, tunnel: &Tunnel, limit: Duration) -> io::Result<Relay> {
        self.run(&tunnel.client, limit)
    }

    fn run(&self, command: &Command, limit: Duration) -> io::Result<Relay> {
        let [a, b] = self.ports;
        let config = scratch_directory().join(format!("nginx-{a}.conf"));
        if command.args.contains("{nginx}") {
            fs::write(&config, nginx_config(self.ports))?;
        }
        let args = command.args.replace("{nginx}", &config.display().to_string());
        let args =
            if args.contains("{ssh}") { args.replace("{ssh}", &ssh::files(self.ports)?) } else { args };
        let args = if args.contains("{key}") { args.replace("{key}", &hub::key_file()?) } else { args };
        let args = args.replace("{a}", &a.to_string()).replace("{b}", &b.to_string());
        let args = args.replace("{slow}", &self.slow.unwrap_or_default().to_string());
        let args = args.replace("{target}", &self.target.to_string());
        let args: Vec<_> = args.split(' ').map(str::to_owned).collect();
        Relay::start_program(&command.program, command.variable.as_ref(), &args, limit)
    }

    /// Waits until a server listens on the port. A connection would disturb some servers, so this
    /// reads the kernel's table.
    fn wait_for(&mut self, port: u16) -> io::Result<()> {
        let started = Instant::now();
        while !is_listening(port)? {
            let exited = self.relays.iter().any(Relay::has_exited);
            if exited || started.elapsed() > LISTEN_TIMEOUT {
                let failures = self.relays.drain(..).map(|relay| Ok(relay.stop()?.failure(0, 1)));
                let failures: io::Result<Vec<_>> = failures.collect();
                return Err(io::Error::other(format!("no server: {}", failures?.join("; "))));
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Returns the CPU time of all servers so far.
    pub(super) fn cpu(&self) -> Duration {
        self.relays.iter().map(Relay::cpu_so_far).sum()
    }

    /// Returns the memory of all servers in KiB, without pages of files.
    pub(super) fn memory_kib(&self) -> f64 {
        self.relays.iter().map(Relay::anonymous_memory_kib).sum()
    }

    /// Kills the servers.
    pub(super) fn stop(self) -> io::Result<()> {
        self.relays.into_iter().try_for_each(|relay| relay.stop().map(drop))
    }
}

/// Returns `true` if a socket listens on this port of 127.0.0.1, or of all addresses.
fn is_listening(port: u16) -> io::Result<bool> {
    const LISTEN: &str = "0A";
    let port = format!(":{port:04X}");
    let table = fs::read_to_string("/proc/net/tcp")?;
    let mut fields = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    Ok(fields.any(|fields| fields.len() > 3 && fields[1].ends_with(&port) && fields[3] == LISTEN))
}
