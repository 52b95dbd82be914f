//! A bad link, which carries IP packets between two TUN devices and drops, delays, duplicates or
//! corrupts some of them.
//!
//! netem can do the same, but not every kernel includes it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::kit::stream::Random;

/// The link's treatment of packets. [`GOOD`] delivers every packet immediately.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behavior {
    /// Percentage of packets that are dropped; 100 is a dead link.
    pub(crate) loss: u64,
    /// Percentage of packets that arrive twice.
    pub(crate) duplicate: u64,
    /// Percentage of packets that are delayed by another 30 ms, so that later packets overtake
    /// them.
    pub(crate) reorder: u64,
    /// Percentage of packets in which one bit after the headers is flipped.
    pub(crate) corrupt: u64,
    /// Delay of every packet, in milliseconds.
    pub(crate) delay: u64,
    /// Milliseconds of additional random delay.
    pub(crate) jitter: u64,
    /// Largest packet that passes, in bytes.
    pub(crate) max_packet: usize,
}

pub(crate) const GOOD: Behavior =
    Behavior { loss: 0, duplicate: 0, reorder: 0, corrupt: 0, delay: 0, jitter: 0, max_packet: usize::MAX };
pub(crate) const DEAD: Behavior = Behavior { loss: 100, ..GOOD };

const REORDER_DELAY: Duration = Duration::from_millis(30);
/// Enough bytes for the IPv4 and TCP headers with the usual options.
const HEADERS: usize = 60;

pub(crate) struct Link(Arc<Mutex<Behavior>>);

impl Link {
    /// Starts a thread that carries packets between the devices.
    pub(crate) fn start(devices: [File; 2]) -> Self {
        let behavior = Arc::new(Mutex::new(GOOD));
        let shared = Arc::clone(&behavior);
        thread::spawn(move || {
            if let Err(error) = carry(devices, &shared) {
                println!("FAILED: the link: {error}");
                std::process::exit(1);
            }
        });
        Self(behavior)
    }

    /// Changes the behavior for all packets that the link has not read yet.
    pub(crate) fn set(&self, behavior: Behavior) {
        *self.0.lock().unwrap() = behavior;
    }
}

/// A packet in transit. Packets that are due at the same time keep their order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Packet {
    due: Instant,
    number: u64,
    destination: usize,
    bytes: Vec<u8>,
}

fn carry(mut devices: [File; 2], behavior: &Mutex<Behavior>) -> io::Result<()> {
    // Use a fixed seed, so that runs are comparable.
    let mut random = Random::new(1);
    let mut queue = BinaryHeap::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut number = 0;
    loop {
        for source in ready(&devices, queue.peek().map(|Reverse(packet): &Reverse<Packet>| packet.due))? {
            let length = devices[source].read(&mut buffer)?;
            let behavior = *behavior.lock().unwrap();
            if random.percent(behavior.loss) || length > behavior.max_packet {
                continue;
            }
            let mut bytes = buffer[..length].to_vec();
            if length > HEADERS && random.percent(behavior.corrupt) {
                let position =
                    usize::try_from(random.below((length - HEADERS) as u64)).map_err(io::Error::other)?;
                bytes[HEADERS + position] ^= 0x10;
            }
            let mut due =
                Instant::now() + Duration::from_millis(behavior.delay + random.below(behavior.jitter + 1));
            if random.percent(behavior.reorder) {
                due += REORDER_DELAY;
            }
            for _ in 0..=u64::from(random.percent(behavior.duplicate)) {
                number += 1;
                queue.push(Reverse(Packet { due, number, destination: 1 - source, bytes: bytes.clone() }));
            }
        }
        while queue.peek().is_some_and(|Reverse(packet)| packet.due <= Instant::now()) {
            let Some(Reverse(packet)) = queue.pop() else { break };
            // If the device is down, the write fails and the packet is lost, as on a real link.
            let _ = devices[packet.destination].write(&packet.bytes);
        }
    }
}

/// Waits until a device has a packet, or until `due`. Returns the indices of the readable devices.
fn ready(devices: &[File; 2], due: Option<Instant>) -> io::Result<Vec<usize>> {
    let timeout = due.map(|due| Timespec::try_from(due.saturating_duration_since(Instant::now())));
    let timeout = timeout.transpose().map_err(io::Error::other)?;
    let mut fds = devices.each_ref().map(|device| PollFd::new(device, PollFlags::IN));
    poll(&mut fds, timeout.as_ref())?;
    Ok((0..2).filter(|&number| fds[number].revents().contains(PollFlags::IN)).collect())
}
