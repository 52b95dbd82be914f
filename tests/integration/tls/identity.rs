//! Client certificates.

use super::*;

/// A proxy that requires a client certificate issued by `members`.
struct Club {
    pki: Pki,
    members: Authority,
}

impl Club {
    fn new() -> Self {
        Self { pki: Pki::new(), members: Authority::new("Members") }
    }

    fn front(&self, version: &'static rustls::SupportedProtocolVersion) -> TlsFront {
        TlsFront::requiring_client_certificate(&self.pki.authority.localhost(), &self.members, &[version])
    }

    fn member(&self) -> Identity {
        self.members.issue(&["me"], CertificateKind::Client)
    }

    #[track_caller]
    fn expect_accepted(
        &self,
        version: &'static rustls::SupportedProtocolVersion,
        with: impl FnOnce(Program) -> Program,
    ) {
        let proxy = http_ok().early("welcome").serve();
        let front = self.front(version).in_front_of(&proxy);
        with(self.pki.connect(&front, "-w 20")).run().expect_success().expect_stdout("welcome");
        proxy.finish();
    }

    #[track_caller]
    fn expect_rejected(
        &self,
        version: &'static rustls::SupportedProtocolVersion,
        parts: &[&str],
        with: impl FnOnce(Program) -> Program,
    ) {
        let unreached = Server::each([]);
        let front = self.front(version).in_front_of(&unreached);
        with(self.pki.connect(&front, "")).run().expect_failure(5, parts);
        unreached.finish();
    }
}

const VERSIONS: [&rustls::SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

/// Passes a file in an environment variable, because an option would have to precede the host.
fn with_file(program: Program, option: &str, file: &TempPath) -> Program {
    program.env(option, &**file)
}

#[test]
fn a_client_certificate_is_accepted() {
    let club = Club::new();
    let member = club.member();
    let (certificate, key) = (member.certificate_file(), member.key_file());
    for version in VERSIONS {
        club.expect_accepted(version, |program| {
            with_file(with_file(program, "CONNECT_TLS_CERT", &certificate), "CONNECT_TLS_KEY", &key)
        });
        let proxy = http_ok().early("welcome").serve();
        let front = club.front(version).in_front_of(&proxy);
        let program = connect("--tls-cert").arg(&*certificate).arg("--tls-key").arg(&*key).arg("--tls-ca");
        let program = program.arg(&*club.pki.file).args(format!("-H https://{front} host.example 22"));
        program.run().expect_success().expect_stdout("welcome");
        proxy.finish();
    }
}

#[test]
fn certificate_and_key_may_be_in_one_file() {
    let club = Club::new();
    let member = club.member();
    let key = std::fs::read_to_string(&*member.key_file()).unwrap();
    let both = member.key_file();
    std::fs::write(&*both, member.pem() + &key).unwrap();
    club.expect_accepted(VERSIONS[1], |program| with_file(program, "CONNECT_TLS_CERT", &both));
}

/// With TLS 1.3, the alert arrives after the client has completed its side of the handshake. The
/// message then began with "lost the connection" and advised to check the type of the proxy.
#[test]
fn the_rejection_of_a_client_certificate_looked_like_a_lost_connection() {
    let club = Club::new();
    let stranger = club.pki.authority.issue(&["me"], CertificateKind::Client);
    let (certificate, key) = (stranger.certificate_file(), stranger.key_file());
    let aborted = ["aborted the TLS handshake", "aborted the TLS connection"];
    for (version, aborted) in VERSIONS.into_iter().zip(aborted) {
        let parts =
            [aborted, "a client certificate is required", "specify a client certificate with --tls-cert"];
        club.expect_rejected(version, &parts, |program| program);
        let parts = [aborted, "unknown_ca", "a client certificate that the proxy accepts", "--tls-cert"];
        club.expect_rejected(version, &parts, |program| {
            with_file(with_file(program, "CONNECT_TLS_CERT", &certificate), "CONNECT_TLS_KEY", &key)
        });
    }
}

#[test]
fn an_unusable_key_is_an_error_before_dialling() {
    let club = Club::new();
    let (member, other) = (club.member(), club.member());
    let certificate = member.certificate_file();
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let unreached = Server::each([]);
    let front = club.front(VERSIONS[1]).in_front_of(&unreached);
    for (key, part) in [
        (other.key_file(), "the key does not belong to the certificate"),
        (TempPath::file("key.pem", encrypted), "encrypted"),
        (TempPath::file("key.pem", "nothing"), "no private key in"),
        (TempPath::new("key.pem"), "cannot read"),
    ] {
        let program = club.pki.connect(&front, "");
        let out =
            with_file(with_file(program, "CONNECT_TLS_CERT", &certificate), "CONNECT_TLS_KEY", &key).run();
        out.expect_code(2).expect_stderr_has("key.pem").expect_stderr_has(part);
    }
    unreached.finish();
}

#[cfg(unix)]
#[test]
fn a_key_that_other_users_can_read_causes_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let club = Club::new();
    let member = club.member();
    let (certificate, key) = (member.certificate_file(), member.key_file());
    std::fs::set_permissions(&*key, PermissionsExt::from_mode(0o644)).unwrap();
    let proxy = http_ok().early("welcome").serve();
    let front = club.front(VERSIONS[1]).in_front_of(&proxy);
    let program = club.pki.connect(&front, "");
    let out = with_file(with_file(program, "CONNECT_TLS_CERT", &certificate), "CONNECT_TLS_KEY", &key).run();
    out.expect_code(0).expect_stdout("welcome").expect_stderr_has("chmod 600");
    proxy.finish();
}

/// The password is sent only after the proxy's certificate has been verified.
#[test]
fn a_proxy_that_is_not_trusted_does_not_get_the_password() {
    let club = Club::new();
    let unreached = Server::each([]);
    let front = TlsFront::new(&Identity::self_signed(false)).in_front_of(&unreached);
    let out = club.pki.connect(&front, "").env("HTTP_PROXY_PASSWORD", "secret").run();
    out.expect_failure(5, &["self-signed"]).expect_stderr_lacks("secret");
    unreached.finish();
}
