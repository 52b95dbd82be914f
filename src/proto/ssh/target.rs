//! The targets that a channel can lead to.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::addr::Endpoint;
use crate::ssh::wire::Write;

/// The port of a request for a named queue, which servers ignore.
pub const QUEUE_PORT: u32 = 1;

/// The target of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelTarget {
    /// A host and a port (RFC 4254 §7.2).
    Tcp(Endpoint),
    /// A UNIX-domain socket at the server (OpenSSH's `PROTOCOL`, §2.4).
    Unix(PathBuf),
    /// A named queue at the server.
    Queue(Box<str>),
}

impl ChannelTarget {
    /// Returns the type of the channel.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Tcp(_) | Self::Queue(_) => "direct-tcpip",
            Self::Unix(_) => "direct-streamlocal@openssh.com",
        }
    }

    /// Returns the part of the request that depends on the type. `client` has requested the
    /// connection; `None` if it has no address, or none that the server should see.
    #[must_use]
    pub fn data(&self, client: Option<SocketAddr>) -> Vec<u8> {
        let mut data = Vec::new();
        match self {
            Self::Tcp(Endpoint { host, port }) => {
                data.put_string(host.to_string()).put_u32(u16::from(*port).into());
            }
            Self::Queue(name) => {
                data.put_string(&**name).put_u32(QUEUE_PORT);
            }
            Self::Unix(path) => {
                data.put_string(path.as_os_str().as_encoded_bytes()).put_string("").put_u32(0);
                return data;
            }
        }
        // The originator (RFC 4254 §7.2).
        let (address, port) = client.map_or(("127.0.0.1".into(), 0), |it| (it.ip().to_string(), it.port()));
        data.put_string(address).put_u32(port.into());
        data
    }
}

impl fmt::Display for ChannelTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(endpoint) => endpoint.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Queue(name) => write!(f, "queue:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "that is how a test fails")]

    use super::*;
    use crate::addr::Host;

    #[test]
    fn each_target_has_a_request() {
        let endpoint = Endpoint { host: Host::parse("h.example").unwrap(), port: 22.try_into().unwrap() };
        for (target, text, kind, data) in [
            (
                ChannelTarget::Tcp(endpoint),
                "h.example:22",
                "direct-tcpip",
                &b"\0\0\0\x09h.example\0\0\0\x16\0\0\0\x09127.0.0.1\0\0\0\0"[..],
            ),
            (
                ChannelTarget::Queue("jobs".into()),
                "queue:jobs",
                "direct-tcpip",
                b"\0\0\0\x04jobs\0\0\0\x01\0\0\0\x09127.0.0.1\0\0\0\0",
            ),
            (
                ChannelTarget::Unix("/run/a".into()),
                "unix:/run/a",
                "direct-streamlocal@openssh.com",
                b"\0\0\0\x06/run/a\0\0\0\0\0\0\0\0",
            ),
        ] {
            assert_eq!((target.to_string().as_str(), target.kind()), (text, kind));
            assert_eq!(target.data(None), data, "{text}");
        }
        let data = ChannelTarget::Queue("q".into()).data(Some(([192, 0, 2, 1], 5).into()));
        assert_eq!(data, b"\0\0\0\x01q\0\0\0\x01\0\0\0\x09192.0.2.1\0\0\0\x05");
    }
}
