//! A link with a long round-trip time.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// The round-trip time.
pub(super) const ROUND_TRIP: Duration = Duration::from_millis(100);

/// Starts a link to a port of loopback, and returns the port of its near end. The link stays until
/// the process ends. A connection takes a round trip, as TCP's handshake does.
pub(super) fn start(target: u16) -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || -> io::Result<()> {
        loop {
            let (near, _) = listener.accept()?;
            thread::spawn(move || connect(near, target));
        }
    });
    Ok(port)
}

fn connect(near: TcpStream, target: u16) -> io::Result<()> {
    thread::sleep(ROUND_TRIP);
    let far = TcpStream::connect((Ipv4Addr::LOCALHOST, target))?;
    for stream in [&near, &far] {
        stream.set_nodelay(true)?;
    }
    let (back_from, back_to) = (far.try_clone()?, near.try_clone()?);
    thread::spawn(move || carry(back_from, back_to));
    carry(near, far)
}

/// Passes on bytes half a round trip after they have arrived.
fn carry(mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
    let (sender, arrivals) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || -> io::Result<()> {
        for (arrival, bytes) in arrivals {
            thread::sleep((arrival + ROUND_TRIP / 2).saturating_duration_since(Instant::now()));
            to.write_all(&bytes)?;
        }
        to.shutdown(Shutdown::Write)
    });
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 || sender.send((Instant::now(), buffer[..count].to_vec())).is_err() {
            return Ok(());
        }
    }
}
