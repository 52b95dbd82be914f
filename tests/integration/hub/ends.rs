//! Ends of connections at a hub.

use super::*;

#[test]
fn a_side_that_is_cut_off_ends_the_other_with_an_error() {
    let hub = hub("--open");
    let mut control = register(hub.address(), "lab", "");
    for first_is_client in [true, false] {
        for ending in [&b""[..], b"\x88\x82\0\0\0\0\x03\xf3", b"\x82\x01x"] {
            let (client, data) = pair(hub.address(), "lab", &mut control);
            let (mut ended, mut other) = if first_is_client { (client, data) } else { (data, client) };
            ended.send(Message::binary(b"last".to_vec())).unwrap();
            ended.get_mut().write_all(ending).unwrap();
            ended.get_mut().shutdown(std::net::Shutdown::Write).unwrap();
            assert_eq!(other.read().unwrap().into_data(), b"last"[..]);
            assert_eq!(close_code(&mut other), 1011, "{ending:x?}");
            eventually("no pair", || page(hub.address(), "/v1/stats").1.contains(r#""pairs":0"#));
        }
    }
    close(hub, [control]);
}

#[test]
fn codes_with_a_meaning_reach_the_other_side_with_their_reason() {
    let hub = hub("--open");
    let mut control = register(hub.address(), "lab", "");
    for code in [1001_u16, 4400, 4406, 4499] {
        let (mut client, mut data) = pair(hub.address(), "lab", &mut control);
        let frame = tungstenite::protocol::CloseFrame { code: code.into(), reason: "the reason".into() };
        data.close(Some(frame)).unwrap();
        match client.read() {
            Ok(Message::Close(Some(frame))) => {
                assert_eq!((u16::from(frame.code), frame.reason.as_str()), (code, "the reason"));
            }
            other => panic!("expected a Close, got {other:?}"),
        }
        assert_eq!(close_code(&mut data), code);
    }
    close(hub, [control]);
}

#[test]
fn a_normal_close_is_the_end_of_one_direction_only() {
    let hub = hub("--open");
    let mut control = register(hub.address(), "lab", "");
    let (mut client, mut data) = pair(hub.address(), "lab", &mut control);
    client.get_mut().write_all(b"\x88\x82\0\0\0\0\x03\xe8").unwrap();
    assert_eq!(read(data.get_mut(), 4), b"\x88\x02\x03\xe8");
    // The other direction is still open, and an end without a Close is still an error.
    data.get_mut().write_all(b"\x82\x84\0\0\0\0more").unwrap();
    assert_eq!(client.read().unwrap().into_data(), b"more"[..]);
    drop(data);
    assert_eq!(close_code(&mut client), 1011);
    close(hub, [control, client]);
}

#[test]
fn a_killed_client_resets_the_target_and_a_reset_target_ends_the_client() {
    let hub = hub("--open");
    let target = script().expect("data").expect_reset().serve();
    let run = origin(hub.address(), "lab", &target.args());
    let dest = || connect(format!("-x ws://{}/v1/lab/dest", hub.address()));
    let mut client = dest().start();
    client.send("data");
    eventually("a pair", || page(hub.address(), "/v1/stats").1.contains(r#""dest_to_origin":4"#));
    client.signal(Signal::KILL);
    target.finish();
    stop(run);

    let target = script().send("data").expect("go").reset().serve();
    let run = origin(hub.address(), "lab", &target.args());
    let mut client = dest().start();
    client.wait_stdout_has("data");
    client.send("go");
    client.wait().expect_code(8);
    target.finish();
    stop(run);
    hub.close();
}

#[test]
fn a_killed_hub_cuts_off_both_ends_and_the_origin_registers_again() {
    let first = hub("--open");
    let address = first.address();
    let target = script().send("banner").expect("data").expect_reset().serve();
    let run = origin(address, "lab", &target.args());
    let mut client = connect(format!("-x ws://{address}/v1/lab/dest")).start();
    client.wait_stdout_has("banner");
    client.send("data");
    eventually("a pair", || page(address, "/v1/stats").1.contains(r#""dest_to_origin":4"#));
    first.run.signal(Signal::KILL);
    client.wait().expect_code(8);
    target.finish();
    run.wait_for_line("connecting again");
    let second = listening(format!("--relay ws://{address} --open"));
    run.wait_for_lines("registered session lab", 2);
    stop(run);
    second.close();
}

#[test]
fn a_second_origin_takes_over() {
    let hub = hub("--open");
    let first = origin(hub.address(), "lab", "127.0.0.1 9");
    let second = origin(hub.address(), "lab", "127.0.0.1 9");
    let end = first.end();
    assert_eq!(end.code, Some(5), "{end:?}");
    assert_eq!(end.messages, ["connect: another origin has taken over session 'lab'"]);
    stop(second);
    hub.close();
}

#[test]
fn a_first_registration_that_fails_ends_the_origin() {
    let nobody = RefusingPort::new();
    let out = connect(format!("--origin relay+ws://127.0.0.1:{}/lab 127.0.0.1 9", nobody.port())).run();
    out.expect_failure(4, &["Connection refused"]).expect_stdout("");
}

#[test]
fn invalid_control_messages_end_the_registration() {
    let long = format!("{{\"t\":\"{}\"}}", "x".repeat(5000));
    let hub = hub("--open");
    for (message, code) in [
        (Message::binary(b"{}".to_vec()), 1003),
        (Message::text("[]"), 1002),
        (Message::text("{}"), 1002),
        (Message::text(r#"{"t":"refuse","id":"1","status":403,"why":""}"#), 1002),
        (Message::text(long), 1009),
    ] {
        let mut control = register(hub.address(), "lab", "");
        control.send(Message::text(r#"{"t":"news"}"#)).unwrap();
        control.send(message).unwrap();
        assert_eq!(close_code(&mut control), code);
        let statistics = || page(hub.address(), "/v1/stats").1;
        eventually("a hub without sessions", || statistics().contains(r#""sessions":0"#));
    }
    hub.close();
}

#[test]
fn pings_are_answered_and_a_silent_peer_gets_one() {
    let hub = hub("--open --keepalive 1");
    let mut control = register(hub.address(), "lab", "");
    control.send(Message::Ping(b"?".to_vec().into())).unwrap();
    let both = [(); 2].map(|()| control.read().unwrap());
    for expected in [Message::Pong(b"?".to_vec().into()), Message::Ping(Vec::new().into())] {
        assert!(both.contains(&expected), "{both:?}");
    }
    close(hub, [control]);
}

#[test]
fn a_hub_that_is_stopped_drains() {
    let hub = hub("--open --drain 300");
    let address = hub.address();
    let mut control = register(address, "lab", "");
    let (mut client, mut data) = pair(address, "lab", &mut control);
    assert_eq!(page(address, "/v1/health"), (200, "ok\n".into()));
    hub.run.signal(Signal::TERM);
    assert_eq!(text(&mut control), r#"{"seconds":300,"t":"drain"}"#);
    assert_eq!(page(address, "/v1/health"), (503, "draining\n".into()));
    assert_eq!(refused(address, "/v1/lab/dest", ""), (503, "the hub is shutting down\n".into()));
    client.send(Message::binary(b"still".to_vec())).unwrap();
    assert_eq!(data.read().unwrap().into_data(), b"still"[..]);
    client.close(None).unwrap();
    data.close(None).unwrap();
    assert_eq!((close_code(&mut client), close_code(&mut data)), (1000, 1000));
    drop((client, data));
    // The hub does not wait for 300 seconds.
    assert_eq!(close_code(&mut control), 1001);
    drop(control);
    let end = hub.end();
    assert_eq!(end.code, Some(0), "{end:?}");
}

#[test]
fn a_pair_that_outlasts_the_drain_is_closed() {
    let hub = hub("--open --drain 1");
    let mut control = register(hub.address(), "lab", "");
    let (mut client, mut data) = pair(hub.address(), "lab", &mut control);
    hub.run.signal(Signal::TERM);
    assert_eq!((close_code(&mut client), close_code(&mut data)), (1001, 1001));
    drop((client, data, control));
    let end = hub.end();
    assert_eq!(end.code, Some(0), "{end:?}");
}
