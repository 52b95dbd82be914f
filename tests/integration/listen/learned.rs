//! Later sessions of `--listen` reuse the login method that an earlier one has learned.

use std::net::TcpStream;

use super::ANY;
use crate::kit::*;
use crate::listening::*;

/// The `-d` line of a session that reuses the login method of an earlier one.
const REMEMBERED: &str = "using the authentication that worked before: ";

fn digest() -> HttpDigest {
    HttpDigest::new("me", "secret")
}

/// Returns a proxy that requires Basic, as user `me` with this password.
#[cfg(unix)]
fn basic(password: &str) -> HttpDigest {
    HttpDigest {
        algorithms: Vec::new(),
        other_challenges: "Basic realm=x",
        also_accepts: Some(basic_header(password)),
        ..digest()
    }
}

#[cfg(unix)]
fn basic_header(password: &str) -> String {
    use base64::prelude::{BASE64_STANDARD, Engine};
    format!("Basic {}", BASE64_STANDARD.encode(format!("me:{password}")))
}

fn serve(proxy: &HttpDigest) -> Server {
    let proxy = proxy.clone();
    Server::repeat(move || proxy.script().echo())
}

fn authorization(head: &str) -> Option<&str> {
    head.lines().find_map(|line| line.strip_prefix("Proxy-Authorization: "))
}

/// Returns the credentials in each request that the proxy has received.
fn sent_to(proxy: &HttpDigest) -> Vec<Option<String>> {
    proxy.heads().iter().map(|head| authorization(head).map(str::to_owned)).collect()
}

/// Expects this many lines of `-d` about remembered authentication.
#[track_caller]
fn expect_remembered(run: &Listening, what: &str, count: usize) {
    run.wait_for_lines(&format!("{REMEMBERED}{what}"), count);
    assert_eq!(run.count_lines(REMEMBERED), count);
}

/// Serves three clients, one after another, and keeps them connected.
fn three_clients(run: &Listening) -> [TcpStream; 3] {
    ["one", "two", "three"].map(|text| {
        let client = run.client();
        expect_echo(&client, text);
        client
    })
}

/// Each session used to send a request without credentials, or with the wrong scheme.
#[test]
fn digest_costs_one_challenge_for_all_sessions() {
    for closes in [false, true] {
        for (algorithm, first) in [("SHA-256", None), ("SHA-256-sess", None), ("MD5", Some("Basic "))] {
            let options = if first.is_none() { "-a digest" } else { "" };
            let proxy = HttpDigest { closes, algorithms: vec![algorithm], ..digest() };
            let server = serve(&proxy);
            let run = listening(format!("{ANY} {options} -H me:secret@{server} host.example 22"));
            drop(three_clients(&run));
            let sent = sent_to(&proxy);
            let [challenged, rest @ ..] = &sent[..] else { unreachable!() };
            assert_eq!(challenged.as_deref().map(|sent| &sent[..6]), first);
            assert_eq!(rest.len(), 3, "one challenge: {sent:?}");
            for (index, sent) in rest.iter().enumerate() {
                let count = format!("nc={:08x},", index + 1);
                assert!(sent.as_ref().is_some_and(|sent| sent.contains(&count)), "{sent:?}");
            }
            let name = format!("Digest ({})", algorithm.trim_end_matches("-sess"));
            expect_remembered(&run, &name, 2);
            assert_eq!(run.close(), [""; 0]);
        }
    }
}

/// Two clients at the same time: one tries the password, and the other waits and then knows more.
#[test]
fn a_session_that_waited_for_the_first_login_uses_what_it_has_learned() {
    let proxy = digest();
    let server = serve(&proxy);
    let run = listening(format!("{ANY} -a digest -H me:secret@{server} host.example 22"));
    let clients = [run.client(), run.client()];
    for client in &clients {
        expect_echo(client, "hello");
    }
    assert_eq!(sent_to(&proxy).len(), 3);
    drop(clients);
    assert_eq!(run.close(), [""; 0]);
}

#[test]
fn a_stale_nonce_costs_one_more_round_and_is_replaced() {
    let proxy = digest();
    // The copies share their nonces with `proxy`.
    let expiring = HttpDigest { stale: 1, ..proxy.clone() };
    let scripts = [&proxy, &expiring, &expiring].map(|proxy| proxy.script().echo());
    let server = Server::each(scripts);
    let run = listening(format!("{ANY} -a digest -H me:secret@{server} host.example 22"));
    drop(three_clients(&run));
    // The first session takes two requests, the second two, and the third one.
    assert_eq!(sent_to(&proxy).len(), 5);
    run.wait_for_line("the nonce is stale: retrying with the new one");
    assert_eq!(run.close(), [""; 0]);
}

#[test]
fn a_remembered_scheme_that_the_proxy_rejects_is_replaced() {
    const CHALLENGE: &str =
        "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n";
    let first = digest();
    let second = script().read_connect_request().send(CHALLENGE).read_connect_request();
    let third = script().read_connect_request();
    let scripts = [first.script().echo(), second.send(HTTP_GRANTED).echo(), third.send(HTTP_GRANTED).echo()];
    let server = Server::each(scripts);
    let run = listening(format!("{ANY} -a digest,basic -H me:secret@{server} host.example 22"));
    drop(three_clients(&run));
    run.wait_for_line("Digest (SHA-256) was rejected: trying Basic");
    run.wait_for_line(&format!("{REMEMBERED}Basic"));
    assert_eq!(run.close(), [""; 0]);
    let records = server.finish();
    let heads = |index: usize| String::from_utf8_lossy(&records[index].received).into_owned();
    assert_eq!(heads(1).matches("Proxy-Authorization: Digest").count(), 1, "{}", heads(1));
    assert_eq!(heads(1).matches("Proxy-Authorization: Basic").count(), 1, "{}", heads(1));
    assert_eq!(heads(2).matches("Proxy-Authorization: Basic").count(), 1, "{}", heads(2));
}

/// Some proxies close the connection instead of rejecting a nonce that they do not know.
#[test]
fn a_proxy_that_fails_with_remembered_credentials_is_asked_without_them() {
    let first = digest();
    let again = digest();
    let scripts = [
        first.script().echo(),
        script().read_connect_request().close(),
        again.script().echo(),
        again.script().echo(),
    ];
    let server = Server::each(scripts);
    let run = listening(format!("{ANY} -a digest -H me:secret@{server} host.example 22"));
    drop(three_clients(&run));
    run.wait_for_line("the remembered authentication failed: starting without it");
    assert_eq!(sent_to(&again).iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(run.close(), [""; 0]);
    server.finish();
}

#[test]
fn each_proxy_of_a_chain_is_remembered_by_itself() {
    let first = digest();
    let second = HttpDigest { algorithms: vec!["MD5"], ..HttpDigest::new("you", "other") };
    let last = serve(&second);
    let relaying = first.clone();
    let server = Server::repeat(move || relaying.script().relay());
    let run = listening(format!(
        "{ANY} -x http://me:secret@{server}?auth=digest,http://you:other@{last}?auth=digest host.example 22"
    ));
    drop(three_clients(&run));
    for (proxy, user) in [(&first, "me"), (&second, "you")] {
        let sent = sent_to(proxy);
        assert_eq!(sent.len(), 4, "{sent:?}");
        let named = format!("username=\"{user}\"");
        assert!(sent[1..].iter().flatten().all(|sent| sent.contains(&named)), "{sent:?}");
    }
    run.close();
}

#[test]
fn a_single_session_remembers_nothing() {
    let proxy = digest();
    let server = serve(&proxy);
    let out = connect(format!("-d -a digest -H me:secret@{server} host.example 22")).input("x").run();
    out.expect_code(0).expect_stderr_lacks(REMEMBERED);
    server.finish();
}

#[test]
fn socks5_without_authentication_is_offered_no_password_again() {
    let proxy = |greeting: &'static [u8]| {
        script().expect(greeting).send([5, 0]).read_socks5_request().send(SOCKS5_GRANTED).echo()
    };
    let server = Server::each([proxy(&[5, 2, 0, 2]), proxy(&[5, 1, 0]), proxy(&[5, 1, 0])]);
    let run = listening(format!("{ANY} -S me:secret@{server} host.example 22"));
    drop(three_clients(&run));
    expect_remembered(&run, "SOCKS5 method 'none'", 2);
    assert_eq!(run.close(), [""; 0]);
    server.finish();
}

/// Tests with passwords from prompts.
#[cfg(unix)]
mod prompted {
    use super::*;
    use crate::askpass::Asker;

    #[test]
    fn basic_costs_one_challenge_for_all_sessions() {
        for closes in [false, true] {
            let asker = Asker::new("askpass", "echo secret");
            let proxy = HttpDigest { closes, ..basic("secret") };
            let server = serve(&proxy);
            let run = Listening::start(asker.connect(format!("-d {ANY} -H me@{server} host.example 22")));
            drop(three_clients(&run));
            let known = Some(basic_header("secret"));
            assert_eq!(sent_to(&proxy), [None, known.clone(), known.clone(), known]);
            assert_eq!(asker.output("arguments").lines().count(), 1);
            expect_remembered(&run, "Basic", 2);
            assert_eq!(run.close(), [""; 0]);
        }
    }

    /// The proxies have the same host, user and prompt.
    #[test]
    fn another_proxy_does_not_get_the_password() {
        let asker = Asker::new("askpass", "echo secret");
        let last = Server::repeat(|| http_ok().echo());
        let first = basic("secret");
        let relaying = first.clone();
        let server = Server::repeat(move || relaying.script().relay());
        let args = format!("-d {ANY} -x http://me@{server},http://me@{last} host.example 22");
        let run = Listening::start(asker.connect(args));
        drop(three_clients(&run));
        assert_eq!(sent_to(&first).len(), 4);
        run.close();
        for record in last.finish() {
            let head = record.head.unwrap();
            assert_eq!(authorization(&head), None, "{head}");
        }
    }

    /// The rejection by the second proxy discards all answers to prompts. What is remembered about
    /// the first one must neither cause a prompt before that proxy asks, nor end the session.
    #[test]
    fn without_the_answer_to_a_prompt_the_proxy_is_asked_again() {
        let asker = Asker::new("askpass", "echo secret");
        let (first, last) = (basic("secret"), basic("other"));
        let end = serve(&last);
        let relaying = first.clone();
        let server = Server::repeat(move || relaying.script().relay());
        let args = format!("-d {ANY} -x http://me@{server},http://me@{end} host.example 22");
        let run = Listening::start(asker.connect(args));
        for _ in 0..2 {
            expect_disconnect(run.client());
        }
        let known = Some(basic_header("secret"));
        assert_eq!(sent_to(&first), [None, known.clone(), None, known.clone()]);
        assert_eq!(sent_to(&last), [None, known.clone(), None, known]);
        // The client may see the end before the message is written.
        run.wait_for_lines("connect: client 127.0.0.1:", 2);
        assert_eq!(run.close().len(), 2);
    }

    #[test]
    fn a_changed_password_is_not_answered_with_the_old_one() {
        let asker = Asker::new(
            "askpass",
            "echo >>\"$D/asked\"; if [ \"$(wc -l <\"$D/asked\")\" = 1 ]; then echo first; else echo second; fi",
        );
        let (old, new) = (basic("first"), basic("second"));
        let of = |proxy: &HttpDigest| proxy.script().echo();
        // The session with the old password ends with the script, which waits for another request.
        let server = Server::each([of(&old), of(&old), of(&new), of(&new), of(&new)]);
        let run = Listening::start(asker.connect(format!("-d {ANY} -H me@{server} host.example 22")));
        for _ in 0..2 {
            expect_echo(run.client(), "hello");
        }
        expect_disconnect(run.client());
        run.wait_for_line("rejected user 'me'");
        for _ in 0..2 {
            expect_echo(run.client(), "hello");
        }
        let [first, second] = ["first", "second"].map(|password| Some(basic_header(password)));
        assert_eq!(sent_to(&old), [None, first.clone(), first.clone()]);
        assert_eq!(sent_to(&new), [first, None, second.clone(), second]);
        assert_eq!(run.close().len(), 1);
    }

    #[test]
    fn socks5_offers_user_and_password_at_once_after_the_first_session() {
        let asker = Asker::new("askpass", "echo secret");
        let refusing = script().expect([5, 1, 0]).send([5, 0xff]).expect_disconnect();
        let accepting = || {
            let login = script().expect([5, 1, 2]).send([5, 2]).read_login().send([1, 0]);
            login.read_socks5_request().send(SOCKS5_GRANTED).echo()
        };
        let server = Server::each([refusing, accepting(), accepting(), accepting()]);
        let run = Listening::start(asker.connect(format!("-d {ANY} -S {server} host.example 22")));
        drop(three_clients(&run));
        expect_remembered(&run, "SOCKS5 method 'userpass'", 2);
        assert_eq!(run.close(), [""; 0]);
        server.finish();
    }
}
