//! A name server that knows every name: at 10.9.9.9, and with no address of IPv6.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// It answers until it goes out of scope.
pub(crate) struct NameServer {
    port: u16,
    stop: Arc<AtomicBool>,
}

impl NameServer {
    pub(crate) fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let server = Self { port: socket.local_addr().unwrap().port(), stop: Arc::clone(&stop) };
        thread::spawn(move || {
            let mut query = [0; 512];
            while !stop.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut query) else { continue };
                if let Some(reply) = answer(&query[..length]) {
                    let _ = socket.send_to(&reply, from);
                }
            }
        });
        server
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The reply to a query with one question (RFC 1035 §4.1).
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let name_end = 12 + query.get(12..)?.iter().position(|&byte| byte == 0)?;
    let question = query.get(12..name_end + 5)?;
    let is_ipv4 = question.ends_with(&[0, 1, 0, 1]);
    let mut reply = query[..2].to_vec();
    // A response, recursion wanted and available, no error; one question, one answer or none.
    reply.extend([0x81, 0x80, 0, 1, 0, u8::from(is_ipv4), 0, 0, 0, 0]);
    reply.extend(question);
    if is_ipv4 {
        // The name in the question, type A, class IN, a minute, four bytes.
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 9, 9, 9]);
    }
    Some(reply)
}
