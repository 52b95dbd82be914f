//! Chromium, controlled by the `DevTools` protocol.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

use crate::context::program;
use crate::kit::{Program, Running, TIMEOUT};

/// Returns a headless Chromium with this profile. The port is that of the `DevTools` protocol; with
/// one, the browser keeps running after it has loaded a page.
pub(crate) fn chromium(profile: &Path, port: u16) -> Program {
    program(
        "chromium",
        ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
    )
    .arg(format!("--remote-debugging-port={port}"))
    .arg(format!("--user-data-dir={}", profile.display()))
}

/// A tab of a browser.
pub(crate) struct Tab {
    browser: Running,
    socket: WebSocket<TcpStream>,
    next_id: u64,
    /// The events that have arrived.
    events: Vec<Value>,
}

impl Tab {
    /// Starts a browser with an empty page.
    pub(crate) fn open(profile: &Path) -> Self {
        let browser = chromium(profile, 0).arg("about:blank").start();
        let port = port(&profile.join("DevToolsActivePort"));
        let pages = get(&format!("127.0.0.1:{port}"), "/json/list");
        let pages: Value = serde_json::from_str(&pages).unwrap();
        let page = pages.as_array().unwrap().iter().find(|page| page["type"] == "page").unwrap();
        let url = page["webSocketDebuggerUrl"].as_str().unwrap();
        let mut tab = Self { browser, socket: open(url), next_id: 0, events: Vec::new() };
        for domain in ["Page", "Runtime", "Log", "Network", "Audits"] {
            tab.call(&format!("{domain}.enable"), &json!({}));
        }
        tab
    }

    /// Calls a method, and returns its result.
    #[track_caller]
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Value {
        self.next_id += 1;
        let request = json!({"id": self.next_id, "method": method, "params": params});
        self.socket.send(Message::text(request.to_string())).unwrap();
        loop {
            let message = self.socket.read().unwrap();
            let Message::Text(text) = message else { continue };
            let mut message: Value = serde_json::from_str(&text).unwrap();
            if message["id"] == self.next_id {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].take();
            }
            self.events.push(message);
        }
    }

    /// Returns the value of a JavaScript expression.
    #[track_caller]
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let mut result = self.call("Runtime.evaluate", &params);
        assert!(result.get("exceptionDetails").is_none(), "{expression}: {result}");
        result["result"]["value"].take()
    }

    /// Waits until a JavaScript expression is true.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, expression: &str) {
        let start = Instant::now();
        while self.value(expression) != true {
            let page = self.value("document.body?.innerText");
            assert!(start.elapsed() < TIMEOUT, "expected {expression}: {page}\n{:?}", self.events);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Types text into the focused element, and presses Enter.
    pub(crate) fn type_line(&mut self, text: &str) {
        self.call("Input.insertText", &json!({"text": text}));
        for kind in ["keyDown", "keyUp"] {
            let key = json!({"type": kind, "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"});
            self.call("Input.dispatchKeyEvent", &key);
        }
    }

    /// Returns the events of a kind that have arrived.
    pub(crate) fn events(&self, method: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["method"] == method).collect()
    }

    pub(crate) fn close(mut self) {
        self.browser.signal(Signal::TERM);
        self.browser.wait();
    }
}

/// Waits for the file with the port that the browser has chosen.
fn port(file: &Path) -> u16 {
    let start = Instant::now();
    loop {
        let contents = fs::read_to_string(file).unwrap_or_default();
        match contents.split_once('\n').and_then(|(port, _)| port.parse().ok()) {
            Some(port) => return port,
            None => assert!(start.elapsed() < TIMEOUT, "no port in {}", file.display()),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Sends a request to the browser, and returns the connection and the fields of the response.
fn request(address: &str, path: &str, fields: &str) -> (BufReader<TcpStream>, Vec<String>) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n{fields}\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    let lines = reader.by_ref().lines().map(Result::unwrap);
    let head = lines.take_while(|line| !line.is_empty()).collect();
    (reader, head)
}

/// Returns the body of a response with a Content-Length.
fn get(address: &str, path: &str) -> String {
    let (reader, head) = request(address, path, "");
    let length = head.iter().find_map(|line| line.strip_prefix("Content-Length:")).unwrap();
    let mut body = String::new();
    reader.take(length.trim().parse().unwrap()).read_to_string(&mut body).unwrap();
    body
}

/// Opens a WebSocket.
fn open(url: &str) -> WebSocket<TcpStream> {
    let (address, path) = url.strip_prefix("ws://").and_then(|url| url.split_once('/')).unwrap();
    let fields = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let (reader, head) = request(address, &format!("/{path}"), fields);
    assert!(head[0].contains(" 101 "), "{head:?}");
    assert!(reader.buffer().is_empty(), "the browser speaks first");
    WebSocket::from_raw_socket(reader.into_inner(), Role::Client, None)
}
