//! Certificates of the tests' own making.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    PublicKeyData, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TempPath;

/// An authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, and with those between it and an authority.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

/// What is different about a certificate.
#[derive(Clone, Copy)]
pub(crate) enum CertificateKind {
    Server,
    Client,
    Expired,
    NotYetValid,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        Self(CertifiedIssuer::self_signed(authority(name), KeyPair::generate().unwrap()).unwrap())
    }

    /// Another one, for which this one vouches.
    pub(crate) fn intermediate(&self, name: &str) -> Self {
        Self(CertifiedIssuer::signed_by(authority(name), KeyPair::generate().unwrap(), &self.0).unwrap())
    }

    /// A certificate for these names and addresses.
    pub(crate) fn issue(&self, names: &[&str], kind: CertificateKind) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = subject(names, kind).signed_by(&key, &self.0).unwrap();
        Identity { chain: vec![certificate.der().clone()], key }
    }

    /// One that a proxy on this machine may have.
    pub(crate) fn localhost(&self) -> Identity {
        self.issue(&["localhost", "127.0.0.1"], CertificateKind::Server)
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// Its certificate as a file.
    pub(crate) fn file(&self) -> TempPath {
        TempPath::file("authority.pem", self.0.pem())
    }
}

impl Identity {
    /// Nobody but itself vouches for it. It may also be an authority's.
    pub(crate) fn self_signed(is_authority: bool) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = subject(&["localhost", "127.0.0.1"], CertificateKind::Server);
        if is_authority {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        Self { chain: vec![params.self_signed(&key).unwrap().der().clone()], key }
    }

    /// With the certificate of an authority in between.
    pub(crate) fn with_intermediate(mut self, intermediate: &Authority) -> Self {
        self.chain.push(intermediate.certificate());
        self
    }

    pub(crate) fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.key.serialize_der().into())
    }

    /// Its key as a file that is nobody else's business.
    pub(crate) fn key_file(&self) -> TempPath {
        let file = TempPath::file("key.pem", self.key.serialize_pem());
        #[cfg(unix)]
        std::fs::set_permissions(&*file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        file
    }

    /// Its certificate as a file.
    pub(crate) fn certificate_file(&self) -> TempPath {
        TempPath::file("certificate.pem", self.pem())
    }

    /// Its certificates as text.
    pub(crate) fn pem(&self) -> String {
        use base64::prelude::{BASE64_STANDARD, Engine};
        let text = |der: &CertificateDer<'_>| {
            let lines = BASE64_STANDARD.encode(der);
            format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n")
        };
        self.chain.iter().map(text).collect()
    }

    /// The pin of its key.
    pub(crate) fn pin(&self) -> String {
        use base64::prelude::{BASE64_STANDARD, Engine};
        let key = self.key.subject_public_key_info();
        let suite = rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13().unwrap();
        format!("sha256//{}", BASE64_STANDARD.encode(suite.common.hash_provider.hash(&key)))
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn subject(names: &[&str], kind: CertificateKind) -> CertificateParams {
    let names: Vec<_> = names.iter().copied().map(str::to_owned).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, "a test's");
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2099, 1, 1));
    let mut usage = ExtendedKeyUsagePurpose::ServerAuth;
    match kind {
        CertificateKind::Server => {}
        CertificateKind::Client => usage = ExtendedKeyUsagePurpose::ClientAuth,
        CertificateKind::Expired => params.not_after = date_time_ymd(2021, 6, 30),
        CertificateKind::NotYetValid => params.not_before = date_time_ymd(2098, 12, 31),
    }
    params.extended_key_usages = vec![usage];
    params
}
