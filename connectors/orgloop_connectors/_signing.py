"""
Signatures of webhooks: made and checked, over the bytes as they travel. Pure; time is an argument.

    hmac        <prefix><digest of the body> in one header: GitHub's, Linear's, the original's
    standard    Standard Webhooks: webhook-id, webhook-timestamp, webhook-signature (v1 entries of HMAC-SHA256)

Law: what is not exactly a signature is a wrong one: nothing is trimmed, folded or decoded leniently, and nothing that
a sender writes raises. Texts are compared in constant time, against every secret that is known, as bytes.

The second is of https://github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import attrs

TOLERANCE_S = 300.0
"""How old, or how far ahead, a signed timestamp may be."""

MAX_ID_CHARS = 256
"""How long the id of a delivery may be."""

MAX_SIGNATURE_CHARS = 4096
"""How long a header with signatures may be."""

STANDARD_PREFIX = "whsec_"

Algorithm = Literal["sha256", "sha512", "sha1"]
Encoding = Literal["hex", "base64"]

# Graphic ASCII without the dot, which separates id and timestamp in what is signed.
_ID = re.compile(r"[!-\-/-~]{1,256}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


@attrs.frozen(kw_only=True)
class Hmac:
    """How a digest of the body is written into a header."""

    algorithm: Algorithm = "sha256"
    prefix: str = "sha256="
    encoding: Encoding = "hex"

    def sign(self, secret: str, body: bytes) -> str:
        """
        The value of the header.

        >>> Hmac().sign("It's a Secret to Everybody", b"Hello, World!")
        'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17'
        """
        digest = hmac.new(secret.encode(), body, getattr(hashlib, self.algorithm)).digest()
        return self.prefix + (digest.hex() if self.encoding == "hex" else base64.b64encode(digest).decode())

    def verify(self, secrets: Iterable[str], body: bytes, signature: str) -> bool:
        """Whether one of the secrets has made this signature of this body."""
        return _is_one_of(signature, [self.sign(secret, body) for secret in secrets])


def standard_key(secret: str) -> bytes:
    """The key in a secret of Standard Webhooks: base64, usually behind ``whsec_``; ValueError if it is none."""
    try:
        key = base64.b64decode(secret.removeprefix(STANDARD_PREFIX), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise ValueError(f"must be {STANDARD_PREFIX} and base64, as in whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw") from exc
    if not key:
        raise ValueError("holds no key")
    return key


def sign_standard(key: bytes, body: bytes, *, id: str, at_s: float) -> dict[str, str]:
    """The three headers; ``id`` is the same for every attempt, ``at_s`` (Unix seconds) is that of this one."""
    timestamp = str(int(at_s))
    return {
        "webhook-id": id,
        "webhook-timestamp": timestamp,
        "webhook-signature": _standard_entry(key, body, id=id, timestamp=timestamp),
    }


def verify_standard(
    keys: Sequence[bytes],
    body: bytes,
    headers: Mapping[str, str],
    *,
    now_s: float,
    tolerance_s: float = TOLERANCE_S,
) -> bool:
    """Whether one of the keys has signed this body under this id, and not too long ago."""
    id_, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    signatures = headers.get("webhook-signature", "")
    if not _ID.fullmatch(id_) or not _TIMESTAMP.fullmatch(timestamp) or len(signatures) > MAX_SIGNATURE_CHARS:
        return False
    expected = [_standard_entry(key, body, id=id_, timestamp=timestamp) for key in keys]
    # Several entries mean that the sender rotates its secret; those of other versions are none of ours.
    verdicts = [_is_one_of(entry, expected) for entry in signatures.split(" ")]
    return any(verdicts) and abs(now_s - int(timestamp)) <= tolerance_s


def _standard_entry(key: bytes, body: bytes, *, id: str, timestamp: str) -> str:
    signed = b".".join((id.encode(), timestamp.encode(), body))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _is_one_of(text: str, expected: Sequence[str]) -> bool:
    if len(text) > MAX_SIGNATURE_CHARS:
        return False
    # As bytes, because compare_digest raises for text that is not ASCII; and all of them, whichever it is.
    written = text.encode("utf-8", "surrogatepass")
    verdicts = [hmac.compare_digest(written, candidate.encode()) for candidate in expected]
    return any(verdicts)
