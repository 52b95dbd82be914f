//! Verification of the proxy's certificate, and the messages about untrusted certificates.

use super::*;
use crate::wire::BUECHER;

/// Checks that the session is established. Returns the record of its TLS handshake.
#[track_caller]
fn expect_session(front: TlsFront, program: impl FnOnce(&TlsServer) -> Program) -> Handshake {
    let proxy = http_ok().early("welcome").expect("ping").expect_eof().serve();
    let front = front.in_front_of(&proxy);
    program(&front).input("ping").run().expect_success().expect_stdout("welcome");
    assert_eq!(proxy.finish_one().target.as_deref(), Some("host.example:22"));
    front.only_handshake()
}

/// Checks that the certificate is rejected with a message that contains `parts`, and that no byte
/// reaches the proxy.
#[track_caller]
fn expect_rejected(front: TlsFront, parts: &[&str], program: impl FnOnce(&TlsServer) -> Program) {
    let unreached = Server::each([]);
    let front = front.in_front_of(&unreached);
    program(&front).run().expect_failure(5, parts);
    unreached.finish();
}

#[test]
fn a_certificate_of_the_given_authority_is_trusted_with_either_tls_version() {
    let pki = Pki::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let front = TlsFront::with_versions(&pki.authority.localhost(), &[version], None);
        let handshake = expect_session(front, |front| pki.connect(front, ""));
        assert_eq!(handshake.name.as_deref(), Some("localhost"));
        assert_eq!(handshake.end, Some(TlsEnd::CloseNotify));
    }
}

/// An address is not sent as a server name (RFC 6066 §3), but the certificate must contain it.
#[test]
fn an_address_must_be_in_the_certificate_too() {
    let pki = Pki::new();
    let by_address = |front: &TlsServer| {
        connect("--tls-ca").arg(&*pki.file).args(format!("-H https://{front} host.example 22"))
    };
    assert_eq!(expect_session(pki.front(), by_address).name, None);
    let named = TlsFront::new(&pki.authority.issue(&["localhost"], CertificateKind::Server));
    expect_rejected(named, &["localhost", "not for 127.0.0.1"], by_address);
}

#[cfg(unix)]
#[test]
fn an_authority_named_in_a_file_that_others_can_write_to_is_not_trusted() {
    use std::os::unix::fs::PermissionsExt;
    let (pki, system) = (Pki::new(), Pki::named("Other Authority"));
    let ca = pki.file.display();
    for (line, option) in [
        (format!("CONNECT_PROXY = https://localhost:PORT\nCONNECT_TLS_CA = {ca}"), "2: CONNECT_TLS_CA"),
        (format!("CONNECT_PROXY = https://localhost:PORT?tls-ca={ca}"), "1: tls-ca= in CONNECT_PROXY"),
        (format!("CONNECT_PROXY = https://localhost:PORT?tls%2Dca={ca}"), "1: tls-ca= in CONNECT_PROXY"),
    ] {
        let homes = std::cell::RefCell::new(Vec::new());
        let program = |mode| {
            let (line, system, homes) = (&line, &system, &homes);
            move |front: &TlsServer| {
                let home = crate::rcfile::home(line.replace("PORT", &front.port().to_string()));
                let permissions = std::fs::Permissions::from_mode(mode);
                std::fs::set_permissions(home.join(".connectrc"), permissions).unwrap();
                let program = connect("-A host.example 22").env("HOME", &*home);
                homes.borrow_mut().push(home);
                program.env("SSL_CERT_FILE", &*system.file)
            }
        };
        expect_session(pki.front(), program(0o600));
        let unreached = Server::each([]);
        let front = pki.front().in_front_of(&unreached);
        let out = program(0o602)(&front).run();
        out.expect_code(5).expect_stderr_has("not trusted").expect_stderr_has(&format!(
            ".connectrc:{option} ignored: a path is allowed only in a parameter file that no one but you or root can write to\n"
        ));
        unreached.finish();
    }
}

/// `SSL_CERT_FILE` replaces the system's certificates on every platform.
#[test]
fn the_systems_authorities_are_trusted_unless_others_are_given() {
    let (pki, other) = (Pki::new(), Pki::named("Other Authority"));
    let plain = |front: &TlsServer| {
        let program = connect(format!("-H https://localhost:{} host.example 22", front.port()));
        program.env("SSL_CERT_FILE", &*pki.file)
    };
    expect_session(pki.front(), plain);
    let stranger = ["Authority'", "not trusted", "--tls-ca", "--tls-pin sha256//"];
    expect_rejected(other.front(), &stranger, plain);
    expect_rejected(pki.front(), &stranger, |front| {
        other.connect(front, "").env("SSL_CERT_FILE", &*pki.file)
    });
}

#[test]
fn the_message_says_what_is_wrong_with_a_certificate() {
    let pki = Pki::new();
    let issue = |names: &[&str], kind| TlsFront::new(&pki.authority.issue(names, kind));
    let here = &["localhost", "127.0.0.1"];
    for (front, parts) in [
        (issue(here, CertificateKind::Expired), &["expired on 2021-06-30", "clock"][..]),
        (issue(here, CertificateKind::NotYetValid), &["not valid before 2098-12-31", "clock"]),
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
        expect_rejected(front, parts, |front| pki.connect(front, ""));
    }
}

/// These messages contained the `Debug` output of Rust values, with object identifiers as lists of
/// bytes.
#[test]
fn an_unsupported_certificate_was_described_by_a_rust_value() {
    let pin = format!("--tls-pin {}", openssl::PIN);
    for (pem, parts) in [
        (openssl::P521_SHA256, &["signed with ECDSA with SHA-256 and a key of type P-521", &pin][..]),
        (openssl::P521_SHA512, &["signed with ECDSA with SHA-512", "P-521 key", &pin]),
        (openssl::RSA_PSS, &["signed with RSA-PSS with unusual parameters", &pin]),
        (openssl::RSA_PSS_KEY, &["RSA-PSS", "a key of type RSA-PSS", &pin]),
        (openssl::RSA_SHA1, &["signed with RSA with SHA-1", &pin]),
        (openssl::VERSION_1, &["X.509 version 1", "administrator"]),
    ] {
        let (identity, authority) = Identity::of_openssl(pem);
        expect_rejected(TlsFront::new(&identity), parts, |front| trusting(&authority, front, ""));
    }
    // The version matters even to a proxy whose certificate is not verified.
    let (identity, _) = Identity::of_openssl(openssl::VERSION_1);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let front = TlsFront::with_versions(&identity, &[version], None);
        expect_rejected(front, &["X.509 version 1", "administrator"], |front| {
            connect(format!("-q --insecure -H https://localhost:{} host.example 22", front.port()))
        });
    }
}

/// A pin replaces the chain of certificates, but the proxy still signs with its key.
#[test]
fn a_pin_is_not_advised_for_a_key_that_is_not_supported() {
    let (leaf, authority) = openssl::P521_SHA256.split_at(openssl::P521_SHA256.rfind("-----BEGIN").unwrap());
    let (identity, _) = Identity::of_openssl(&[authority, leaf].concat());
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let unused = Server::each([]);
        let front = TlsFront::with_versions(&identity, &[version], None).in_front_of(&unused);
        let out =
            connect(format!("-q --insecure -H https://localhost:{} host.example 22", front.port())).run();
        out.expect_failure(5, &["a key of type P-521", "administrator"]).expect_stderr_lacks("--tls-pin");
    }
}

/// A stolen certificate is of no use without its key.
#[test]
fn a_proxy_without_the_key_of_its_certificate_is_rejected() {
    let pki = Pki::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let identity = pki.authority.localhost().with_another_key();
        let front = TlsFront::with_versions(&identity, &[version], None);
        expect_rejected(front, &["a certificate, but not its private key", "impostor"], |front| {
            pki.connect(front, "")
        });
    }
}

/// The alert depends on the error that the verifier returns to the TLS library.
#[test]
fn a_rejected_proxy_is_told_the_reason() {
    let (pki, other) = (Pki::new(), Pki::named("Other Authority"));
    let expired = pki.authority.issue(&["localhost"], CertificateKind::Expired);
    let wrong_name = pki.authority.issue(&["other.example"], CertificateKind::Server);
    let (key, another_key) = (pki.authority.localhost(), pki.authority.localhost());
    let pin = format!("--tls-pin {}", another_key.pin());
    for (identity, options, alert) in [
        (&expired, "", "CertificateExpired"),
        (&wrong_name, "", "BadCertificate"),
        (&other.authority.localhost(), "", "UnknownCA"),
        (&key, &pin, "AccessDenied"),
    ] {
        let unreached = Server::each([]);
        let front = TlsFront::new(identity).in_front_of(&unreached);
        pki.connect(&front, options).run().expect_code(5);
        let failure = front.only_handshake().failure.unwrap_or_default();
        assert!(failure.contains(alert), "{failure}");
        unreached.finish();
    }
}

/// An impostor uses the name of a trusted authority.
#[test]
fn an_authority_of_the_same_name_with_another_key_is_not_trusted() {
    let (pki, other) = (Pki::new(), Pki::new());
    expect_rejected(other.front(), &["does not match the trusted authority 'Test Authority'"], |front| {
        pki.connect(front, "")
    });
}

/// An untrusted proxy can put any name into its certificate.
#[test]
fn control_characters_in_a_certificate_do_not_reach_the_terminal() {
    let hostile = Authority::new("\u{1b}]0;owned\u{7}");
    let pki = Pki::new();
    let unreached = Server::each([]);
    let front = TlsFront::new(&hostile.localhost()).in_front_of(&unreached);
    let out = pki.connect(&front, "").run();
    out.expect_failure(5, &["owned"]);
    assert!(!out.stderr.contains(&0x1b) && !out.stderr.contains(&7), "{}", out.stderr_text());
    unreached.finish();
}

#[test]
fn an_intermediate_certificate_must_be_sent_or_given() {
    let pki = Pki::new();
    let between = pki.authority.intermediate("In Between");
    expect_session(TlsFront::new(&between.localhost().with_intermediate(&between)), |front| {
        pki.connect(front, "")
    });
    let parts = ["'In Between'", "not trusted", "sent no intermediate certificate"];
    expect_rejected(TlsFront::new(&between.localhost()), &parts, |front| pki.connect(front, ""));
    let file = between.file();
    expect_session(TlsFront::new(&between.localhost()), |front| trusting(&file, front, ""));
}

/// `--tls-ca` accepts the proxy's own certificate, whether or not it is a CA certificate.
#[test]
fn a_given_server_certificate_is_trusted_for_its_names_and_validity_period() {
    for is_authority in [false, true] {
        let identity = Identity::self_signed(is_authority);
        let file = identity.certificate_file();
        expect_session(TlsFront::new(&identity), |front| trusting(&file, front, ""));
        expect_rejected(TlsFront::new(&identity), &["not for other.example"], |front| {
            trusting(&file, front, "--tls-server-name other.example")
        });
    }
    let pki = Pki::new();
    let expired = pki.authority.issue(&["localhost"], CertificateKind::Expired);
    let file = expired.certificate_file();
    expect_rejected(TlsFront::new(&expired), &["expired on 2021-06-30"], |front| trusting(&file, front, ""));
}

/// As with `--tls-ca`. `openssl req -x509` makes such certificates, and administrators add them to
/// the system's.
#[test]
fn a_server_certificate_among_the_systems_was_rejected_if_it_was_a_ca_certificate() {
    for is_authority in [false, true] {
        let identity = Identity::self_signed(is_authority);
        let file = identity.certificate_file();
        let through = |front: &TlsServer, options: &str| {
            let args = format!("{options} -H https://localhost:{} host.example 22", front.port());
            connect(args).env("SSL_CERT_FILE", &*file)
        };
        expect_session(TlsFront::new(&identity), |front| through(front, ""));
        expect_rejected(TlsFront::new(&identity), &["not for other.example"], |front| {
            through(front, "--tls-server-name other.example")
        });
    }
}

#[test]
fn the_server_name_may_be_international() {
    let pki = Pki::new();
    let front = TlsFront::new(&pki.authority.issue(&[BUECHER], CertificateKind::Server));
    let handshake = expect_session(front, |front| pki.connect(front, "--tls-server-name Bücher.example"));
    assert_eq!(handshake.name.as_deref(), Some(BUECHER));
}

#[test]
fn another_server_name_can_be_given() {
    let pki = Pki::new();
    let front = || TlsFront::new(&pki.authority.issue(&["inner.example"], CertificateKind::Server));
    let option = "--tls-server-name inner.example";
    let handshake = expect_session(front(), |front| pki.connect(front, option));
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
fn a_pin_is_checked_in_addition_to_the_chain() {
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
    // The message contains the actual pin, so that the user can compare it or pass it to
    // `--tls-pin`.
    expect_rejected(TlsFront::new(&other), &["not pinned", &other.pin()], |front| {
        pki.connect(front, &pinned(&identity.pin()))
    });
    let strange = stranger.localhost();
    expect_rejected(TlsFront::new(&strange), &["'Stranger'"], |front| {
        pki.connect(front, &pinned(&strange.pin()))
    });
}

#[test]
fn with_insecure_only_the_pin_is_checked() {
    let identity = Identity::self_signed(false);
    let options = |pin: &str| format!("--insecure --tls-pin {pin}");
    let through = |front: &TlsServer, options: &str| {
        connect(format!("{options} -H https://localhost:{} host.example 22", front.port()))
    };
    expect_session(TlsFront::new(&identity), |front| through(front, &options(&identity.pin())));
    let other = Identity::self_signed(false);
    expect_rejected(TlsFront::new(&other), &["not pinned"], |front| {
        through(front, &options(&identity.pin()))
    });
}

#[test]
fn insecure_accepts_any_certificate_with_a_warning() {
    let pki = Pki::new();
    let expired = TlsFront::new(&pki.authority.issue(&["other.example"], CertificateKind::Expired));
    let proxy = http_ok().early("welcome").serve();
    let front = expired.in_front_of(&proxy);
    let out = connect(format!("--insecure -H https://localhost:{} host.example 22", front.port())).run();
    out.expect_code(0).expect_stdout("welcome").expect_stderr_has("--insecure");
    assert_eq!(out.stderr_text().lines().count(), 1, "{}", out.stderr_text());
    proxy.finish();
}

/// The first certificate of the file was ignored.
#[test]
fn a_certificate_file_from_windows_was_empty_for_its_byte_order_mark() {
    let identity = Identity::self_signed(true);
    let file = TempPath::file("certificate.pem", from_windows(&identity.pem(), false));
    expect_session(TlsFront::new(&identity), |front| trusting(&file, front, ""));
    let file = TempPath::file("certificate.pem", from_windows(&identity.pem(), true));
    let unreached = Server::each([]);
    let front = TlsFront::new(&identity).in_front_of(&unreached);
    trusting(&file, &front, "").run().expect_failure(2, &["cannot read", "UTF-16 text, expected UTF-8"]);
    unreached.finish();
}

#[test]
fn a_file_without_a_certificate_is_an_error_before_dialling() {
    let unreached = Server::each([]);
    let front = Pki::new().front().in_front_of(&unreached);
    for (content, part) in [
        ("", "no certificate"),
        ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "invalid certificate in"),
    ] {
        let file = TempPath::file("empty.pem", content);
        trusting(&file, &front, "").run().expect_failure(2, &["empty.pem", part]);
    }
    let file = TempPath::new("absent.pem");
    trusting(&file, &front, "").run().expect_failure(2, &["absent.pem", "cannot read"]);
    unreached.finish();
}
