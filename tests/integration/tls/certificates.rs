//! Who is trusted, and what is said of who is not.

use super::*;

/// A session, which must come about.
#[track_caller]
fn expect_session(front: TlsFront, program: impl FnOnce(&TlsServer) -> Program) -> Handshake {
    let proxy = http_ok().early("welcome").expect("ping").expect_eof().serve();
    let front = front.in_front_of(&proxy);
    program(&front).input("ping").run().expect_success().expect_stdout("welcome");
    assert_eq!(proxy.finish_one().target.as_deref(), Some("host.example:22"));
    front.only_handshake()
}

/// No session: one line with these parts, and not a byte for the proxy behind.
#[track_caller]
fn expect_distrust(front: TlsFront, parts: &[&str], program: impl FnOnce(&TlsServer) -> Program) {
    let nobody = Server::each([]);
    let front = front.in_front_of(&nobody);
    program(&front).run().expect_failure(5, parts);
    nobody.finish();
}

#[test]
fn a_certificate_of_the_authority_that_is_named_is_trusted_in_both_versions() {
    let pki = Pki::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let front = TlsFront::with_versions(&pki.authority.localhost(), &[version], None);
        let handshake = expect_session(front, |front| pki.connect(front, ""));
        assert_eq!(handshake.name.as_deref(), Some("localhost"));
        assert_eq!(handshake.end, Some(TlsEnd::CloseNotify));
    }
}

/// No name is sent for an address (RFC 6066 §3), and the certificate must have it.
#[test]
fn an_address_is_looked_for_in_the_certificate_too() {
    let pki = Pki::new();
    let by_address = |front: &TlsServer| {
        connect("--tls-ca").arg(&*pki.file).args(format!("-H https://{front} host.example 22"))
    };
    assert_eq!(expect_session(pki.front(), by_address).name, None);
    let named = TlsFront::new(&pki.authority.issue(&["localhost"], CertificateKind::Server));
    expect_distrust(named, &["localhost", "not for 127.0.0.1"], by_address);
}

/// `SSL_CERT_FILE` stands for the system's certificates on every system.
#[test]
fn the_system_s_authorities_are_trusted_unless_others_are_named() {
    let (pki, other) = (Pki::new(), Pki::named("Other Authority"));
    let plain = |front: &TlsServer| {
        let program = connect(format!("-H https://localhost:{} host.example 22", front.port()));
        program.env("SSL_CERT_FILE", &*pki.file)
    };
    expect_session(pki.front(), plain);
    let stranger = ["Authority'", "not trusted", "--tls-ca", "--tls-pin sha256//"];
    expect_distrust(other.front(), &stranger, plain);
    expect_distrust(pki.front(), &stranger, |front| {
        other.connect(front, "").env("SSL_CERT_FILE", &*pki.file)
    });
}

#[test]
fn what_is_wrong_with_a_certificate_is_said() {
    let pki = Pki::new();
    let issue = |names: &[&str], kind| TlsFront::new(&pki.authority.issue(names, kind));
    let here = &["localhost", "127.0.0.1"];
    for (front, parts) in [
        (issue(here, CertificateKind::Expired), &["expired on 2021-06-30", "clock"][..]),
        (issue(here, CertificateKind::NotYetValid), &["good only from 2098-12-31", "clock"]),
        (
            issue(&["other.example"], CertificateKind::Server),
            &["for other.example", "not for localhost", "--tls-server-name"],
        ),
        (
            issue(
                &["*.example", "a.example", "b.example", "c.example", "d.example", "e.example"],
                CertificateKind::Server,
            ),
            &["*.example", "2 more"],
        ),
        (issue(here, CertificateKind::Client), &["certificate", "server authentication"]),
        (issue(&[], CertificateKind::Server), &["subjectAltName", "--tls-pin"]),
        (TlsFront::new(&Identity::self_signed(false)), &["self-signed", "--tls-ca"]),
        (TlsFront::new(&Identity::self_signed(true)), &["self-signed", "--tls-ca"]),
    ] {
        expect_distrust(front, parts, |front| pki.connect(front, ""));
    }
}

/// Somebody has taken a name that is trusted.
#[test]
fn an_authority_of_the_same_name_is_another() {
    let (pki, other) = (Pki::new(), Pki::new());
    expect_distrust(other.front(), &["not by the 'Test Authority' that is trusted"], |front| {
        pki.connect(front, "")
    });
}

/// The names in a certificate are a stranger's words.
#[test]
fn a_hostile_name_does_not_reach_the_terminal() {
    let hostile = Authority::new("\u{1b}]0;owned\u{7}");
    let pki = Pki::new();
    let nobody = Server::each([]);
    let front = TlsFront::new(&hostile.localhost()).in_front_of(&nobody);
    let out = pki.connect(&front, "").run();
    out.expect_failure(5, &["owned"]);
    assert!(!out.stderr.contains(&0x1b) && !out.stderr.contains(&7), "{}", out.stderr_text());
    nobody.finish();
}

#[test]
fn an_authority_in_between_must_be_sent_or_named() {
    let pki = Pki::new();
    let between = pki.authority.intermediate("In Between");
    expect_session(TlsFront::new(&between.localhost().with_intermediate(&between)), |front| {
        pki.connect(front, "")
    });
    let parts = ["'In Between'", "not trusted", "sent no certificate of an authority in between"];
    expect_distrust(TlsFront::new(&between.localhost()), &parts, |front| pki.connect(front, ""));
    let file = between.file();
    expect_session(TlsFront::new(&between.localhost()), |front| trusting(&file, front, ""));
}

/// A file with the proxy's own certificate is the way to trust one that nobody vouches for, be it an authority's or not.
#[test]
fn a_certificate_that_is_named_is_trusted_by_itself_for_its_names_and_its_time() {
    for is_authority in [false, true] {
        let identity = Identity::self_signed(is_authority);
        let file = identity.certificate_file();
        expect_session(TlsFront::new(&identity), |front| trusting(&file, front, ""));
        expect_distrust(TlsFront::new(&identity), &["not for other.example"], |front| {
            trusting(&file, front, "--tls-server-name other.example")
        });
    }
    let pki = Pki::new();
    let expired = pki.authority.issue(&["localhost"], CertificateKind::Expired);
    let file = expired.certificate_file();
    expect_distrust(TlsFront::new(&expired), &["expired on 2021-06-30"], |front| trusting(&file, front, ""));
}

#[test]
fn another_name_can_be_asked_for() {
    let pki = Pki::new();
    let front = || TlsFront::new(&pki.authority.issue(&["inner.example"], CertificateKind::Server));
    let words = "--tls-server-name inner.example";
    let handshake = expect_session(front(), |front| pki.connect(front, words));
    assert_eq!(handshake.name.as_deref(), Some("inner.example"));
    expect_session(front(), |front| pki.connect(front, "").env("CONNECT_TLS_SERVER_NAME", "inner.example"));
    expect_session(front(), |front| {
        let url = format!("https://localhost:{}?tls-server-name=inner.example", front.port());
        connect("--tls-server-name wrong.example --tls-ca")
            .arg(&*pki.file)
            .args(format!("-x {url} host.example 22"))
    });
}

#[test]
fn a_pin_is_checked_besides_the_chain() {
    let (pki, stranger) = (Pki::new(), Authority::new("Stranger"));
    let (identity, other) = (pki.authority.localhost(), pki.authority.localhost());
    let pinned = |pin: &str| format!("--tls-pin {pin}");
    for pins in [identity.pin(), format!("{};{}", other.pin(), identity.pin())] {
        expect_session(TlsFront::new(&identity), |front| pki.connect(front, &pinned(&pins)));
        expect_session(TlsFront::new(&identity), |front| {
            pki.connect(front, "").env("CONNECT_TLS_PIN", &pins)
        });
    }
    let both = format!("{} {}", pinned(&other.pin()), pinned(&identity.pin()));
    expect_session(TlsFront::new(&identity), |front| pki.connect(front, &both));
    // What it has is told, so that it can be compared, and pinned.
    expect_distrust(TlsFront::new(&other), &["not pinned", &other.pin()], |front| {
        pki.connect(front, &pinned(&identity.pin()))
    });
    let strange = stranger.localhost();
    expect_distrust(TlsFront::new(&strange), &["'Stranger'"], |front| {
        pki.connect(front, &pinned(&strange.pin()))
    });
}

#[test]
fn without_the_chain_the_pin_alone_decides() {
    let identity = Identity::self_signed(false);
    let words = |pin: &str| format!("--insecure --tls-pin {pin}");
    let through = |front: &TlsServer, words: &str| {
        connect(format!("{words} -H https://localhost:{} host.example 22", front.port()))
    };
    expect_session(TlsFront::new(&identity), |front| through(front, &words(&identity.pin())));
    let other = Identity::self_signed(false);
    expect_distrust(TlsFront::new(&other), &["not pinned"], |front| through(front, &words(&identity.pin())));
}

#[test]
fn anybody_is_trusted_on_demand_and_with_a_warning() {
    let pki = Pki::new();
    let expired = TlsFront::new(&pki.authority.issue(&["other.example"], CertificateKind::Expired));
    let proxy = http_ok().early("welcome").serve();
    let front = expired.in_front_of(&proxy);
    let out = connect(format!("--insecure -H https://localhost:{} host.example 22", front.port())).run();
    out.expect_code(0).expect_stdout("welcome").expect_stderr_has("--insecure");
    assert_eq!(out.stderr_text().lines().count(), 1, "{}", out.stderr_text());
    proxy.finish();
}

#[test]
fn a_file_without_a_certificate_is_an_error_before_anything_is_dialled() {
    let nobody = Server::each([]);
    let front = Pki::new().front().in_front_of(&nobody);
    for (content, part) in [
        ("", "no certificate"),
        ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "make no sense"),
    ] {
        let file = TempPath::file("empty.pem", content);
        trusting(&file, &front, "").run().expect_failure(2, &["empty.pem", part]);
    }
    let file = TempPath::new("absent.pem");
    trusting(&file, &front, "").run().expect_failure(2, &["absent.pem", "cannot be read"]);
    nobody.finish();
}
