"""Logging in, refreshing, reading the user and logging out at the Supabase Auth emulator."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.supabase_client import ANA, EMAIL, JWT_SECRET, PASSWORD, PUBLISHABLE, SECRET, SupabaseClient, running
from inbox.emulators.supabase_auth import RefreshForm, Signing
from inbox.emulators.supabase_auth.refresh_tokens import decode, encode

NEWER = {"x_supabase_api_version": "2024-01-01"}


@pytest.fixture
async def supabase() -> AsyncIterator[SupabaseClient]:
    async with running() as client:
        yield client


async def test_a_login_gives_a_session_whose_token_verifies_with_the_published_key(supabase: SupabaseClient) -> None:
    session = await supabase.log_in("ANA@faro.example")
    keys = jwt.PyJWKSet.from_dict({"keys": await supabase.jwks()})
    kid = jwt.get_unverified_header(session["access_token"])["kid"]
    claims = jwt.decode(
        session["access_token"],
        keys[kid],
        algorithms=["ES256"],
        audience="authenticated",
        issuer=f"{supabase.url}/auth/v1",
        options={"require": ["exp", "iat", "sub", "iss", "aud"]},
    )
    assert claims["sub"] == session["user"]["id"] == ANA
    assert (claims["role"], claims["aal"], claims["is_anonymous"]) == ("authenticated", "aal1", False)
    assert claims["exp"] - claims["iat"] == session["expires_in"] == 3600
    assert session["expires_at"] == claims["exp"]
    assert session["weak_password"] is None
    assert str(UUID(claims["session_id"])) == claims["session_id"]


async def test_optional_times_are_left_out_and_the_phone_is_an_empty_text(supabase: SupabaseClient) -> None:
    user = (await supabase.user((await supabase.log_in())["access_token"])).json()
    assert "banned_until" not in user
    assert "invited_at" not in user
    assert (user["phone"], user["email"], user["aud"]) == ("", EMAIL, "authenticated")
    assert user["identities"][0]["user_id"] == ANA
    assert user["created_at"].endswith("Z")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"email": EMAIL, "password": "wrong"}, "400 invalid_credentials"),
        ({"email": "nobody@faro.example", "password": PASSWORD}, "400 invalid_credentials"),
        ({"password": PASSWORD}, "400 validation_failed"),
        ({"email": EMAIL, "phone": "1", "password": PASSWORD}, "400 validation_failed"),
        ({"email": 5, "password": PASSWORD}, "400 bad_json"),
        (b"{", "400 bad_json"),
        (b"[" * 5000, "400 bad_json"),
    ],
)
async def test_a_login_that_fails_says_why_by_code(supabase: SupabaseClient, body: object, code: str) -> None:
    assert (await supabase.auth("POST", "/token?grant_type=password", body)).code == code


async def test_unknown_members_of_a_login_are_ignored(supabase: SupabaseClient) -> None:
    body = {"email": EMAIL, "password": PASSWORD, "gotrue_meta_security": {"captcha_token": "x"}}
    assert (await supabase.auth("POST", "/token?grant_type=password", body)).status == 200


async def test_a_ban_is_named_before_the_password_and_a_missing_confirmation_after(supabase: SupabaseClient) -> None:
    wrong = {"email": EMAIL, "password": "wrong"}
    await supabase.control("POST", f"/users/{ANA}/unconfirm")
    unconfirmed = await supabase.auth("POST", "/token?grant_type=password", {"email": EMAIL, "password": PASSWORD})
    guessed = await supabase.auth("POST", "/token?grant_type=password", wrong)
    await supabase.control("POST", f"/users/{ANA}/ban")
    banned = await supabase.auth("POST", "/token?grant_type=password", wrong)
    assert (unconfirmed.code, guessed.code, banned.code) == (
        "400 email_not_confirmed",
        "400 invalid_credentials",
        "400 user_banned",
    )


async def test_errors_have_two_shapes_and_the_newer_one_is_asked_for(supabase: SupabaseClient) -> None:
    body = {"email": EMAIL, "password": "wrong"}
    older = await supabase.auth("POST", "/token?grant_type=password", body)
    newer = await supabase.auth("POST", "/token?grant_type=password", body, **NEWER)
    assert older.json() == {"code": 400, "error_code": "invalid_credentials", "msg": "Invalid login credentials"}
    assert newer.json() == {"code": "invalid_credentials", "message": "Invalid login credentials"}
    assert newer.headers["x-supabase-api-version"] == "2024-01-01"
    assert "x-supabase-api-version" not in older.headers


@pytest.mark.parametrize(
    ("key", "token", "message"),
    [
        ("", "", "No API key found in request"),
        ("sb_publishable_other", "", "Invalid API key"),
        (PUBLISHABLE, SECRET, "Invalid API key"),
    ],
)
async def test_the_gateway_refuses_before_the_auth_server(
    supabase: SupabaseClient, key: str, token: str, message: str
) -> None:
    answer = await supabase.auth("GET", "/health", key=key, token=token)
    assert answer.status == 401
    assert answer.json()["message"] == message
    assert "x-sb-error-code" not in answer.headers


async def test_a_secret_key_from_a_browser_is_refused(supabase: SupabaseClient) -> None:
    answer = await supabase.auth("GET", "/admin/users", key=SECRET, user_agent="Mozilla/5.0 (X11)")
    assert answer.status == 401


async def test_health_needs_a_key_and_the_public_keys_do_not(supabase: SupabaseClient) -> None:
    health = await supabase.auth("GET", "/health")
    keys = await supabase.auth("GET", "/.well-known/jwks.json", key="")
    assert health.json()["name"] == "GoTrue"
    assert keys.headers["cache-control"] == "public, max-age=600"
    assert [key["kty"] for key in keys.json()["keys"]] == ["EC", "EC"]
    assert all("d" not in key for key in keys.json()["keys"])
    assert (await supabase.auth("GET", "/nothing")).status == 404


async def test_user_calls_tell_the_kinds_of_bad_tokens_apart(supabase: SupabaseClient) -> None:
    good = (await supabase.log_in())["access_token"]
    assert (await supabase.auth("GET", "/user")).code == "401 no_authorization"
    assert (await supabase.auth("GET", "/user", authorization="Basic abc")).code == "401 no_authorization"
    assert (await supabase.user(good, authorization=f"bearer {good}")).status == 200
    assert (await supabase.user(PUBLISHABLE)).json()["msg"] == "invalid claim: missing sub claim"
    assert (await supabase.user("garbage")).code == "403 bad_jwt"


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"expires_in": -1}, "403 bad_jwt"),
        ({"attack": "alg_none"}, "403 bad_jwt"),
        ({"attack": "hs256_public_key"}, "403 bad_jwt"),
        ({"attack": "no_kid"}, "403 bad_jwt"),
        ({"attack": "unknown_kid"}, "403 bad_jwt"),
        ({"attack": "wrong_key"}, "403 bad_jwt"),
        ({"attack": "tampered"}, "403 bad_jwt"),
        ({"claims": {"sub": None}}, "403 bad_jwt"),
        ({"claims": {"sub": "ana"}}, "400 bad_jwt"),
        ({"claims": {"session_id": "1"}}, "403 bad_jwt"),
        ({"claims": {"session_id": ANA}}, "403 session_not_found"),
        ({"claims": {"aud": "other"}}, "400 validation_failed"),
        ({"claims": {"sub": "00000000-0000-4000-8000-000000000000"}}, "403 user_not_found"),
        ({"claims": {"session_id": None}}, "200 "),
        ({"claims": {"is_anonymous": True, "client_id": "x"}, "header": {"typ": "JWT"}}, "200 "),
    ],
)
async def test_minted_tokens_and_attacks_are_judged_by_the_auth_server(
    supabase: SupabaseClient, order: dict[str, object], code: str
) -> None:
    assert (await supabase.user(await supabase.mint(**order))).code == code


async def test_the_clock_can_be_moved_past_a_tokens_end(supabase: SupabaseClient) -> None:
    token = (await supabase.log_in())["access_token"]
    await supabase.control("POST", "/clock", {"offset": 3601})
    answer = await supabase.user(token)
    assert answer.code == "403 bad_jwt"
    assert answer.json()["msg"].endswith("token has invalid claims: token is expired")


async def test_a_rotated_key_goes_on_verifying_until_it_is_revoked(supabase: SupabaseClient) -> None:
    token = (await supabase.log_in())["access_token"]
    old = jwt.get_unverified_header(token)["kid"]
    before = [key["kid"] for key in await supabase.jwks()]
    await supabase.control("POST", "/keys/rotate")
    newer = (await supabase.log_in())["access_token"]
    assert jwt.get_unverified_header(newer)["kid"] == before[1]
    assert (await supabase.user(token)).status == 200
    await supabase.control("POST", f"/keys/{old}/revoke")
    assert old not in [key["kid"] for key in await supabase.jwks()]
    assert (await supabase.user(token)).code == "403 bad_jwt"
    assert (await supabase.user(newer)).status == 200


async def test_the_current_key_can_be_revoked(supabase: SupabaseClient) -> None:
    keys = await supabase.control("GET", "/keys")
    await supabase.control("POST", f"/keys/{keys['current']}/revoke")
    published = [key["kid"] for key in await supabase.jwks()]
    assert keys["current"] not in published
    assert published[0] == keys["standby"]
    assert (await supabase.user((await supabase.log_in())["access_token"])).status == 200


async def test_an_hs256_project_publishes_no_keys_and_knows_the_legacy_keys() -> None:
    async with running(signing=Signing.HS256, jwt_secret=JWT_SECRET) as supabase:
        session = await supabase.log_in()
        claims = jwt.decode(session["access_token"], JWT_SECRET, algorithms=["HS256"], audience="authenticated")
        keys = await supabase.control("GET", "/keys")
        as_user = await supabase.auth("GET", "/user", key=keys["anon"], token=keys["anon"])
        as_admin = await supabase.auth("GET", "/admin/users", key=keys["service_role"], token=keys["service_role"])
        alone = await supabase.auth("GET", "/admin/users", key=keys["service_role"])
        assert await supabase.jwks() == []
    assert claims["sub"] == ANA
    assert as_user.json()["msg"] == "invalid claim: missing sub claim"
    assert (as_admin.status, alone.code) == (200, "401 no_authorization")


async def test_a_short_hs256_secret_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="jwt_secret"):
        async with running(signing=Signing.HS256, jwt_secret="short"):
            pass


@pytest.mark.parametrize("form", RefreshForm)
async def test_a_refresh_rotates_and_the_parent_gets_the_active_token(form: RefreshForm) -> None:
    async with running(refresh_form=form, reuse_interval=0) as supabase:
        first = (await supabase.log_in())["refresh_token"]
        rotated = await supabase.refresh(first)
        again = await supabase.refresh(first)
    second = rotated.json()["refresh_token"]
    assert len(first) == (12 if form is RefreshForm.OLD else 51)
    assert second != first
    assert again.json()["refresh_token"] == second
    assert "weak_password" not in rotated.json()
    assert rotated.headers["sb-auth-refresh-token-reuse"] == "false"
    assert again.headers["sb-auth-refresh-token-reuse"] == "true"
    if form is RefreshForm.OLD:
        assert rotated.headers["sb-auth-refresh-token-prefix"] == second[:5]
    else:
        assert rotated.headers["sb-auth-refresh-token-counter"] == "1"
        assert "fail-to-save" in again.headers["sb-auth-refresh-token-reuse-cause"]


async def test_two_refreshes_at_once_give_the_same_token(supabase: SupabaseClient) -> None:
    first = (await supabase.log_in())["refresh_token"]
    answers = await asyncio.gather(*(supabase.refresh(first) for _ in range(5)))
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1


async def test_a_grandparent_within_the_interval_is_forgiven_and_after_it_ends_the_session(
    supabase: SupabaseClient,
) -> None:
    session = await supabase.log_in()
    first = session["refresh_token"]
    second = (await supabase.refresh(first)).json()["refresh_token"]
    third = (await supabase.refresh(second)).json()["refresh_token"]
    forgiven = await supabase.refresh(first)
    await supabase.control("POST", "/clock", {"offset": 11})
    stolen = await supabase.refresh(first)
    assert forgiven.json()["refresh_token"] == third
    assert stolen.code == "400 refresh_token_already_used"
    assert stolen.headers["sb-auth-refresh-token-rotated"] == "true"
    assert (await supabase.refresh(third)).code == "400 refresh_token_not_found"
    assert (await supabase.user(session["access_token"])).code == "403 session_not_found"


async def test_a_reused_old_form_token_takes_all_refresh_tokens_but_not_the_session() -> None:
    async with running(refresh_form=RefreshForm.OLD, reuse_interval=-1) as supabase:
        session = await supabase.log_in()
        second = (await supabase.refresh(session["refresh_token"])).json()["refresh_token"]
        third = (await supabase.refresh(second)).json()["refresh_token"]
        assert (await supabase.refresh(session["refresh_token"])).code == "400 refresh_token_already_used"
        assert (await supabase.refresh(third)).code == "400 refresh_token_already_used"
        assert (await supabase.user(session["access_token"])).status == 200


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("short", "400 validation_failed"),
        ("", "400 validation_failed"),
        (None, "400 validation_failed"),
        ("aaaaaaaaaaaa", "400 refresh_token_not_found"),
        ("A" * 51, "400 validation_failed"),
        (encode(UUID(ANA), 0, b"k" * 32), "400 refresh_token_not_found"),
        ("é" * 60, "400 validation_failed"),
    ],
)
async def test_a_refresh_token_that_is_not_ours_is_refused(supabase: SupabaseClient, token: object, code: str) -> None:
    assert (await supabase.refresh(token)).code == code


async def test_a_banned_user_and_an_ended_session_cannot_refresh() -> None:
    async with running(session_lifetime=60) as supabase:
        token = (await supabase.log_in())["refresh_token"]
        await supabase.control("POST", f"/users/{ANA}/ban")
        assert (await supabase.refresh(token)).code == "400 user_banned"
        await supabase.control("POST", f"/users/{ANA}/ban", {"duration": "none"})
        await supabase.control("POST", "/clock", {"offset": 61})
        assert (await supabase.refresh(token)).code == "400 session_expired"


@pytest.mark.parametrize(
    ("scope", "survivors"), [("", []), ("?scope=global", []), ("?scope=local", [1]), ("?scope=others", [0])]
)
async def test_a_logout_ends_the_sessions_of_its_scope(
    supabase: SupabaseClient, scope: str, survivors: list[int]
) -> None:
    tokens = [(await supabase.log_in())["access_token"] for _ in range(2)]
    answer = await supabase.auth("POST", f"/logout{scope}", token=tokens[0])
    alive = [at for at, token in enumerate(tokens) if (await supabase.user(token)).status == 200]
    assert (answer.status, answer.text) == (204, "")
    assert alive == survivors


async def test_an_unknown_logout_scope_is_named(supabase: SupabaseClient) -> None:
    token = (await supabase.log_in())["access_token"]
    answer = await supabase.auth("POST", "/logout?scope=everywhere", token=token, **NEWER)
    assert answer.json() == {"code": "validation_failed", "message": 'Unsupported logout scope "everywhere"'}


async def test_ban_and_deletion_show_at_the_next_look_at_the_user(supabase: SupabaseClient) -> None:
    token = (await supabase.log_in())["access_token"]
    await supabase.control("POST", f"/users/{ANA}/ban")
    assert (await supabase.user(token)).code == "403 user_banned"
    await supabase.control("DELETE", f"/users/{ANA}")
    assert (await supabase.user(token)).code == "403 user_not_found"


async def test_a_new_password_ends_the_other_sessions_only(supabase: SupabaseClient) -> None:
    mine, other = [(await supabase.log_in())["access_token"] for _ in range(2)]
    same = await supabase.auth("PUT", "/user", {"password": PASSWORD}, token=mine)
    weak = await supabase.auth("PUT", "/user", {"password": "short"}, token=mine, **NEWER)
    long = await supabase.auth("PUT", "/user", {"password": "x" * 73}, token=mine)
    role = await supabase.auth("PUT", "/user", {"app_metadata": {"inbox_role": "owner"}}, token=mine)
    done = await supabase.auth("PUT", "/user", {"password": "another long one", "data": {"a": 1}}, token=mine)
    assert (same.code, long.code, role.code) == ("422 same_password", "400 validation_failed", "403 not_admin")
    assert weak.json()["weak_password"] == {"reasons": ["length"]}
    assert "x-sb-error-code" not in weak.headers
    assert done.json()["user_metadata"] == {"full_name": "Ana Ruiz", "a": 1}
    assert [(await supabase.user(token)).status for token in (mine, other)] == [200, 403]
    await supabase.log_in(password="another long one")


async def test_the_current_password_can_be_asked_for() -> None:
    async with running(require_current_password=True) as supabase:
        token = (await supabase.log_in())["access_token"]
        codes = [
            (await supabase.auth("PUT", "/user", {"password": "another long one", **extra}, token=token)).code
            for extra in ({}, {"current_password": "no"}, {"current_password": PASSWORD})
        ]
    assert codes == ["400 current_password_required", "400 current_password_invalid", "200 "]


@given(st.uuids(), st.integers(min_value=0, max_value=2**40), st.binary(min_size=32, max_size=32))
def test_a_signed_refresh_token_reads_back(session_id: UUID, counter: int, key: bytes) -> None:
    token = decode(encode(session_id, counter, key))
    assert token is not None
    assert (token.session_id, token.counter, token.is_signed_by(key)) == (session_id, counter, True)
    assert not token.is_signed_by(bytes(32) if key != bytes(32) else b"1" * 32)


@given(st.text(max_size=80))
def test_any_text_as_a_refresh_token_is_read_or_refused(text: str) -> None:
    token = decode(text)
    assert token is None or text.rstrip("=").isascii()
