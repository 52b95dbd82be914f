//! The other ends: a server that speaks first, and small SOCKS5 and HTTP proxies for it.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// Nothing in this example waits longer than this.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// The server's name, which only the proxies know.
pub(crate) const SERVER: &str = "server.example:22";
pub(crate) const BANNER: &str = "SSH-2.0-greeting: the server speaks first\n";
pub(crate) const USER: &str = "alice";
pub(crate) const PASSWORD: &str = "wonderland";

const WRONG_LOGIN: &str = "HTTP/1.1 407 Proxy Authentication Required\r\n\
    Proxy-Authenticate: Basic realm=\"quickstart\"\r\n\
    Content-Length: 25\r\n\r\nWrong user, or password.\n";

pub(crate) fn farewell(count: usize) -> String {
    format!("goodbye, {count} bytes came before your end of file\n")
}

/// Sends the banner, echoes until the client's end of file, and says farewell after it.
pub(crate) fn greeting_server() -> io::Result<SocketAddr> {
    serve(|mut client| {
        client.write_all(BANNER.as_bytes())?;
        let count = io::copy(&mut &client, &mut &client)?;
        let count = usize::try_from(count).map_err(io::Error::other)?;
        client.write_all(farewell(count).as_bytes())
    })
}

/// The address of a proxy that is down.
pub(crate) fn nobody_listens() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// What a client asks of a proxy, once it has logged in.
pub(crate) struct Request {
    target: String,
    login: &'static str,
    granted: &'static [u8],
}

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    seen: Receiver<String>,
}

impl Proxy {
    /// `negotiate` is one of the three protocols below.
    pub(crate) fn start(
        negotiate: fn(&mut TcpStream) -> io::Result<Request>,
        server: SocketAddr,
    ) -> io::Result<Self> {
        let (report, seen) = mpsc::channel();
        let address = serve(move |mut client| {
            let request = negotiate(&mut client)?;
            let _ = report.send(format!("CONNECT {}, {}", request.target, request.login));
            if request.target != SERVER {
                return Err(io::ErrorKind::HostUnreachable.into());
            }
            let upstream = TcpStream::connect_timeout(&server, LIMIT)?;
            upstream.set_nodelay(true)?;
            client.write_all(request.granted)?;
            relay(&client, &upstream)
        })?;
        Ok(Self { address, seen })
    }

    /// The last request that came.
    pub(crate) fn seen(&self) -> String {
        self.seen.try_iter().last().unwrap_or("no request".to_owned())
    }
}

/// Handles each client on a thread of its own, for as long as the example runs.
fn serve<F>(handle: F) -> io::Result<SocketAddr>
where
    F: Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let handle = handle.clone();
            thread::spawn(move || {
                client.set_nodelay(true)?;
                client.set_read_timeout(Some(LIMIT))?;
                client.set_write_timeout(Some(LIMIT))?;
                handle(client)
            });
        }
    });
    Ok(address)
}

/// SOCKS5 (RFC 1928) that wants no login.
pub(crate) fn socks5(client: &mut TcpStream) -> io::Result<Request> {
    choose_method(client, 0)?;
    socks5_request(client, "no login")
}

/// SOCKS5 with user and password (RFC 1929).
pub(crate) fn socks5_with_login(client: &mut TcpStream) -> io::Result<Request> {
    choose_method(client, 2)?;
    let [1, length] = read(client)? else {
        return Err(unexpected());
    };
    let user = read_vec(client, length)?;
    let [length] = read(client)?;
    let good = read_vec(client, length)? == PASSWORD.as_bytes() && user == USER.as_bytes();
    client.write_all(&[1, u8::from(!good)])?;
    if good { socks5_request(client, "user alice") } else { Err(unexpected()) }
}

fn choose_method(client: &mut TcpStream, method: u8) -> io::Result<()> {
    let [5, count] = read(client)? else {
        return Err(unexpected());
    };
    let offered = read_vec(client, count)?.contains(&method);
    client.write_all(&[5, if offered { method } else { 0xff }])
}

fn socks5_request(client: &mut TcpStream, login: &'static str) -> io::Result<Request> {
    // Version 5, command CONNECT, and a name (3) rather than an address.
    let [5, 1, 0, 3, length] = read(client)? else {
        return Err(unexpected());
    };
    let host = read_vec(client, length)?;
    let port = u16::from_be_bytes(read(client)?);
    let target = format!("{}:{port}", String::from_utf8_lossy(&host));
    Ok(Request { target, login, granted: &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0] })
}

/// HTTP CONNECT (RFC 9110, section 9.3.6) with Basic (RFC 7617).
pub(crate) fn http_with_login(client: &mut TcpStream) -> io::Result<Request> {
    loop {
        // Up to the blank line and not a byte further: what follows belongs to the server.
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") && head.len() < 8192 {
            head.extend(read::<1>(client)?);
        }
        let head = String::from_utf8(head).map_err(io::Error::other)?;
        if basic_login(&head).is_some_and(|login| login == format!("{USER}:{PASSWORD}")) {
            let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
            let target = target.ok_or_else(unexpected)?.to_owned();
            let granted = b"HTTP/1.1 200 Connection established\r\n\r\n";
            return Ok(Request { target, login: "user alice by Basic", granted });
        }
        // The connection stays open, so that the client may try again on it.
        client.write_all(WRONG_LOGIN.as_bytes())?;
    }
}

/// What a `Proxy-Authorization: Basic` line holds, decoded: `user:password`.
fn basic_login(head: &str) -> Option<String> {
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    let (_, value) = fields.find(|(name, _)| name.eq_ignore_ascii_case("Proxy-Authorization"))?;
    String::from_utf8(BASE64.decode(value.strip_prefix("Basic ")?).ok()?).ok()
}

/// Both directions at once; the end of one is passed on and leaves the other open.
fn relay(client: &TcpStream, upstream: &TcpStream) -> io::Result<()> {
    let pass_on = |mut from: &TcpStream, mut to: &TcpStream| {
        io::copy(&mut from, &mut to)?;
        to.shutdown(Shutdown::Write)
    };
    thread::scope(|scope| {
        scope.spawn(move || pass_on(client, upstream));
        pass_on(upstream, client)
    })
}

fn read<const N: usize>(client: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    client.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_vec(client: &mut TcpStream, length: u8) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length.into()];
    client.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn unexpected() -> io::Error {
    io::ErrorKind::InvalidData.into()
}
