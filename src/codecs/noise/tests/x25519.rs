//! X25519 (RFC 7748 §5) with a private key that a test chooses, which ring does not allow.

use snow::types::{Dh, Random};

/// A number modulo 2^255 − 19, in 16 limbs of 16 bits.
type Field = [i64; 16];

const ONE: Field = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// (486662 − 2) / 4, the constant `a24` of RFC 7748.
const A24: Field = [0xdb41, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Moves what exceeds 16 bits to the next limb; 2^256 is 38 modulo 2^255 − 19.
fn carry(number: &mut Field) {
    for index in 0..16 {
        let excess = number[index] >> 16;
        number[index] -= excess << 16;
        if index < 15 {
            number[index + 1] += excess;
        } else {
            number[0] += 38 * excess;
        }
    }
}

fn add(a: &Field, b: &Field) -> Field {
    std::array::from_fn(|index| a[index] + b[index])
}

fn subtract(a: &Field, b: &Field) -> Field {
    std::array::from_fn(|index| a[index] - b[index])
}

fn multiply(a: &Field, b: &Field) -> Field {
    let mut long = [0; 31];
    for (i, x) in a.iter().enumerate() {
        for (j, y) in b.iter().enumerate() {
            long[i + j] += x * y;
        }
    }
    let mut product = std::array::from_fn(|index| long[index] + 38 * long.get(index + 16).unwrap_or(&0));
    carry(&mut product);
    carry(&mut product);
    product
}

/// Returns the inverse: the power of 2^255 − 21.
fn invert(a: &Field) -> Field {
    let mut power = *a;
    for bit in (0..254).rev() {
        power = multiply(&power, &power);
        if bit != 2 && bit != 4 {
            power = multiply(&power, a);
        }
    }
    power
}

fn decode(bytes: &[u8]) -> Field {
    let mut number: Field =
        std::array::from_fn(|index| i64::from(bytes[2 * index]) | i64::from(bytes[2 * index + 1]) << 8);
    number[15] &= 0x7fff;
    number
}

fn encode(mut number: Field) -> [u8; 32] {
    (0..3).for_each(|_| carry(&mut number));
    // Subtract the modulus while the number is not less.
    for _ in 0..2 {
        let mut reduced = number;
        reduced[0] += 19;
        carry_without_wrap(&mut reduced);
        if reduced[15] >> 15 != 0 {
            reduced[15] &= 0x7fff;
            number = reduced;
        }
    }
    let bytes: Vec<u8> = number.iter().flat_map(|limb| limb.to_le_bytes().into_iter().take(2)).collect();
    bytes.try_into().unwrap()
}

fn carry_without_wrap(number: &mut Field) {
    for index in 0..15 {
        let excess = number[index] >> 16;
        number[index] -= excess << 16;
        number[index + 1] += excess;
    }
}

/// The function X25519, as a Montgomery ladder.
fn x25519(scalar: &[u8], u: &[u8]) -> [u8; 32] {
    let mut scalar: [u8; 32] = scalar.try_into().unwrap();
    scalar[0] &= 0xf8;
    scalar[31] = scalar[31] & 0x7f | 0x40;
    let x1 = decode(u);
    let (mut x2, mut z2, mut x3, mut z3) = (ONE, [0; 16], x1, ONE);
    for bit in (0..255).rev() {
        let is_set = scalar[bit / 8] >> (bit % 8) & 1 == 1;
        if is_set {
            (x2, z2, x3, z3) = (x3, z3, x2, z2);
        }
        let (a, b) = (add(&x2, &z2), subtract(&x2, &z2));
        let (aa, bb) = (multiply(&a, &a), multiply(&b, &b));
        let e = subtract(&aa, &bb);
        let (da, cb) = (multiply(&subtract(&x3, &z3), &a), multiply(&add(&x3, &z3), &b));
        let (sum, difference) = (add(&da, &cb), subtract(&da, &cb));
        x3 = multiply(&sum, &sum);
        z3 = multiply(&x1, &multiply(&difference, &difference));
        x2 = multiply(&aa, &bb);
        z2 = multiply(&e, &add(&aa, &multiply(&A24, &e)));
        if is_set {
            (x2, z2, x3, z3) = (x3, z3, x2, z2);
        }
    }
    encode(multiply(&x2, &invert(&z2)))
}

const BASE: [u8; 32] = {
    let mut base = [0; 32];
    base[0] = 9;
    base
};

/// A Diffie-Hellman function whose private key can be set.
#[derive(Default)]
pub(super) struct FixedDh {
    private: [u8; 32],
    public: [u8; 32],
}

impl Dh for FixedDh {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, private: &[u8]) {
        self.private.copy_from_slice(private);
        self.public = x25519(private, &BASE);
    }

    fn generate(&mut self, random: &mut dyn Random) -> Result<(), snow::Error> {
        let mut private = [0; 32];
        random.try_fill_bytes(&mut private)?;
        self.set(&private);
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public
    }

    fn privkey(&self) -> &[u8] {
        &self.private
    }

    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), snow::Error> {
        out[..32].copy_from_slice(&x25519(&self.private, &public[..32]));
        Ok(())
    }
}

/// RFC 7748 §5.2.
#[test]
fn x25519_vector_of_the_rfc() {
    let scalar = super::hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
    let u = super::hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
    let expected = super::hex("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
    assert_eq!(x25519(&scalar, &u), expected.as_slice());
}
