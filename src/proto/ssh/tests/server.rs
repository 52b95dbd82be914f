//! A server that answers each message of the client with fixed messages.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::ssh::algorithms::{Offer, Role};
use crate::ssh::cipher::Sealer;
use crate::ssh::message;
use crate::ssh::testing::{self, random};
use crate::ssh::transport::{Event, HostKey, Limits, Settings, Transport};
use crate::ssh::wire::{Reader, Write};

/// The output of the target.
pub(super) const OUTPUT: &[u8] = b"hello";

/// The fault in one message of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// The connection ends in the middle of the packet.
    Cut,
    /// The connection ends before the packet.
    Missing,
    Doubled,
    /// The server sends the next message first.
    Reordered,
    /// One byte more.
    Longer,
    /// One byte less.
    Shorter,
    /// Other content after the number of the message.
    Garbage,
    /// Another number.
    Renumbered,
    /// Nothing follows.
    Silence,
}

/// All faults.
pub(super) const FAULTS: [Fault; 9] = [
    Fault::Cut,
    Fault::Missing,
    Fault::Doubled,
    Fault::Reordered,
    Fault::Longer,
    Fault::Shorter,
    Fault::Garbage,
    Fault::Renumbered,
    Fault::Silence,
];

/// The place of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) fault: Fault,
    /// The number of the message, the identification included.
    pub(super) index: usize,
    /// The server itself is at fault: its packets are valid. Otherwise, something on the way
    /// changes packets.
    pub(super) is_inside: bool,
}

pub(super) struct Server {
    transport: Transport,
    plan: Plan,
    /// The number of messages so far.
    count: usize,
    /// A message whose successor precedes it.
    held: Option<Vec<u8>>,
    /// Packets on their way to the client.
    pub(super) wire: VecDeque<Vec<u8>>,
    /// The connection ends after these packets.
    pub(super) is_closed: bool,
    is_silent: bool,
    /// NEWKEYS is sent.
    is_encrypted: bool,
    /// The numbers of the messages that the client has sent after the key exchange.
    pub(super) received: Vec<u8>,
}

/// Returns the host key.
pub(super) fn host_key() -> Arc<dyn HostKey> {
    testing::host_key(7, false)
}

impl Server {
    pub(super) fn new(plan: Plan, seed: u8) -> Self {
        let settings = Settings {
            offer: Offer { host_keys: vec!["ssh-ed25519"], ..Offer::default() },
            host_keys: vec![testing::host_key(seed, false)],
            software: "test",
            limits: Limits::default(),
            is_logged: false,
        };
        let transport = Transport::new(Role::Server, settings, random).unwrap();
        let mut server = Self {
            transport,
            plan,
            count: 0,
            held: None,
            wire: VecDeque::new(),
            is_closed: false,
            is_silent: false,
            is_encrypted: false,
            received: Vec::new(),
        };
        server.flush();
        server
    }

    /// Returns the number of messages that were sent.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Receives bytes of the client, and answers them.
    pub(super) fn receive(&mut self, bytes: &[u8]) {
        if self.is_closed {
            return;
        }
        self.transport.receive(bytes);
        loop {
            match self.transport.next_event() {
                Ok(Some(Event::Message)) => self.answer(),
                Ok(Some(_)) => {}
                Ok(None) => break,
                // The client has noticed the fault, and says so, or its keys differ.
                Err(_) => {
                    self.is_closed = true;
                    break;
                }
            }
        }
        self.flush();
    }

    fn answer(&mut self) {
        let message = self.transport.message().to_vec();
        self.received.push(message[0]);
        self.flush();
        for answer in answers(&message) {
            self.send_inside(answer);
        }
    }

    /// Sends a message that the fault may concern.
    fn send_inside(&mut self, message: Vec<u8>) {
        let is_due = self.plan.is_inside && self.count == self.plan.index;
        if !self.plan.is_inside || !(is_due || self.held.is_some()) {
            return self.seal(&message);
        }
        for message in self.altered(message, is_due) {
            self.seal(&message);
        }
    }

    fn seal(&mut self, message: &[u8]) {
        self.transport.send(&[message]).unwrap();
        self.flush();
    }

    /// Moves the output of the transport to the wire, packet by packet.
    fn flush(&mut self) {
        let mut output = self.transport.output().to_vec();
        self.transport.sent(output.len());
        while !output.is_empty() {
            let is_plain = !self.is_encrypted;
            let length = self.packet_length(&output);
            let rest = output.split_off(length);
            self.send_packet(output, is_plain);
            output = rest;
        }
    }

    /// Returns the length of the first packet, or of the identification.
    fn packet_length(&mut self, output: &[u8]) -> usize {
        if self.count == 0 {
            return output.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        }
        if self.is_encrypted {
            return output.len();
        }
        self.is_encrypted = output[5] == message::NEWKEYS;
        4 + usize::try_from(u32::from_be_bytes(*output.first_chunk().unwrap())).unwrap()
    }

    fn send_packet(&mut self, packet: Vec<u8>, is_plain: bool) {
        let index = self.count;
        self.count += 1;
        if self.is_silent || self.is_closed {
            return;
        }
        let is_due = index == self.plan.index;
        if !(is_due || self.held.is_some()) {
            return self.wire.push_back(packet);
        }
        if !self.plan.is_inside {
            let altered = self.altered(packet, is_due);
            return self.wire.extend(altered);
        }
        match self.plan.fault {
            Fault::Cut | Fault::Missing | Fault::Silence => {
                let altered = self.altered(packet, is_due);
                self.wire.extend(altered);
            }
            // Before encryption, the content can be changed here.
            _ if is_plain && index > 0 => {
                let padding = usize::from(packet[4]);
                let payload = packet[5..packet.len() - padding].to_vec();
                for payload in self.altered(payload, is_due) {
                    let mut packet = Vec::new();
                    Sealer::default().seal(&[&payload], &mut packet, random).unwrap();
                    self.wire.push_back(packet);
                }
            }
            // The message was altered before its encryption.
            _ => self.wire.push_back(packet),
        }
    }

    /// Applies the fault to a message or a packet. Returns those to send instead.
    fn altered(&mut self, bytes: Vec<u8>, is_due: bool) -> Vec<Vec<u8>> {
        if let Some(held) = self.held.take() {
            return vec![bytes, held];
        }
        if !is_due {
            return vec![bytes];
        }
        let garbage = |from: usize| {
            let noise = (0..).map(|index: u32| (index * 167).to_le_bytes()[0] ^ 0x5a);
            [
                &bytes[..from.min(bytes.len())],
                &noise.take(bytes.len().saturating_sub(from)).collect::<Vec<_>>(),
            ]
            .concat()
        };
        match self.plan.fault {
            Fault::None => vec![bytes],
            Fault::Cut => {
                self.is_closed = true;
                vec![bytes[..bytes.len() / 2].to_vec()]
            }
            Fault::Missing => {
                self.is_closed = true;
                Vec::new()
            }
            Fault::Silence => {
                self.is_silent = true;
                Vec::new()
            }
            Fault::Doubled => vec![bytes.clone(), bytes],
            Fault::Reordered => {
                self.held = Some(bytes);
                Vec::new()
            }
            Fault::Longer => vec![[&bytes[..], &[0]].concat()],
            Fault::Shorter => vec![bytes[..bytes.len() - 1].to_vec()],
            // The length of a packet stays.
            Fault::Garbage => vec![garbage(if self.plan.is_inside { 1 } else { 4 })],
            Fault::Renumbered => {
                let mut other = bytes;
                let at = if self.plan.is_inside { 0 } else { 5 };
                other[at] ^= 0x49;
                vec![other]
            }
        }
    }
}

/// Returns the answers to a message of the client.
fn answers(received: &[u8]) -> Vec<Vec<u8>> {
    let mut answer = Vec::new();
    match received[0] {
        message::SERVICE_REQUEST => answer.put_u8(message::SERVICE_ACCEPT).put_string("ssh-userauth"),
        message::USERAUTH_REQUEST => return vec![login(&received[1..])],
        message::USERAUTH_INFO_RESPONSE => {
            let mut banner = vec![message::USERAUTH_BANNER];
            banner.put_string("welcome").put_string("");
            return vec![banner, vec![message::USERAUTH_SUCCESS]];
        }
        message::CHANNEL_OPEN => return session(),
        _ => return Vec::new(),
    };
    vec![answer]
}

/// Rejects the first key, accepts the second one, and then wants the answer to a question.
fn login(request: &[u8]) -> Vec<u8> {
    let mut reader = Reader::new(request);
    let mut text = || reader.text().unwrap();
    let (_user, _service, method) = (text(), text(), text());
    let mut answer = Vec::new();
    if method == "keyboard-interactive" {
        answer.put_u8(message::USERAUTH_60).put_string("").put_string("").put_string("");
        answer.put_u32(1).put_string("Code: ").put_bool(false);
        return answer;
    }
    if method != "publickey" {
        answer.put_u8(message::USERAUTH_FAILURE).put_name_list(&[]).put_bool(false);
        return answer;
    }
    let (is_signed, algorithm, key) = (reader.bool(), reader.string().unwrap(), reader.string().unwrap());
    match (key[0], is_signed) {
        (1, _) => {
            answer.put_u8(message::USERAUTH_FAILURE).put_name_list(&["publickey", "password"]);
            answer.put_bool(false);
        }
        (_, Ok(false)) => {
            answer.put_u8(message::USERAUTH_60).put_string(algorithm).put_string(key);
        }
        _ => {
            answer.put_u8(message::USERAUTH_FAILURE).put_name_list(&["keyboard-interactive"]);
            answer.put_bool(true);
        }
    }
    answer
}

/// Opens the channel, sends the output of the target, and closes it.
fn session() -> Vec<Vec<u8>> {
    let about = |number: u8| {
        let mut message = vec![number];
        message.put_u32(0);
        message
    };
    let mut global = vec![message::GLOBAL_REQUEST];
    global.put_string("hostkeys-00@openssh.com").put_bool(false);
    let mut confirmation = about(message::CHANNEL_OPEN_CONFIRMATION);
    confirmation.put_u32(0).put_u32(100_000).put_u32(32 * 1024);
    let mut adjust = about(message::CHANNEL_WINDOW_ADJUST);
    adjust.put_u32(1000);
    let mut data = about(message::CHANNEL_DATA);
    data.put_string(OUTPUT);
    let mut stderr = about(message::CHANNEL_EXTENDED_DATA);
    stderr.put_u32(1).put_string("warning");
    let mut status = about(message::CHANNEL_REQUEST);
    status.put_string("exit-status").put_bool(false).put_u32(0);
    let (eof, close) = (about(message::CHANNEL_EOF), about(message::CHANNEL_CLOSE));
    vec![global, confirmation, adjust, data, stderr, status, eof, close]
}
