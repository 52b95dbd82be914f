//! Names of the algorithms in certificates (RFC 5280 §4.1.1.2).

use super::certificate::{OBJECT, Reader};

/// Object identifiers of signature algorithms, keys and curves.
const NAMES: [(&str, &str); 28] = [
    ("1.2.840.10040.4.1", "DSA"),
    ("1.2.840.10040.4.3", "DSA with SHA-1"),
    ("1.2.840.10045.2.1", "ECDSA"),
    ("1.2.840.10045.3.1.7", "P-256"),
    ("1.2.840.10045.4.1", "ECDSA with SHA-1"),
    ("1.2.840.10045.4.3.1", "ECDSA with SHA-224"),
    ("1.2.840.10045.4.3.2", "ECDSA with SHA-256"),
    ("1.2.840.10045.4.3.3", "ECDSA with SHA-384"),
    ("1.2.840.10045.4.3.4", "ECDSA with SHA-512 (usual for a P-521 key)"),
    ("1.2.840.113549.1.1.1", "RSA"),
    ("1.2.840.113549.1.1.4", "RSA with MD5"),
    ("1.2.840.113549.1.1.5", "RSA with SHA-1"),
    ("1.2.840.113549.1.1.10", "RSA-PSS"),
    ("1.2.840.113549.1.1.11", "RSA with SHA-256"),
    ("1.2.840.113549.1.1.12", "RSA with SHA-384"),
    ("1.2.840.113549.1.1.13", "RSA with SHA-512"),
    ("1.2.840.113549.1.1.14", "RSA with SHA-224"),
    ("1.2.156.10197.1.501", "SM2"),
    ("1.3.101.112", "Ed25519"),
    ("1.3.101.113", "Ed448"),
    ("1.3.132.0.10", "secp256k1"),
    ("1.3.132.0.34", "P-384"),
    ("1.3.132.0.35", "P-521"),
    ("1.3.36.3.3.2.8.1.1.7", "brainpoolP256r1"),
    ("1.3.36.3.3.2.8.1.1.11", "brainpoolP384r1"),
    ("2.16.840.1.101.3.4.3.17", "ML-DSA-44"),
    ("2.16.840.1.101.3.4.3.18", "ML-DSA-65"),
    ("2.16.840.1.101.3.4.3.19", "ML-DSA-87"),
];

/// Maximum number of components of an unknown object identifier to show.
const MAX_COMPONENTS: usize = 20;

/// Returns the name of a signature algorithm, given the content of its `AlgorithmIdentifier`.
pub(super) fn signature(identifier: &[u8]) -> String {
    match Reader(identifier).content(OBJECT).and_then(dotted) {
        // The parameters of RSA-PSS decide whether it is supported.
        Some(identifier) if name(&identifier) == "RSA-PSS" => "RSA-PSS with unusual parameters".into(),
        Some(identifier) => name(&identifier),
        None => "an unknown algorithm".into(),
    }
}

/// Returns the name of a key's type, given the content of its `AlgorithmIdentifier`: that of the
/// curve if there is one.
pub(super) fn key(identifier: &[u8]) -> String {
    let mut fields = Reader(identifier);
    let algorithm = fields.content(OBJECT).and_then(dotted);
    let curve = fields.content(OBJECT).and_then(dotted);
    curve.or(algorithm).map_or_else(|| "unknown".into(), |identifier| name(&identifier))
}

/// Returns the name of an object identifier, or else the identifier.
fn name(identifier: &str) -> String {
    let known = NAMES.iter().find(|(known, _)| *known == identifier);
    known.map_or_else(|| format!("algorithm {identifier}"), |(_, name)| (*name).into())
}

/// Decodes an object identifier (X.690 §8.19) into its dotted form. `None` if it is malformed or
/// too long.
fn dotted(content: &[u8]) -> Option<String> {
    let mut components: Vec<u64> = Vec::new();
    let mut value: u64 = 0;
    let (last, _) = content.split_last()?;
    if last & 0x80 != 0 {
        return None;
    }
    for byte in content {
        value = value.checked_mul(128)? + u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            components.push(value);
            value = 0;
        }
    }
    if components.len() >= MAX_COMPONENTS {
        return None;
    }
    // The first number encodes two components.
    let first = components[0];
    let root = (first / 40).min(2);
    let start = format!("{root}.{}", first - root * 40);
    Some(components[1..].iter().fold(start, |dotted, component| format!("{dotted}.{component}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_have_names() {
        assert_eq!(signature(b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"), "ECDSA with SHA-256");
        assert_eq!(
            signature(b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x00"),
            "RSA-PSS with unusual parameters"
        );
        assert_eq!(signature(b"\x06\x03\x2b\x65\x71"), "Ed448");
        assert_eq!(signature(b"\x06\x03\x88\x37\x03"), "algorithm 2.999.3");
        let p521 = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x23";
        assert_eq!(key(p521), "P-521");
        assert_eq!(key(b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00"), "RSA");
    }

    #[test]
    fn malformed_identifiers_have_no_name() {
        let long = [&[6, 40][..], &[1; 40]].concat();
        let large = [&[6, 12][..], &[0xff; 11], &[1]].concat();
        for identifier in [&b""[..], b"\x06", b"\x06\x00", b"\x06\x01\x80", b"\x05\x00", &long, &large] {
            assert_eq!(signature(identifier), "an unknown algorithm", "{identifier:?}");
            assert_eq!(key(identifier), "unknown", "{identifier:?}");
        }
    }
}
