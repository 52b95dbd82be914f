//! Tests that run the program as a process, with real file descriptors and with peers on loopback.
//! Start reading at `../kit/mod.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "that is how a test fails")]
#![allow(clippy::duplicate_mod, reason = "some modules test the relay twice, see `relay`")]

#[path = "../kit/mod.rs"]
mod kit;

// The Unix-only modules need shell scripts, signals, terminals, or UNIX-domain sockets.
mod architecture;
#[cfg(unix)]
mod askpass;
mod bypass_list;
mod chains;
mod check;
#[cfg(unix)]
mod children;
mod cli;
#[cfg(all(unix, feature = "ssh"))]
mod copies;
mod dial;
#[cfg(feature = "dns")]
mod dns;
mod docs;
mod dump;
mod eager;
mod example_hop;
mod example_pair_hop;
#[cfg(unix)]
mod faults;
#[cfg(unix)]
mod fd_passing;
mod granted;
mod http;
mod http_auth;
mod http_digest;
mod http_headers;
#[cfg(all(unix, feature = "relay"))]
mod hub;
mod kept_port;
mod layering;
mod library;
mod listen;
mod listening;
mod local_port;
#[cfg(target_os = "linux")]
mod local_port_copying;
mod match_blocks;
// The generated page documents the messages on Linux, with all features.
#[cfg(all(target_os = "linux", feature = "dns", feature = "relay", feature = "ssh", feature = "tls"))]
mod messages;
#[cfg(feature = "relay")]
mod mint;
#[cfg(unix)]
mod password;
#[cfg(unix)]
mod password_sources;
mod post_tunnel;
mod properties;
mod proxy_protocol;
mod proxy_server;
mod rcfile;
mod recording;
mod regression;
#[cfg(unix)]
mod relay;
#[cfg(target_os = "linux")]
mod relay_copying;
#[cfg(unix)]
mod relay_faults;
#[cfg(all(unix, feature = "ssh"))]
mod remote;
#[cfg(target_os = "linux")]
mod secrets;
mod selftest;
#[cfg(all(unix, feature = "relay", feature = "tls"))]
mod server_check;
// The tests read the set of caught signals from /proc.
#[cfg(target_os = "linux")]
mod signals;
#[cfg(unix)]
mod socket_proxy;
mod sockets;
mod socks4;
mod socks5;
#[cfg(all(unix, feature = "ssh"))]
mod ssh;
mod style;
#[cfg(unix)]
mod sudden_end;
mod telnet;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tls")]
mod token;
#[cfg(all(unix, feature = "relay"))]
mod token_server;
mod trace;
#[cfg(unix)]
mod unix_socket;
#[cfg(unix)]
mod waiting;
mod web_page;
mod websocket;
mod wire;
