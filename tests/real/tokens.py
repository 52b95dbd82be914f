"""Tokens of PyJWT and cryptography, for tokens.rs.

    tokens.py generate FILE      writes a private key, and prints its line for a keys file
    tokens.py mint FILE          prints lines with a status, a name and a token signed by this key
    tokens.py verify LINE AUD    verifies the token on standard input, and prints its claims
"""

import base64
import hashlib
import hmac
import json
import sys
import time

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

RAW = serialization.Encoding.Raw, serialization.PublicFormat.Raw


def generate(path):
    key = Ed25519PrivateKey.generate()
    no_encryption = serialization.NoEncryption()
    with open(path, "wb") as file:
        file.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_encryption))
    print("ed25519", base64.b64encode(key.public_key().public_bytes(*RAW)).decode(), "cryptography")


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def mint(path):
    with open(path, "rb") as file:
        key = serialization.load_pem_private_key(file.read(), None)
    public = key.public_key().public_bytes(*RAW)
    now = int(time.time())
    claims = {"aud": "hub.example", "role": "dest", "session": "lab1", "exp": now + 60, "iat": now}

    def token(key=key, algorithm="EdDSA", headers=None, **changes):
        changed = {**claims, **changes}
        changed = {name: value for name, value in changed.items() if value is not None}
        return jwt.encode(changed, key, algorithm=algorithm, headers=headers)

    good = token()
    head, payload, signature = good.split(".")
    hs256 = b64(b'{"alg":"HS256","typ":"JWT"}') + "." + payload
    hs256 += "." + b64(hmac.new(public, hs256.encode(), hashlib.sha256).digest())
    # The four lowest bits of the last character are not part of the signature.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    trailing = good[:-1] + alphabet[alphabet.index(good[-1]) | 1]
    changed = payload[:10] + alphabet[alphabet.index(payload[10]) ^ 1] + payload[11:]
    for status, name, value in [
        (200, "valid", good),
        (200, "with kid", token(headers={"kid": "cryptography"})),
        (200, "with a list of audiences", token(aud=["other", "hub.example"])),
        (200, "with a prefix", token(session="lab*")),
        (200, "with fractions of a second", token(exp=now + 60.5, nbf=now - 0.5)),
        (200, "from a clock that is fast", token(iat=now + 20, nbf=now + 20)),
        (401, "expired", token(exp=now - 1)),
        (401, "not yet valid", token(nbf=now + 90)),
        (401, "without exp", token(exp=None)),
        (403, "for another audience", token(aud="other.example")),
        (403, "for another session", token(session="lab2")),
        (403, "for another role", token(role="origin")),
        (401, "with algorithm none", jwt.encode(claims, None, algorithm="none")),
        (401, "with HS256 and the public key", hs256),
        (401, "by another key", token(key=Ed25519PrivateKey.generate())),
        (401, "truncated", good[:-20]),
        (401, "with one bit changed", f"{head}.{changed}.{signature}"),
        (401, "with two dots in a row", f"{head}..{payload}.{signature}"),
        (401, "missing", ""),
        (401, "padded", good + "=="),
        (401, "with bits after the signature", trailing),
        (401, "of 1 MiB", good + "A" * 1024 * 1024),
    ]:
        print(status, name, value, sep="\t")


def verify(line, audience):
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(line.split()[1]))
    token = sys.stdin.read().strip()
    claims = jwt.decode(token, public, algorithms=["EdDSA"], audience=audience)
    print(json.dumps({"header": jwt.get_unverified_header(token), "claims": claims}))


globals()[sys.argv[1]](*sys.argv[2:])
