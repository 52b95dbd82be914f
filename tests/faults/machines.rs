//! Three machines, each a network namespace: `near` --bad link-- `mid` --good link-- `far`.

use std::fs::{self, File};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::kit::{TempPath, open_tun};
use crate::link::Link;

/// The address that the targets listen on.
pub(crate) const FAR_ADDRESS: &str = "10.99.2.3";
/// microsocks, on `mid`.
pub(crate) const SOCKS_PROXY: &str = "10.99.1.2:1080";
/// tinyproxy, on `mid`.
pub(crate) const HTTP_PROXY: &str = "10.99.1.2:8888";

/// A network namespace created by `ip netns`.
pub(crate) struct Machine(File);

impl Machine {
    fn new(name: &str) -> Self {
        ip(&format!("netns add {name}"));
        ip(&format!("-n {name} link set lo up"));
        Self(File::open(format!("/run/netns/{name}")).expect("ip netns makes this file"))
    }

    /// Runs `work` on a thread inside the namespace. Sockets and processes that `work` creates stay
    /// in the namespace.
    pub(crate) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("root may enter a network namespace");
            work()
        };
        thread::scope(|scope| scope.spawn(inside).join()).expect("the work does not panic")
    }

    /// Sets a kernel parameter below `/proc/sys/net/ipv4`.
    pub(crate) fn set_ipv4_parameter(&self, name: &str, value: u32) {
        let file = format!("/proc/sys/net/ipv4/{name}");
        self.enter(|| fs::write(&file, value.to_string())).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
}

/// The machines, their links, and the proxies on `mid`.
pub(crate) struct Network {
    pub(crate) near: Machine,
    pub(crate) far: Machine,
    pub(crate) link: Link,
    _mid: Machine,
    proxies: Vec<Child>,
    _configuration: TempPath,
}

impl Network {
    pub(crate) fn new() -> Self {
        let [near, mid, far] = ["near", "mid", "far"].map(Machine::new);
        let devices = [near.enter(|| open_tun("bad0")), mid.enter(|| open_tun("bad1"))];
        let link = Link::start(devices.map(|device| device.expect("root can make TUN devices")));
        for command in [
            "-n near addr add 10.99.1.1/24 dev bad0",
            "-n near link set bad0 up",
            "-n mid addr add 10.99.1.2/24 dev bad1",
            "-n mid link set bad1 up",
            "-n mid link add good0 type veth peer name good1 netns far",
            "-n mid addr add 10.99.2.2/24 dev good0",
            "-n mid link set good0 up",
            "-n far addr add 10.99.2.3/24 dev good1",
            "-n far link set good1 up",
            "-n near route add default via 10.99.1.2",
            "-n far route add default via 10.99.2.2",
        ] {
            ip(command);
        }
        mid.set_ipv4_parameter("ip_forward", 1);
        let configuration = TempPath::file(
            "tinyproxy.conf",
            "Port 8888\nListen 10.99.1.2\nAllow 10.99.1.0/24\nTimeout 600\nLogLevel Critical\n",
        );
        let mut microsocks = Command::new("microsocks");
        microsocks.args(["-i", "10.99.1.2", "-p", "1080"]);
        let mut tinyproxy = Command::new("tinyproxy");
        tinyproxy.args(["-d", "-c"]).arg(&*configuration);
        let proxies = mid.enter(|| {
            [microsocks, tinyproxy].map(|mut proxy| {
                proxy.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                proxy.spawn().expect("microsocks and tinyproxy are installed")
            })
        });
        let network =
            Self { near, far, link, _mid: mid, proxies: proxies.into(), _configuration: configuration };
        for proxy in [SOCKS_PROXY, HTTP_PROXY] {
            network.wait_for(proxy);
        }
        network
    }

    /// Waits until a proxy accepts connections.
    fn wait_for(&self, proxy: &str) {
        let start = Instant::now();
        while let Err(error) = self.near.enter(|| TcpStream::connect(proxy)) {
            assert!(start.elapsed() < Duration::from_secs(10), "the proxy {proxy} does not start: {error}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for proxy in &mut self.proxies {
            let _ = proxy.kill();
            let _ = proxy.wait();
        }
    }
}

fn ip(args: &str) {
    let output = Command::new("ip").args(args.split(' ')).output().expect("ip is installed");
    assert!(output.status.success(), "ip {args}: {}", String::from_utf8_lossy(&output.stderr));
}
