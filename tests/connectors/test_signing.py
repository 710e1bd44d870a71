"""Signatures, made and checked."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orgloop_connectors._signing import Hmac, sign_standard, standard_key, verify_standard

# The example of Standard Webhooks' own libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT_S = 1614265330
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
KEY = standard_key(SECRET)
OTHER = standard_key("whsec_" + "T" * 32)


def headers(**changed: str) -> dict[str, str]:
    signed = {"webhook-id": ID, "webhook-timestamp": str(AT_S), "webhook-signature": SIGNATURE}
    return signed | {f"webhook-{name}": value for name, value in changed.items()}


def is_accepted(sent: dict[str, str], *, now_s: float = AT_S, keys: tuple[bytes, ...] = (KEY,)) -> bool:
    return verify_standard(keys, BODY, sent, now_s=now_s)


# -- Standard Webhooks -------------------------------------------------------------------------------------------------


def test_the_standards_own_example_is_made() -> None:
    """Of its libraries' test suites."""
    assert sign_standard(KEY, BODY, id=ID, at_s=AT_S + 0.9) == headers()


def test_the_standards_own_example_is_accepted() -> None:
    """With a key among several, as while one is being changed."""
    assert is_accepted(headers())
    assert is_accepted(headers(), keys=(OTHER, KEY))


@pytest.mark.parametrize(
    "signature",
    [
        f"v1,AAAA {SIGNATURE}",
        f"{SIGNATURE} v1,AAAA",
        f"nonsense {SIGNATURE}",
        f"v1a,c2lnbmF0dXJl v2,x {SIGNATURE}",
        f",, é {SIGNATURE}",
    ],
)
def test_one_good_entry_is_enough(signature: str) -> None:
    """Whatever stands beside it: another version, another secret, or nothing that can be read."""
    assert is_accepted(headers(signature=signature))


@pytest.mark.parametrize(
    "signature",
    [
        "",
        " ",
        "v1",
        "v1,",
        SIGNATURE[:-1],
        f"{SIGNATURE}=",
        SIGNATURE.lower(),
        SIGNATURE.replace("v1", "v2"),
        SIGNATURE.removeprefix("v1,"),
        SIGNATURE.replace("+", "-"),
        f"{SIGNATURE},{SIGNATURE}",
        "é" * 10,
        "\udcff",
        f"{SIGNATURE} " * 200,
    ],
)
def test_what_is_not_exactly_a_signature_is_refused(signature: str) -> None:
    """Without a stumble, whatever bytes came."""
    assert not is_accepted(headers(signature=signature))


@pytest.mark.parametrize(("age_s", "accepted"), [(300, True), (301, False), (-300, True), (-301, False), (0, True)])
def test_a_signature_has_its_time(age_s: int, accepted: bool) -> None:
    """Five minutes, to either side."""
    assert is_accepted(headers(), now_s=AT_S + age_s) is accepted


@pytest.mark.parametrize(
    "timestamp",
    ["", "nan", "1e400", "1_614265330", f" {AT_S}", f"{AT_S} ", f"{AT_S}.0", f"+{AT_S}", f"-{AT_S}", "9" * 20, "١٦"],
)
def test_a_timestamp_is_plain_digits(timestamp: str) -> None:
    """Even if it was signed so: what one reader takes for a second, another does not."""
    digest = hmac.new(KEY, b".".join([ID.encode(), timestamp.encode(), BODY]), hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"

    assert not is_accepted(headers(timestamp=timestamp, signature=signature))


@pytest.mark.parametrize("id_", ["", "a.b", "a b", "a\nb", "é", "x" * 257])
def test_an_id_is_short_and_plain(id_: str) -> None:
    """With a dot in it, another body could have the same signature."""
    signed = sign_standard(KEY, BODY, id=id_, at_s=AT_S)

    assert not is_accepted(signed)


def test_a_dot_cannot_be_moved_from_the_timestamp_to_the_id() -> None:
    """What is signed would be the same bytes."""
    signed = sign_standard(KEY, b"5." + BODY, id="a", at_s=AT_S)

    assert not verify_standard([KEY], BODY, {**signed, "webhook-id": f"a.{AT_S}", "webhook-timestamp": "5"}, now_s=AT_S)


@settings(max_examples=50)
@given(st.sampled_from(["id", "timestamp", "signature"]), st.text(max_size=40))
def test_nothing_but_what_was_signed_is_accepted(field: str, text: str) -> None:
    """Any other header is refused, and none raises."""
    changed = headers(**{field: text})

    assert is_accepted(changed) is (changed == headers() or text.split(" ").count(SIGNATURE) > 0)


@pytest.mark.parametrize("secret", ["whsec_", "", "whsec_not base64", "whsec_é", "whsec_AAAA!", "AAA"])
def test_a_secret_of_the_standard_is_base64(secret: str) -> None:
    """A slip is told when the config is read, not by 401s later."""
    with pytest.raises(ValueError, match=r"base64|no key"):
        standard_key(secret)


# -- a digest in a header ----------------------------------------------------------------------------------------------


def test_githubs_own_example_is_accepted() -> None:
    """Of its page on validating webhook deliveries."""
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

    assert Hmac().verify(["It's a Secret to Everybody"], b"Hello, World!", signature)


@pytest.mark.parametrize("scheme", [Hmac(prefix=""), Hmac(algorithm="sha1", prefix="sha1="), Hmac(encoding="base64")])
def test_what_a_scheme_signs_it_accepts(scheme: Hmac) -> None:
    """Bare hex, as Linear's; SHA-1, as some old ones'; base64, as Shopify's."""
    assert scheme.verify(["old", "new"], BODY, scheme.sign("new", BODY))


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_a_signature_is_of_one_body(body: bytes, other: bytes) -> None:
    """And of one secret."""
    signature = Hmac().sign("secret", body)

    assert Hmac().verify(["secret"], other, signature) is (body == other)
    assert not Hmac().verify(["Secret"], body, signature)


GOOD = Hmac().sign("secret", BODY)


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "sha256=",
        GOOD.upper(),
        GOOD.replace("sha256=", "SHA256="),
        GOOD.removeprefix("sha256="),
        GOOD.replace("sha256", "sha1"),
        GOOD[:-1],
        f"{GOOD}0",
        f" {GOOD}",
        f"{GOOD}\n",
        f"{GOOD}, {GOOD}",
        "sha256=" + "é" * 64,
        "sha256=" + "\udcff" * 64,
        "x" * 10_000_000,
    ],
)
def test_a_digest_that_is_not_exactly_it_is_refused(signature: str) -> None:
    """Upper case, spaces and a second one included."""
    assert not Hmac().verify(["secret"], BODY, signature)


def test_without_a_secret_nothing_is_authentic() -> None:
    """No secret is not a secret that fits all."""
    assert not Hmac().verify([], BODY, GOOD)
    assert not is_accepted(headers(), keys=())
