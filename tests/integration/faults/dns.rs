//! Faults in a name server (`-R ADDRESS`), which is queried over UDP and then, if necessary, over
//! TCP.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::case::WELCOME;
use super::conversation::Question;
use super::hostile::{CONTROLS, garbage};
use super::run::{bound_memory, expect_no_problems, is_safe_for_terminal};
use crate::kit::{TIMEOUT, connect, script};

const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// An action by the name server. A list of actions replaces the valid answer. `Send` sends one
/// datagram over UDP, or part of the stream over TCP.
enum Act {
    Send(Vec<u8>),
    Drip(Vec<u8>),
    Flood(Vec<u8>),
    /// Stop listening.
    Close,
    Reset,
    Hold,
}

/// A function that converts the valid answer into actions. Over TCP, the answer starts with its
/// length.
type Fault = Box<dyn Fn(&[u8]) -> Vec<Act> + Send + Sync>;

struct Case {
    name: String,
    by_tcp: bool,
    fault: Fault,
    /// The accepted exit codes; empty if a session is expected.
    fails: &'static [i32],
    /// The value of `-w`.
    limit: f64,
}

/// Returns the valid answer to a query with one question (RFC 1035 §4.1): 127.0.0.1 for type A, no
/// records for other types.
fn right_answer(query: &[u8], flags: u8) -> Vec<u8> {
    let name_end = 12 + query[12..].iter().position(|&byte| byte == 0).unwrap();
    let question = &query[12..name_end + 5];
    let found = question.ends_with(&[0, 1, 0, 1]) && flags & 2 == 0;
    let header = [query[0], query[1], 0x81 | flags, 0x80, 0, 1, 0, u8::from(found), 0, 0, 0, 0];
    let record: &[u8] = &[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1];
    [&header[..], question, if found { record } else { &[] }].concat()
}

fn with_length(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

fn cases() -> Vec<Case> {
    // The length of an answer: the header, the question for host.example, and one address.
    let length = 12 + 18 + 16;
    let mut all = Vec::new();
    let mut case = |by_tcp, name: String, fails: &'static [i32], fault: Fault| {
        let name = format!("dns-{}/{name}", if by_tcp { "tcp" } else { "udp" });
        let limit = if fails.contains(&7) { 0.5 } else { 20.0 };
        all.push(Case { name, by_tcp, fault, fails, limit });
    };
    for by_tcp in [false, true] {
        // The client may ignore a message that does not answer its query, and time out, or it may
        // give up.
        let lost: &[i32] = &[3, 7];
        case(by_tcp, "right".into(), &[], Box::new(|right| vec![Act::Send(right.to_vec())]));
        case(by_tcp, "close".into(), if by_tcp { &[3] } else { lost }, Box::new(|_| vec![Act::Close]));
        case(by_tcp, "silence".into(), &[7], Box::new(|_| vec![Act::Hold]));
        case(by_tcp, "slow".into(), lost, Box::new(|right| vec![Act::Drip(right.to_vec())]));
        case(
            by_tcp,
            "repeat".into(),
            &[],
            Box::new(|right| (0..100).map(|_| Act::Send(right.to_vec())).collect()),
        );
        for (which, bytes) in garbage(Question::Telnet) {
            let (said, framed) = (bytes.clone(), bytes);
            case(
                by_tcp,
                format!("garbage/{which}"),
                lost,
                Box::new(move |_| vec![Act::Send(said.clone()), Act::Hold]),
            );
            let with_id = move |right: &[u8]| {
                let id = if by_tcp { &right[2..4] } else { &right[..2] };
                let message = [id, &framed].concat();
                vec![Act::Send(if by_tcp { with_length(&message) } else { message }), Act::Hold]
            };
            case(by_tcp, format!("garbage/{which}-with-id"), lost, Box::new(with_id));
        }
        case(by_tcp, "flood".into(), lost, Box::new(|_| vec![Act::Flood(vec![0xff; 1000])]));
        case(
            by_tcp,
            "flood/forged".into(),
            lost,
            Box::new(move |right| vec![Act::Flood(forged(right, by_tcp))]),
        );
        case(
            by_tcp,
            "hostile".into(),
            lost,
            Box::new(move |right| vec![Act::Send(hostile(right, by_tcp)), Act::Hold]),
        );
        case(by_tcp, "many".into(), &[], Box::new(move |right| vec![Act::Send(many_records(right, by_tcp))]));
        case(
            by_tcp,
            "loop".into(),
            &[3],
            Box::new(move |right| vec![Act::Send(alias_of_itself(right, by_tcp))]),
        );
    }
    for at in 0..length {
        case(false, format!("cut/{at}"), &[3, 7], Box::new(move |right| vec![Act::Send(cut(right, at))]));
    }
    for at in 0..length + 2 {
        case(
            true,
            format!("close/{at}"),
            &[3],
            Box::new(move |right| vec![Act::Send(cut(right, at)), Act::Close]),
        );
        case(
            true,
            format!("split/{at}"),
            &[],
            Box::new(move |right| {
                let first = cut(right, at);
                let rest = right[first.len()..].to_vec();
                vec![Act::Send(first), Act::Send(rest)]
            }),
        );
    }
    for at in [0, 1, 2, 20] {
        case(
            true,
            format!("reset/{at}"),
            &[3],
            Box::new(move |right| vec![Act::Send(cut(right, at)), Act::Reset]),
        );
        case(
            true,
            format!("silence/{at}"),
            &[7],
            Box::new(move |right| vec![Act::Send(cut(right, at)), Act::Hold]),
        );
    }
    all
}

/// Returns the first `at` bytes, but never the whole answer.
fn cut(right: &[u8], at: usize) -> Vec<u8> {
    right[..at.min(right.len() - 1)].to_vec()
}

/// Applies `change` to the answer. Over TCP, also updates the length prefix.
fn changed(right: &[u8], by_tcp: bool, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut message = right[if by_tcp { 2 } else { 0 }..].to_vec();
    change(&mut message);
    if by_tcp { with_length(&message) } else { message }
}

/// Returns the answer with a different query ID.
fn forged(right: &[u8], by_tcp: bool) -> Vec<u8> {
    changed(right, by_tcp, |message| message[0] = !message[0])
}

/// Returns an error response whose question contains terminal control sequences.
fn hostile(right: &[u8], by_tcp: bool) -> Vec<u8> {
    changed(right, by_tcp, |message| {
        message.truncate(12);
        message[3] = 0x80 | 9;
        message[7] = 0;
        let label = &CONTROLS.as_bytes()[..CONTROLS.len().min(63)];
        message.push(u8::try_from(label.len()).unwrap());
        message.extend(label);
        message.extend([0, 0, 1, 0, 1]);
    })
}

/// Returns an answer that repeats the same address many times, within the transport's size limit.
fn many_records(right: &[u8], by_tcp: bool) -> Vec<u8> {
    changed(right, by_tcp, |message| {
        let record = message[30..].to_vec();
        let count = if record.is_empty() {
            0
        } else if by_tcp {
            4000_u16
        } else {
            28
        };
        message[6..8].copy_from_slice(&count.to_be_bytes());
        message.truncate(30);
        message.extend(record.repeat(count.into()));
    })
}

/// Returns an answer in which the name is an alias (CNAME) for itself.
fn alias_of_itself(right: &[u8], by_tcp: bool) -> Vec<u8> {
    changed(right, by_tcp, |message| {
        message[7] = 1;
        message.truncate(30);
        message.extend([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 2, 0xc0, 12]);
    })
}

/// A name server that runs while the program is `alive`.
struct Server<'a> {
    case: &'a Case,
    alive: &'a (dyn Fn() -> bool + Sync),
}

impl Server<'_> {
    fn serve(&self, udp: UdpSocket, tcp: &TcpListener) {
        thread::scope(|scope| {
            scope.spawn(move || self.serve_udp(&udp));
            tcp.set_nonblocking(true).unwrap();
            while (self.alive)() {
                match tcp.accept() {
                    Ok((stream, _)) => drop(scope.spawn(move || self.serve_stream(stream))),
                    Err(_) => thread::sleep(POLL_INTERVAL),
                }
            }
        });
    }

    fn serve_udp(&self, socket: &UdpSocket) {
        let mut query = [0; 512];
        socket.set_read_timeout(Some(POLL_INTERVAL)).unwrap();
        while (self.alive)() {
            let Ok((length, client)) = socket.recv_from(&mut query) else { continue };
            if self.case.by_tcp {
                // A truncated answer forces a query over TCP.
                let _ = socket.send_to(&right_answer(&query[..length], 2), client);
                continue;
            }
            for act in (self.case.fault)(&right_answer(&query[..length], 0)) {
                match act {
                    Act::Send(message) => drop(socket.send_to(&message, client)),
                    Act::Drip(message) => {
                        for byte in message {
                            let _ = socket.send_to(&[byte], client);
                            let _ = self.pause(Duration::from_millis(100));
                        }
                    }
                    Act::Flood(message) => {
                        while (self.alive)() {
                            let _ = (0..20).try_for_each(|_| socket.send_to(&message, client).map(drop));
                            thread::sleep(Duration::from_millis(1));
                        }
                    }
                    Act::Close | Act::Reset => return,
                    Act::Hold => {}
                }
            }
        }
    }

    /// Reads the queries on one connection. Answers them only in cases with a TCP fault.
    fn serve_stream(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(POLL_INTERVAL))?;
        stream.set_write_timeout(Some(POLL_INTERVAL))?;
        let mut asked = Vec::new();
        while (self.alive)() {
            let mut buffer = [0; 512];
            match stream.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => asked.extend_from_slice(&buffer[..length]),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                }
                Err(error) => return Err(error),
            }
            while let Some(query) =
                asked.get(2..).filter(|rest| rest.len() > 12 && rest.len() >= asked[1].into())
            {
                let length = usize::from(asked[1]);
                let right = with_length(&right_answer(&query[..length], 0));
                asked.drain(..2 + length);
                if self.case.by_tcp {
                    self.perform(&mut stream, &right)?;
                }
            }
        }
        Ok(())
    }

    fn perform(&self, stream: &mut TcpStream, right: &[u8]) -> io::Result<()> {
        for act in (self.case.fault)(right) {
            match act {
                Act::Send(bytes) => {
                    stream.write_all(&bytes)?;
                    self.pause(POLL_INTERVAL)?;
                }
                Act::Drip(bytes) => {
                    for byte in bytes {
                        stream.write_all(&[byte])?;
                        self.pause(Duration::from_secs(1))?;
                    }
                }
                Act::Flood(bytes) => {
                    let block = bytes.repeat(1000);
                    while (self.alive)() {
                        if let Err(error) = stream.write(&block)
                            && error.kind() != io::ErrorKind::WouldBlock
                        {
                            return Err(error);
                        }
                    }
                }
                Act::Close => return Err(io::ErrorKind::BrokenPipe.into()),
                Act::Reset => {
                    socket2::SockRef::from(&*stream).set_linger(Some(Duration::ZERO))?;
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
                Act::Hold => self.pause(Duration::MAX)?,
            }
        }
        Ok(())
    }

    fn pause(&self, time: Duration) -> io::Result<()> {
        let start = Instant::now();
        while start.elapsed() < time {
            if !(self.alive)() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }
}

/// Runs a case and describes the problem; `None` if the case passed.
fn problem(case: &Case, target: u16) -> Option<String> {
    let (udp, tcp) = (0..100)
        .find_map(|_| {
            let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            Some((UdpSocket::bind(tcp.local_addr().unwrap()).ok()?, tcp))
        })
        .expect("no port is free for both UDP and TCP");
    let server = tcp.local_addr().unwrap();
    let args = format!("-w {} -R {server} host.example. {target}", case.limit);
    let mut running = connect(args).start();
    bound_memory(&running);
    let is_running = running.running_check();
    let start = Instant::now();
    let alive = || is_running() && start.elapsed() < TIMEOUT;
    Server { case, alive: &alive }.serve(udp, &tcp);
    if is_running() {
        running.signal(Signal::KILL);
    }
    let outcome = running.wait();
    let line = outcome.stderr_text();
    let right = if case.fails.is_empty() {
        outcome.code == Some(0) && outcome.stdout == WELCOME && line.is_empty()
    } else {
        let one_line = line.starts_with("connect: ") && line.ends_with('\n') && line.lines().count() == 1;
        let named = line.contains(&format!("name server {server}")) && line.contains("host.example.:");
        outcome.code.is_some_and(|code| case.fails.contains(&code))
            && outcome.stdout.is_empty()
            && one_line
            && named
    };
    let in_time = outcome.elapsed < Duration::from_secs_f64(case.limit + 8.0);
    let spins = outcome.cpu > Duration::from_millis(300) && !case.name.contains("flood");
    let wrong = !right || !in_time || spins || !is_safe_for_terminal(&outcome.stderr);
    wrong.then(|| format!("{outcome:?}\n  expected: exit code of {:?}, 0 if there is none", case.fails))
}

#[test]
fn every_fault_of_a_name_server_has_the_right_verdict() {
    let target = crate::kit::Server::repeat(|| script().send(WELCOME));
    expect_no_problems(cases(), |case| case.name.clone(), 14, |case| problem(case, target.port()));
}
