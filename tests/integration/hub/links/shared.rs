//! Many clients of a listener on one link.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;

use super::*;

/// Starts a listener whose clients share a link.
fn listener(hub: SocketAddr, args: &str) -> Listening {
    listening(format!("--listen 0 -x relay+ws://{hub}/lab {args}"))
}

fn pairs(hub: SocketAddr) -> String {
    let stats = page(hub, "/v1/stats").1;
    let (_, rest) = stats.split_once(r#""pairs":"#).unwrap_or_else(|| panic!("{stats}"));
    rest.split(',').next().unwrap().to_owned()
}

/// 32 clients exchange data at once, while another one does not read what the target sends.
#[test]
#[cfg(target_os = "linux")]
fn a_client_that_does_not_read_stops_no_other_client_of_the_link() {
    const CLIENTS: u64 = 32;
    let hub = hub("--open");
    let target = Server::repeat(|| {
        script().then("serve", |session| {
            let mode = session.receive(1)?;
            let (data, length) = (bytes(u64::from(mode[0]), 1_000_000), 1_000_000);
            if mode == [0] {
                // More than all programs may hold.
                let _ = (0..256).try_for_each(|_| session.send(&data));
                return Ok(());
            }
            session.send(&data)?;
            let received = session.receive(length)?;
            assert!(received == bytes(100 + u64::from(mode[0]), 1_000_000), "different data");
            session.half_close()
        })
    });
    let run = origin(hub.address(), "lab", &target.args());
    let listener = listener(hub.address(), "");
    let mut slow = listener.client();
    slow.write_all(&[0]).unwrap();
    let mut first = [0; 1000];
    slow.read_exact(&mut first).unwrap();
    thread::scope(|scope| {
        for number in 1..=CLIENTS {
            let mut client = listener.client();
            scope.spawn(move || {
                client.write_all(&[u8::try_from(number).unwrap()]).unwrap();
                let mut sending = client.try_clone().unwrap();
                let sender = thread::spawn(move || {
                    sending.write_all(&bytes(100 + number, 1_000_000)).unwrap();
                    sending.shutdown(Shutdown::Write).unwrap();
                });
                let mut received = Vec::new();
                client.read_to_end(&mut received).unwrap();
                assert!(received == bytes(number, 1_000_000), "different data for client {number}");
                sender.join().unwrap();
            });
        }
    });
    assert_eq!(pairs(hub.address()), "1");
    for run in [&hub, &run, &listener] {
        let memory = run.run.peak_memory();
        assert!(memory < 40 * 1024 * 1024, "{memory} bytes");
    }
    drop(slow);
    listener.close();
    stop(run);
    drop(target);
    hub.close();
}

#[test]
fn clients_of_an_encrypted_link_get_errors_of_their_own() {
    let hub = hub("--open");
    let key = connect("--mint-key").run().expect_success().stdout.clone();
    let key = TempPath::private("agent.key", key);
    let target = Server::each([script().send("first").hold(), script().expect("x").reset()]);
    let option = format!("--key-file {}", key.display());
    let run = origin(hub.address(), "lab", &format!("{option} {}", target.args()));
    let listener = listener(hub.address(), &option);
    let mut first = listener.client();
    let mut received = [0; 5];
    first.read_exact(&mut received).unwrap();
    assert_eq!(&received, b"first");
    let mut second = listener.client();
    second.write_all(b"x").unwrap();
    let error = second.read(&mut received).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    listener.wait_for_line("the target of 'lab' cut the connection off");
    assert_eq!(pairs(hub.address()), "1");
    drop(first);
    listener.close();
    stop(run);
    drop(target);
    hub.close();
}

/// A client that leaves resets its own target only.
#[test]
fn a_client_that_is_reset_resets_its_target() {
    let hub = hub("--open");
    let target = Server::each([
        script().send("one").expect_reset(),
        script().send("two").expect("more").expect_eof().send("end"),
    ]);
    let run = origin(hub.address(), "lab", &target.args());
    let listener = listener(hub.address(), "");
    let mut received = [0; 3];
    let mut first = listener.client();
    first.read_exact(&mut received).unwrap();
    let mut second = listener.client();
    second.read_exact(&mut received).unwrap();
    connect_sys_reset(&first);
    drop(first);
    second.write_all(b"more").unwrap();
    second.shutdown(Shutdown::Write).unwrap();
    second.read_exact(&mut received).unwrap();
    assert_eq!(&received, b"end");
    target.finish();
    listener.close();
    stop(run);
    hub.close();
}

/// Makes closing the connection a reset.
fn connect_sys_reset(stream: &TcpStream) {
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
}

#[test]
fn clients_of_a_listener_at_a_socket_share_a_link_that_survives_its_hub() {
    let first = hub("--open");
    let address = first.address();
    let target = Server::repeat(|| script().send("banner").echo());
    let run = origin(address, "lab", &target.args());
    let path = TempPath::new("agent.sock");
    let listener = listening(format!("--listen unix:{} -x relay+ws://{address}/lab", path.display()));
    let mut clients: Vec<_> = (0..8)
        .map(|_| {
            let mut client = connect_to_socket(&path);
            let mut banner = [0; 6];
            client.read_exact(&mut banner).unwrap();
            client
        })
        .collect();
    assert_eq!(pairs(address), "1");
    first.run.signal(Signal::KILL);
    run.wait_for_line("connecting again");
    let second = listening(format!("--relay ws://{address} --open"));
    for (number, client) in clients.iter_mut().enumerate() {
        let sent = bytes(number as u64, 10_000);
        client.write_all(&sent).unwrap();
        let mut received = vec![0; sent.len()];
        client.read_exact(&mut received).unwrap();
        assert!(received == sent, "different data for client {number}");
    }
    assert_eq!(pairs(address), "1");
    drop(clients);
    listener.close();
    stop(run);
    drop(target);
    second.close();
}

/// Only root can play another user. Without root, the test checks only that the user is served.
#[test]
fn a_client_of_another_user_gets_no_stream_of_a_link() {
    use rustix::thread::set_thread_res_uid;
    use std::os::unix::fs::PermissionsExt;
    let root = Some(rustix::process::geteuid()).filter(|user| user.is_root());
    let hub = hub("--open");
    let address = hub.address();
    let target = Server::repeat(|| script().send("banner").echo());
    let run = origin(address, "lab", &target.args());
    let path = TempPath::new("agent.sock");
    let listener = listening(format!("--listen unix:{} -x relay+ws://{address}/lab", path.display()));
    eventually("the socket", || path.exists());
    std::fs::set_permissions(&*path, std::fs::Permissions::from_mode(0o666)).unwrap();
    let at = path.to_path_buf();
    // The kernel records the user at connect(2).
    let connect = move || {
        if let Some(root) = root {
            set_thread_res_uid(root, rustix::fs::Uid::from_raw(65534), root).unwrap();
        }
        connect_to_socket(&at).read(&mut [0; 1]).map_err(|error| error.kind())
    };
    let received = thread::spawn(connect).join().unwrap();
    if root.is_some() {
        listener.wait_for_line("a process of another user");
        assert!(matches!(received, Ok(0) | Err(std::io::ErrorKind::ConnectionReset)), "{received:?}");
    } else {
        assert_eq!(received, Ok(1));
    }
    listener.close();
    stop(run);
    drop(target);
    hub.close();
}
