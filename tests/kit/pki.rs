//! Certificate authorities and certificates for the tests.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    PublicKeyData, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TempPath;

/// A certificate authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its private key and any intermediate certificates.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

/// Certificates with signatures, keys or versions that the program does not support; see
/// [`Identity::of_openssl`].
pub(crate) mod openssl {
    pub(crate) const P521_SHA256: &str = include_str!("certificates/p521-sha256.pem");
    pub(crate) const P521_SHA512: &str = include_str!("certificates/p521-sha512.pem");
    pub(crate) const RSA_PSS: &str = include_str!("certificates/rsa-pss.pem");
    pub(crate) const RSA_PSS_KEY: &str = include_str!("certificates/rsa-pss-key.pem");
    pub(crate) const RSA_SHA1: &str = include_str!("certificates/rsa-sha1.pem");
    pub(crate) const VERSION_1: &str = include_str!("certificates/version-1.pem");
    /// The pin of the key in all of them.
    pub(crate) const PIN: &str = "sha256//6yygdXay64YYgw285jv2d2oPOsqYzE40+rBBKL9Umog=";
}

/// A certificate's purpose and validity.
#[derive(Clone, Copy)]
pub(crate) enum CertificateKind {
    Server,
    Client,
    Expired,
    NotYetValid,
}

impl Authority {
    /// Returns a self-signed authority.
    pub(crate) fn new(name: &str) -> Self {
        Self(CertifiedIssuer::self_signed(authority(name), KeyPair::generate().unwrap()).unwrap())
    }

    /// Returns an intermediate authority, signed by this one.
    pub(crate) fn intermediate(&self, name: &str) -> Self {
        Self(CertifiedIssuer::signed_by(authority(name), KeyPair::generate().unwrap(), &self.0).unwrap())
    }

    /// Issues a certificate for these names and addresses.
    pub(crate) fn issue(&self, names: &[&str], kind: CertificateKind) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = subject(names, kind).signed_by(&key, &self.0).unwrap();
        Identity { chain: vec![certificate.der().clone()], key }
    }

    /// Issues a server certificate for `localhost` and `127.0.0.1`.
    pub(crate) fn localhost(&self) -> Identity {
        self.issue(&["localhost", "127.0.0.1"], CertificateKind::Server)
    }

    /// Returns the authority's own certificate.
    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// Writes the authority's certificate to a file.
    pub(crate) fn file(&self) -> TempPath {
        TempPath::file("authority.pem", self.0.pem())
    }
}

impl Identity {
    /// Returns a self-signed certificate, with or without the CA flag.
    pub(crate) fn self_signed(is_authority: bool) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = subject(&["localhost", "127.0.0.1"], CertificateKind::Server);
        if is_authority {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        Self { chain: vec![params.self_signed(&key).unwrap().der().clone()], key }
    }

    /// Returns a certificate for `localhost` and `127.0.0.1` that rcgen cannot make, without its
    /// key, and a file with its authority. OpenSSL has made the files of [`openssl`]; each
    /// contains the two certificates.
    pub(crate) fn of_openssl(pem: &str) -> (Self, TempPath) {
        let mut chain: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect();
        let authority = Self { chain: chain.split_off(1), key: KeyPair::generate().unwrap() };
        (Self { chain, key: KeyPair::generate().unwrap() }, authority.certificate_file())
    }

    /// Replaces the key with one that does not belong to the certificate.
    pub(crate) fn with_another_key(self) -> Self {
        Self { key: KeyPair::generate().unwrap(), ..self }
    }

    /// Adds the certificate of an intermediate authority to the chain.
    pub(crate) fn with_intermediate(mut self, intermediate: &Authority) -> Self {
        self.chain.push(intermediate.certificate());
        self
    }

    /// Returns the private key in DER format.
    pub(crate) fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.key.serialize_der().into())
    }

    /// Writes the private key to a file that only its owner can read.
    pub(crate) fn key_file(&self) -> TempPath {
        let file = TempPath::file("key.pem", self.key.serialize_pem());
        #[cfg(unix)]
        std::fs::set_permissions(&*file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        file
    }

    /// Writes the certificate chain to a file.
    pub(crate) fn certificate_file(&self) -> TempPath {
        TempPath::file("certificate.pem", self.pem())
    }

    /// Returns the certificate chain in PEM format.
    pub(crate) fn pem(&self) -> String {
        use base64::prelude::{BASE64_STANDARD, Engine};
        let text = |der: &CertificateDer<'_>| {
            let lines = BASE64_STANDARD.encode(der);
            format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n")
        };
        self.chain.iter().map(text).collect()
    }

    /// Returns the value of `--tls-pin` for the key.
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
    params.distinguished_name.push(DnType::CommonName, "test");
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
