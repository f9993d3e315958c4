"""Which tokens pass, and which do not, whatever keys they are signed with."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.forging import CLAIM_ATTACKS, GARBAGE, GONE, SIGNATURE_ATTACKS, Attack, Forger, rsa_key
from inbox.adapters.identity.tokens import ASYMMETRIC, SYMMETRIC, Claims, Verifier, display_name, read_jwks, read_keys
from inbox.domain.errors import InvalidToken

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ISSUER = "https://qhxmfarodemo.supabase.co/auth/v1"
SECRET = b"an-invented-secret-of-more-than-32-bytes"


@pytest.fixture(scope="module")
def forger() -> Forger:
    return Forger(ISSUER, NOW)


def check(token: str, forger: Forger, now: datetime = NOW) -> Claims:
    verifier = Verifier(issuers=[ISSUER], algorithms=ASYMMETRIC)
    header = verifier.header(token)
    key = read_keys([forger.jwk()]).get(header.kid or "")
    if key is None:
        raise InvalidToken
    return verifier.claims(token, key, now)


def check_secret(token: str, secret: bytes = SECRET) -> Claims:
    verifier = Verifier(issuers=[ISSUER], algorithms=SYMMETRIC)
    return verifier.claims(token, secret, NOW)


def test_a_genuine_token_tells_whom_it_is_for(forger: Forger) -> None:
    subject = check(forger.token(), forger).subject(is_email_verified=True)
    assert subject.user_id == forger.user_id
    assert subject.email == "ana@faro.example"
    assert subject.display_name == "Ana Ruiz"
    assert subject.is_email_verified


def test_what_users_write_about_themselves_verifies_no_address(forger: Forger) -> None:
    token = forger.token(user_metadata={"email_verified": True, "role": "admin"})
    assert not check(token, forger).subject(is_email_verified=False).is_email_verified


def test_an_empty_address_is_none_and_never_verified(forger: Forger) -> None:
    subject = check(forger.token(email="", user_metadata=GONE), forger).subject(is_email_verified=True)
    assert (subject.email, subject.is_email_verified, subject.display_name) == (None, False, None)


@pytest.mark.parametrize("attack", SIGNATURE_ATTACKS.values(), ids=SIGNATURE_ATTACKS.keys())
def test_a_token_with_a_wrong_form_or_signature_is_refused(attack: Attack, forger: Forger) -> None:
    with pytest.raises(InvalidToken):
        check(attack(forger), forger)


@pytest.mark.parametrize(
    "name",
    ["kid missing", "kid null", "alg missing", "alg 'none' with a signature", "HS256 with the JWK", "crit unknown"],
)
def test_a_hopeless_header_is_refused_before_anybody_is_asked_for_a_key(name: str, forger: Forger) -> None:
    with pytest.raises(InvalidToken):
        Verifier(issuers=[ISSUER], algorithms=ASYMMETRIC).header(SIGNATURE_ATTACKS[name](forger))


@pytest.mark.parametrize("attack", CLAIM_ATTACKS.values(), ids=CLAIM_ATTACKS.keys())
def test_a_token_with_wrong_content_is_refused_though_its_signature_is_good(attack: Attack, forger: Forger) -> None:
    with pytest.raises(InvalidToken):
        check(attack(forger), forger)


@pytest.mark.parametrize("text", GARBAGE, ids=range(len(GARBAGE)))
def test_what_is_no_token_is_refused(text: str, forger: Forger) -> None:
    with pytest.raises(InvalidToken):
        check(text, forger)
    with pytest.raises(InvalidToken):
        check_secret(text)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": int(NOW.timestamp()) - 9},
        {"iat": int(NOW.timestamp()) + 9},
        {"nbf": int(NOW.timestamp()) + 9},
        {"exp": NOW.timestamp() + 0.5},
        {"is_anonymous": GONE},
        {"is_anonymous": None},
        {"client_id": ""},
        {"client_id": None},
        {"aal": "aal2"},
        {"amr": ["password"]},
        {"unknown": {"nested": [1, 2, {"x": None}]}},
        {"user_metadata": None},
        {"user_metadata": {"full_name": 7}},
    ],
    ids=str,
)
def test_a_token_may_differ_where_providers_do(changes: dict[str, Any], forger: Forger) -> None:
    assert check(forger.token(**changes), forger).sub == forger.user_id


def test_the_token_passes_until_it_ends_and_not_after(forger: Forger) -> None:
    token = forger.token()
    assert check(token, forger, NOW + timedelta(seconds=3600)).sub == forger.user_id
    with pytest.raises(InvalidToken, match="expired"):
        check(token, forger, NOW + timedelta(seconds=3610))


def test_the_token_of_rs256_passes_with_its_own_key_only(forger: Forger) -> None:
    private, jwk = rsa_key("r1")
    keys = read_keys([jwk, forger.jwk()])
    token = jwt.encode(forger.claims(), private, "RS256", {"kid": "r1"})
    crossed = jwt.encode(forger.claims(), private, "RS256", {"kid": forger.kid})
    verifier = Verifier(issuers=[ISSUER], algorithms=ASYMMETRIC)
    assert verifier.claims(token, keys["r1"], NOW).sub == forger.user_id
    with pytest.raises(InvalidToken):
        verifier.claims(crossed, keys[forger.kid], NOW)


def test_a_shared_secret_passes_tokens_without_key_id(forger: Forger) -> None:
    token = jwt.encode(forger.claims(), SECRET, "HS256")
    assert check_secret(token).sub == forger.user_id


@pytest.mark.parametrize("attack", CLAIM_ATTACKS.values(), ids=CLAIM_ATTACKS.keys())
def test_a_shared_secret_passes_no_asymmetric_token(attack: Attack, forger: Forger) -> None:
    with pytest.raises(InvalidToken):
        check_secret(attack(forger))


def test_a_shared_secret_refuses_another_secret_and_wrong_content(forger: Forger) -> None:
    for token in (
        jwt.encode(forger.claims(), SECRET + b"x", "HS256"),
        jwt.encode(forger.claims(role="service_role"), SECRET, "HS256"),
        jwt.encode({"iss": "supabase", "role": "anon", "iat": 1, "exp": 2**40}, SECRET, "HS256"),
        jwt.encode(forger.claims(), SECRET, "HS384") if len(SECRET) >= 48 else "a.b.c",
    ):
        with pytest.raises(InvalidToken):
            check_secret(token)


def test_algorithms_of_two_families_cannot_be_combined() -> None:
    with pytest.raises(ValueError, match="family"):
        Verifier(issuers=[ISSUER], algorithms=ASYMMETRIC | SYMMETRIC)
    with pytest.raises(ValueError, match="issuer"):
        Verifier(issuers=[], algorithms=ASYMMETRIC)


def test_only_public_signature_keys_of_our_algorithms_are_taken_from_a_key_set(forger: Forger) -> None:
    good = forger.jwk()
    _, short_rsa = rsa_key("short", bits=1024)
    unusable = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "oct", "alg": "HS256"},
        {**good, "kid": "enc", "use": "enc"},
        {**good, "kid": "private", "d": "x"},
        {**good, "kid": "p384", "crv": "P-384"},
        {**good, "kid": "off-curve", "y": good["x"]},
        {**good, "kid": 7},
        {name: value for name, value in good.items() if name != "kid"},
        {**good, "kid": "hs", "alg": "HS256"},
        {"kty": "OKP", "crv": "Ed25519", "x": good["x"], "kid": "ed"},
        {},
        short_rsa,
    ]
    body = json.dumps({"keys": [*unusable, good]}).encode()
    assert list(read_jwks(body)) == [forger.kid]


def test_a_key_set_holds_64_keys_at_most(forger: Forger) -> None:
    keys = [{**forger.jwk(), "kid": str(n)} for n in range(1000)]
    assert len(read_jwks(json.dumps({"keys": keys}).encode())) == 64


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{}", b'{"keys":{}}', b'{"keys":[1]}', b"<html>502</html>", b'{"keys":[{"kid":"\xff"}]}',
     b'{"keys":' + b"[" * 2000 + b"]" * 2000 + b"}"],
)  # fmt: skip
def test_what_is_no_key_set_is_an_error_and_not_an_empty_one(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"key set|JWKS|deep"):
        read_jwks(body)


def test_an_empty_key_set_is_one() -> None:
    assert read_jwks(b'{"keys":[]}') == {}


@given(st.text())
def test_a_display_name_is_one_printable_line(text: str) -> None:
    name = display_name(text)
    assert name is None or (name.isprintable() and 0 < len(name) <= 200 and name.strip() == name)


@given(st.text(max_size=200))
def test_no_text_gets_past_the_checks_or_breaks_them(text: str) -> None:
    with pytest.raises(InvalidToken):
        check(text, _FORGER)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_no_signed_bytes_get_past_the_checks_or_break_them(header: bytes, payload: bytes) -> None:
    with pytest.raises(InvalidToken):
        check(_FORGER.sign(header, payload), _FORGER)
    with pytest.raises(InvalidToken):
        check(_FORGER.sign(json.dumps(_FORGER.header()), payload), _FORGER)


_FORGER = Forger(ISSUER, NOW)


def test_ids_are_read_as_uuids(forger: Forger) -> None:
    assert isinstance(check(forger.token(), forger).session_id, UUID)
