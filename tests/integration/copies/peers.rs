//! Programs at the server: sftp on a directory, and an scp that follows a script.

use std::path::Path;

use connect::ssh::connection::{ChannelId, Connection, Source};
use connect::ssh::sftp::server::Service;
use connect::ssh::sftp::wire::{Packets, Received, Reply, Request, StatusCode};

use super::disk::Disk;
use crate::ssh::host::exit;
use crate::ssh::server::Target;

/// Returns a code for requests that the server refuses.
pub(crate) type Fault = fn(&Request<'_>) -> Option<StatusCode>;

/// The code of a [`Fault`] that leaves a request without a reply.
pub(crate) const NO_REPLY: StatusCode = StatusCode(u32::MAX);

/// An sftp server for a directory, which refuses some requests.
pub(crate) fn sftp(directory: &Path, fault: Fault) -> Target {
    let mut service = Service::new(Disk(directory.into()));
    let (mut packets, mut output) = (Packets::default(), Vec::new());
    Box::new(move |connection, channel| {
        let has_ended = receive(connection, channel, |bytes| packets.receive(bytes));
        while let Some(packet) = packets.next_packet().unwrap() {
            match Received::parse(packet).unwrap() {
                Received::Request(id, request) if fault(&request).is_some() => {
                    let code = fault(&request).unwrap();
                    if code != NO_REPLY {
                        Reply::status(code).encode(id, &mut output);
                    }
                }
                _ => service.handle(packet, &mut output).unwrap(),
            }
        }
        let count = connection.write(channel, &output).unwrap();
        output.drain(..count);
        if has_ended && output.is_empty() { exit(connection, channel, 0) } else { true }
    })
}

/// A step of a script: wait for exactly these bytes, then send those.
pub(crate) type Step = (&'static [u8], &'static [u8]);

/// An scp that follows a script, and then exits with this status.
pub(crate) fn scp(script: &'static [Step], status: u32) -> Target {
    let (mut steps, mut received, mut output) = (script.iter(), Vec::new(), Vec::new());
    let mut step = steps.next();
    Box::new(move |connection, channel| {
        receive(connection, channel, |bytes| received.extend_from_slice(bytes));
        while let Some((expected, answer)) = step
            && received.len() >= expected.len()
        {
            let rest = received.split_off(expected.len());
            let shown = String::from_utf8_lossy;
            assert_eq!(shown(&received), shown(expected));
            received = rest;
            output.extend_from_slice(answer);
            step = steps.next();
        }
        let count = connection.write(channel, &output).unwrap();
        output.drain(..count);
        let is_over = step.is_none() && output.is_empty();
        if is_over { exit(connection, channel, status) } else { true }
    })
}

/// Passes on what has arrived. Returns `true` at the end.
fn receive(connection: &mut Connection, channel: ChannelId, mut take: impl FnMut(&[u8])) -> bool {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match connection.read(channel, Source::Data, &mut buffer).unwrap() {
            Some(0) => return true,
            Some(count) => take(&buffer[..count]),
            None => return false,
        }
    }
}
