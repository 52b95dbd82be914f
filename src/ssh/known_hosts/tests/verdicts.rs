use super::*;

/// A time at which the certificate is valid: 2026-06-01.
const NOW: u64 = 1_780_272_000;

const MODES: [Mode; 4] = [Mode::Yes, Mode::Ask, Mode::AcceptNew, Mode::No];

/// Returns the certificate of the Ed25519 key for `web.example` and `www.web.example`.
fn certificate() -> Certificate {
    let line = include_str!("../../certificate/testdata/ed25519-cert.pub");
    let blob = BASE64_STANDARD.decode(line.split(' ').nth(1).unwrap()).unwrap();
    Certificate::parse(&blob).unwrap()
}

fn judge(host: &str, port: u16, key: &PublicKey, content: &str) -> Verdict {
    read(host, port, content).judge(Presented::Key(key), NOW)
}

fn judge_certificate(host: &str, port: u16, content: &str) -> Verdict {
    read(host, port, content).judge(Presented::Certificate(&certificate()), NOW)
}

fn place(line: usize) -> Place {
    Place { file: "F".into(), line }
}

fn trusted(line: usize) -> Verdict {
    Verdict::Trusted { place: place(line), authority: None }
}

fn unknown() -> Verdict {
    Verdict::Unknown { authority: None }
}

/// The table of the specification, row by row.
#[test]
fn the_mode_decides_about_keys_that_are_not_known() {
    use Action::{Add, Ask, Connect, ConnectRestricted, Refuse};
    let key = ed25519(1);
    for (content, expected) in [
        (format!("h {key}"), [Connect; 4]),
        (format!("h {}\nh {key}", ed25519(2)), [Connect; 4]),
        (String::new(), [Refuse, Ask, Add, Add]),
        (format!("h {}", ecdsa(1)), [Refuse, Ask, Refuse, ConnectRestricted]),
        (format!("h {}", dsa()), [Refuse, Ask, Refuse, ConnectRestricted]),
        (format!("h {}", ed25519(2)), [Refuse, Refuse, Refuse, ConnectRestricted]),
        (format!("h {}\nh {}", ecdsa(1), ed25519(2)), [Refuse, Refuse, Refuse, ConnectRestricted]),
        (format!("@revoked h {key}"), [Refuse; 4]),
        (format!("h {key}\n@revoked * {key}"), [Refuse; 4]),
    ] {
        let verdict = judge("h", 22, &key, &content);
        assert_eq!(MODES.map(|mode| verdict.action(mode)), expected, "{content}");
    }
}

#[test]
fn modes_are_named_as_in_ssh_config_and_in_the_output_of_ssh() {
    for (words, mode) in [
        (&["yes", "true"][..], Mode::Yes),
        (&["ask"], Mode::Ask),
        (&["accept-new"], Mode::AcceptNew),
        (&["no", "off", "false"], Mode::No),
    ] {
        assert!(words.iter().all(|word| Mode::parse(word) == Some(mode)), "{words:?}");
    }
    assert_eq!(Mode::parse("Yes"), None);
    assert_eq!(Mode::default(), Mode::Ask);
}

#[test]
fn the_bare_name_counts_if_the_port_has_no_entry() {
    let (key, other) = (ed25519(1), ed25519(2));
    for (content, expected) in [
        (format!("h {key}"), trusted(1)),
        // The key under the bare name may belong to another server.
        (format!("h {other}"), unknown()),
        (format!("h {}", ecdsa(1)), unknown()),
        (format!("@revoked [h]:2222 {other}\nh {key}"), trusted(2)),
        (
            format!("[h]:2222 {other}\nh {key}"),
            Verdict::Changed { place: place(1), fingerprint: other.fingerprint() },
        ),
        (format!("* {other}\n[h]:2222 {key}"), trusted(2)),
        (format!("[h]:2222 {key}\n@revoked h {key}"), Verdict::Revoked { place: place(2) }),
    ] {
        assert_eq!(judge("h", 2222, &key, &content), expected, "{content}");
    }
    assert_eq!(judge("h", 22, &key, &format!("[h]:22 {key}\n[h]:2222 {key}")), unknown());
    assert!(matches!(
        judge("h", 2222, &key, &format!("[h]:2222 {}\nh {key}", ecdsa(1))),
        Verdict::OtherTypes { .. }
    ));
}

#[test]
fn entries_of_several_files_count() {
    let (key, other) = (ed25519(1), ed25519(2));
    let mut known = KnownHosts::new(HostName::new("h", 22));
    known.add_file("A", format!("h {other}\n").as_bytes());
    known.add_file("B", format!("\nh {key}\n").as_bytes());
    let verdict = known.judge(Presented::Key(&key), NOW);
    assert_eq!(verdict, Verdict::Trusted { place: Place { file: "B".into(), line: 2 }, authority: None });
    known.add_file("C", format!("@revoked h {key}\n").as_bytes());
    assert!(matches!(known.judge(Presented::Key(&key), NOW), Verdict::Revoked { .. }));
}

#[test]
fn an_authority_is_trusted_for_the_names_of_its_line() {
    let authority = certificate().authority().clone();
    let by_authority =
        |line| Verdict::Trusted { place: place(line), authority: Some(authority.fingerprint()) };
    let line = format!("\n@cert-authority *.example {authority}");
    assert_eq!(judge_certificate("web.example", 22, &line), by_authority(2));
    assert_eq!(judge_certificate("WWW.web.example", 22, &line), by_authority(2));
    assert_eq!(judge_certificate("web.example", 2222, &line), by_authority(2));
    assert_eq!(
        judge_certificate("web.example", 2222, &format!("[web.example]:2222 {}{line}", ed25519(1))),
        by_authority(2)
    );
    let not_trusted = Verdict::Unknown { authority: Some(authority.fingerprint()) };
    assert_eq!(judge_certificate("web.test", 22, &line), not_trusted);
    // A line without the marker is a host key, and a plain key is not an authority's.
    assert!(matches!(
        judge_certificate("web.example", 22, &format!("* {authority}")),
        Verdict::OtherTypes { .. }
    ));
    assert_eq!(judge("web.example", 22, &authority, &line), unknown());
}

#[test]
fn an_invalid_certificate_of_a_trusted_authority_is_refused() {
    let certificate = certificate();
    let (authority, key) = (certificate.authority(), certificate.key());
    let content = format!("other.example,web.example {key}\n@cert-authority * {authority}");
    let verdict = judge_certificate("other.example", 22, &content);
    let Verdict::InvalidCertificate(CertificateProblem::Principal { .. }) = &verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!(MODES.map(|mode| verdict.action(mode)), [Action::Refuse; 4]);
    let known = read("web.example", 22, &content);
    let later = known.judge(Presented::Certificate(&certificate), NOW + 365 * 86_400);
    assert!(matches!(later, Verdict::InvalidCertificate(CertificateProblem::Expired(_))), "{later:?}");
}

#[test]
fn a_certificate_of_another_authority_counts_as_its_key() {
    let certificate = certificate();
    let (key, other) = (certificate.key(), ed25519(2));
    for (content, expected) in [
        (format!("web.example {key}"), trusted(1)),
        (format!("@cert-authority * {other}\nweb.example {key}"), trusted(2)),
        (
            format!("web.example {other}"),
            Verdict::Changed { place: place(1), fingerprint: other.fingerprint() },
        ),
        (format!("@revoked * {key}\n@cert-authority * {other}"), Verdict::Revoked { place: place(1) }),
    ] {
        assert_eq!(judge_certificate("web.example", 22, &content), expected, "{content}");
    }
}

#[test]
fn a_revoked_authority_is_refused() {
    let certificate = certificate();
    let (authority, key) = (certificate.authority(), certificate.key());
    for content in [
        format!("@cert-authority * {authority}\n@revoked * {authority}"),
        format!("* {key}\n@revoked * {authority}"),
    ] {
        let fingerprint = authority.fingerprint();
        let verdict = judge_certificate("web.example", 22, &content);
        assert_eq!(verdict, Verdict::AuthorityRevoked { place: place(2), fingerprint });
        assert_eq!(MODES.map(|mode| verdict.action(mode)), [Action::Refuse; 4]);
    }
    let revoked_key = format!("@cert-authority * {authority}\n@revoked * {key}");
    assert_eq!(judge_certificate("web.example", 22, &revoked_key), Verdict::Revoked { place: place(2) });
}

#[test]
fn messages_name_the_server_the_keys_and_the_line() {
    let (key, other) = (ed25519(1), ed25519(2));
    let (sent, had) = (format!("ED25519 {}", key.fingerprint()), other.fingerprint());
    let name = HostName::new("h", 2222);
    for (content, expected) in [
        (
            String::new(),
            format!(
                "unknown host key of S: {sent}; compare the fingerprint, then use --ssh-strict accept-new or ssh-keyscan"
            ),
        ),
        (
            format!("[h]:2222 {0}\n[h]:2222 {0}\n[h]:2222 {1}", ecdsa(1), dsa()),
            format!(
                "unknown host key of S: {sent}; known types: ECDSA (F:1), DSA (F:3); compare the fingerprint, then use \
                 --ssh-strict ask or ssh-keyscan"
            ),
        ),
        (
            format!("\n[h]:2222 {other}"),
            format!(
                "host key of S has changed: F:2 has {had}, the server sent {sent}; someone may be intercepting the \
                 connection; if the change is expected, run ssh-keygen -R '[h]:2222'"
            ),
        ),
        (format!("@revoked * {key}"), format!("host key of S is revoked: {sent} (F:1)")),
    ] {
        let verdict = judge("h", 2222, &key, &content);
        assert_eq!(verdict.message("S", &name, &key), Some(expected));
    }
    assert_eq!(trusted(1).message("S", &name, &key), None);
}

#[test]
fn messages_about_certificates_name_the_authority() {
    let certificate = certificate();
    let fingerprint = certificate.authority().fingerprint();
    let sent = format!("ED25519 {}", certificate.key().fingerprint());
    let name = HostName::new("h", 22);
    for (verdict, expected) in [
        (
            judge_certificate("h", 22, ""),
            format!(
                "unknown host key of S: {sent}, certified by an authority that is not trusted for this name: \
                 {fingerprint}"
            ),
        ),
        (
            judge_certificate("h", 22, &format!("@revoked h {}", certificate.authority())),
            format!("invalid host certificate of S: authority {fingerprint} is revoked (F:1)"),
        ),
        (
            judge_certificate("h", 22, &format!("@cert-authority h {}", certificate.authority())),
            "invalid host certificate of S: principal \"web.example,www.web.example\", expected \"h\""
                .to_owned(),
        ),
    ] {
        assert_eq!(verdict.message("S", &name, certificate.key()), Some(expected));
    }
}
