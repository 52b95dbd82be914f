//! The remote ends: a server that speaks first, and small SOCKS5 and HTTP proxies in front of it.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use crate::proxy::{self, HTTP_GRANTED, NO_AUTHENTICATION, SOCKS5_GRANTED, USER_PASSWORD};

/// Timeout for every operation in this example.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// The server's name and port. Only the proxies can resolve the name.
pub(crate) const SERVER: &str = "server.example:22";
pub(crate) const BANNER: &str = "SSH-2.0-greeting: the server speaks first\n";
pub(crate) const USER: &str = "alice";
pub(crate) const PASSWORD: &str = "wonderland";

const WRONG_LOGIN: &str = "HTTP/1.1 407 Proxy Authentication Required\r\n\
    Proxy-Authenticate: Basic realm=\"quickstart\"\r\n\
    Content-Length: 24\r\n\r\nWrong user or password.\n";

/// Returns the text that the server sends after EOF.
pub(crate) fn farewell(count: usize) -> String {
    format!("goodbye, {count} bytes received before your EOF\n")
}

/// Starts a server that sends the banner, echoes up to EOF, and then sends the farewell.
pub(crate) fn greeting_server() -> io::Result<SocketAddr> {
    serve(|mut client| {
        client.write_all(BANNER.as_bytes())?;
        let count = io::copy(&mut &client, &mut &client)?;
        let count = usize::try_from(count).map_err(io::Error::other)?;
        client.write_all(farewell(count).as_bytes())
    })
}

/// Returns an address where nothing listens.
pub(crate) fn unused_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// A client's request to a proxy, how the client logged in, and the reply that grants the request.
pub(crate) struct Request {
    target: String,
    login: &'static str,
    granted: &'static [u8],
}

/// A proxy that knows one target, the server.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    requests: Receiver<String>,
}

impl Proxy {
    /// Starts a proxy; `negotiate` is one of the three functions below.
    pub(crate) fn start(
        negotiate: fn(&mut TcpStream) -> io::Result<Request>,
        server: SocketAddr,
    ) -> io::Result<Self> {
        let (sender, requests) = mpsc::channel();
        let address = serve(move |mut client| {
            let request = negotiate(&mut client)?;
            let _ = sender.send(format!("CONNECT {}, {}", request.target, request.login));
            if request.target != SERVER {
                return Err(io::ErrorKind::HostUnreachable.into());
            }
            let upstream = TcpStream::connect_timeout(&server, TIMEOUT)?;
            upstream.set_nodelay(true)?;
            client.write_all(request.granted)?;
            proxy::relay(&client, &upstream);
            Ok(())
        })?;
        Ok(Self { address, requests })
    }

    /// Returns the latest request, or "no request".
    pub(crate) fn latest_request(&self) -> String {
        self.requests.try_iter().last().unwrap_or("no request".to_owned())
    }
}

/// Starts a listener that handles each client on its own thread until the example exits.
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
                client.set_read_timeout(Some(TIMEOUT))?;
                client.set_write_timeout(Some(TIMEOUT))?;
                handle(client)
            });
        }
    });
    Ok(address)
}

/// Negotiates SOCKS5 (RFC 1928) without authentication.
pub(crate) fn socks5(client: &mut TcpStream) -> io::Result<Request> {
    proxy::select_method(client, NO_AUTHENTICATION)?;
    socks5_request(client, "no login")
}

/// Negotiates SOCKS5 with user and password (RFC 1929).
pub(crate) fn socks5_with_login(client: &mut TcpStream) -> io::Result<Request> {
    proxy::select_method(client, USER_PASSWORD)?;
    let (user, password) = proxy::read_login(client)?;
    let accepted = user == USER && password == PASSWORD;
    client.write_all(&proxy::login_reply(accepted))?;
    if accepted { socks5_request(client, "user alice") } else { Err(io::ErrorKind::PermissionDenied.into()) }
}

fn socks5_request(client: &mut TcpStream, login: &'static str) -> io::Result<Request> {
    let target = proxy::read_socks5_request(client)?;
    Ok(Request { target, login, granted: &SOCKS5_GRANTED })
}

/// Negotiates HTTP CONNECT (RFC 9110, section 9.3.6) with Basic authentication (RFC 7617).
pub(crate) fn http_with_login(client: &mut TcpStream) -> io::Result<Request> {
    loop {
        let head = proxy::read_head(client)?;
        if proxy::basic_login(&head).is_some_and(|login| login == format!("{USER}:{PASSWORD}")) {
            let target = proxy::connect_target(&head)?.to_owned();
            return Ok(Request { target, login: "user alice by Basic", granted: HTTP_GRANTED.as_bytes() });
        }
        // Keep the connection open, so that the client can retry on it.
        client.write_all(WRONG_LOGIN.as_bytes())?;
    }
}
