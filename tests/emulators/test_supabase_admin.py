"""Administration, invitations and the control API of the Supabase Auth emulator."""

import json
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from emulators.supabase_client import ANA, EMAIL, PASSWORD, PUBLISHABLE, SupabaseClient, running

LEO = "leo@faro.example"


@pytest.fixture
async def supabase() -> AsyncIterator[SupabaseClient]:
    async with running() as client:
        yield client


async def test_only_the_secret_key_administers(supabase: SupabaseClient) -> None:
    token = (await supabase.log_in())["access_token"]
    assert (await supabase.auth("GET", "/admin/users")).code == "401 no_authorization"
    assert (await supabase.auth("GET", "/admin/users", token=token)).code == "403 not_admin"
    assert (await supabase.auth("POST", "/invite", {"email": LEO}, token=PUBLISHABLE)).code == "403 not_admin"
    assert (await supabase.admin("GET", "/admin/users")).status == 200


async def test_users_are_listed_newest_first_in_pages_without_identities(supabase: SupabaseClient) -> None:
    for number in range(4):
        await supabase.admin("POST", "/admin/users", {"email": f"u{number}@faro.example"})
    first = await supabase.admin("GET", "/admin/users?page=1&per_page=2")
    last = await supabase.admin("GET", "/admin/users?page=3&per_page=2")
    assert [user["email"] for user in first.json()["users"]] == ["u3@faro.example", "u2@faro.example"]
    assert first.json()["users"][0]["identities"] is None
    assert first.headers["x-total-count"] == "5"
    assert first.headers["link"] == (
        '</admin/users?page=2&per_page=2>; rel="next", </admin/users?page=3&per_page=2>; rel="last"'
    )
    assert [user["email"] for user in last.json()["users"]] == [EMAIL]
    assert last.headers["link"] == '</admin/users?page=3&per_page=2>; rel="last"'
    found = await supabase.admin("GET", "/admin/users?filter=ana%20ruiz")
    assert [user["id"] for user in found.json()["users"]] == [ANA]
    assert (await supabase.admin("GET", "/admin/users?page=0")).code == "400 validation_failed"


async def test_a_created_user_can_log_in_once_confirmed(supabase: SupabaseClient) -> None:
    created = await supabase.admin("POST", "/admin/users", {"email": "Leo@Faro.example", "password": PASSWORD})
    user = created.json()
    login = {"email": LEO, "password": PASSWORD}
    before = await supabase.auth("POST", "/token?grant_type=password", login)
    await supabase.admin("PUT", f"/admin/users/{user['id']}", {"email_confirm": True})
    assert (created.status, user["email"], before.code) == (200, LEO, "400 email_not_confirmed")
    await supabase.log_in(LEO)
    again = await supabase.admin("POST", "/admin/users", {"email": LEO})
    assert again.code == "422 email_exists"


async def test_a_change_merges_metadata_and_bans(supabase: SupabaseClient) -> None:
    body = {"user_metadata": {"full_name": None, "lang": "es"}, "app_metadata": {"inbox_role": "agent"}}
    changed = await supabase.admin("PUT", f"/admin/users/{ANA}", {**body, "ban_duration": "1h30m"})
    assert changed.json()["user_metadata"] == {"lang": "es"}
    assert changed.json()["app_metadata"]["inbox_role"] == "agent"
    assert changed.json()["app_metadata"]["provider"] == "email"
    assert "banned_until" in changed.json()
    lifted = await supabase.admin("PUT", f"/admin/users/{ANA}", {"ban_duration": "none"})
    assert "banned_until" not in lifted.json()
    odd = await supabase.admin("PUT", f"/admin/users/{ANA}", {"ban_duration": "soon"})
    assert odd.code == "400 validation_failed"


async def test_the_admins_role_reaches_the_token_with_the_next_refresh(supabase: SupabaseClient) -> None:
    session = await supabase.log_in()
    await supabase.admin("PUT", f"/admin/users/{ANA}", {"app_metadata": {"inbox_role": "lead"}})
    renewed = (await supabase.refresh(session["refresh_token"])).json()
    assert renewed["user"]["app_metadata"]["inbox_role"] == "lead"


@pytest.mark.parametrize("body", [None, {"should_soft_delete": True}])
async def test_a_deleted_user_is_gone_and_the_address_is_free(supabase: SupabaseClient, body: object) -> None:
    token = (await supabase.log_in())["access_token"]
    answer = await supabase.admin("DELETE", f"/admin/users/{ANA}", body)
    assert (answer.status, answer.json()) == (200, {})
    assert (await supabase.user(token)).code == "403 user_not_found"
    assert (await supabase.admin("POST", "/admin/users", {"email": EMAIL})).status == 200


async def test_an_id_that_is_no_uuid_or_nobodys_is_not_found(supabase: SupabaseClient) -> None:
    assert (await supabase.admin("GET", "/admin/users/17")).code == "404 validation_failed"
    nobody = "00000000-0000-4000-8000-000000000000"
    assert (await supabase.admin("GET", f"/admin/users/{nobody}")).code == "404 user_not_found"


async def test_an_invitation_is_mailed_and_its_link_opens_a_session_once(supabase: SupabaseClient) -> None:
    invited = await supabase.admin("POST", "/invite", {"email": LEO, "data": {"full_name": "Leo Díaz"}})
    again = await supabase.admin("POST", "/invite", {"email": LEO})
    assert (invited.status, again.status) == (200, 200)
    assert "invited_at" in invited.json()
    assert "email_confirmed_at" not in invited.json()
    assert again.json()["user_metadata"] == {"full_name": "Leo Díaz"}
    mails = await supabase.control("GET", f"/mails?to={LEO}")
    assert [mail["type"] for mail in mails] == ["invite", "invite"]
    path = mails[0]["action_link"].removeprefix(f"{supabase.url}/auth/v1")
    followed = await supabase.auth("GET", path, key="")
    target = urlsplit(followed.headers["location"])
    fragment = parse_qs(target.fragment)
    assert followed.status == 303
    assert (await supabase.user(fragment["access_token"][0])).json()["email"] == LEO
    repeated = await supabase.auth("GET", path, key="")
    assert parse_qs(urlsplit(repeated.headers["location"]).fragment)["error_code"] == ["otp_expired"]
    assert (await supabase.admin("POST", "/invite", {"email": LEO})).code == "422 email_exists"


async def test_a_redirect_off_the_list_becomes_the_site() -> None:
    async with running(site_url="https://site.example", redirect_urls=("https://inbox.faro.example",)) as supabase:
        for wanted, given in (
            ("https://inbox.faro.example/welcome", "https://inbox.faro.example/welcome"),
            ("https://inbox.faro.example.evil.example/", "https://site.example"),
        ):
            body = {"type": "recovery", "email": EMAIL, "redirect_to": wanted}
            assert (await supabase.admin("POST", "/admin/generate_link", body)).json()["redirect_to"] == given


async def test_a_generated_link_is_not_mailed_and_verifies_by_hash_or_digits(supabase: SupabaseClient) -> None:
    body = {"type": "magiclink", "email": EMAIL}
    link = (await supabase.admin("POST", "/admin/generate_link", body)).json()
    hashed = {"type": "magiclink", "token_hash": link["hashed_token"]}
    assert (link["id"], link["verification_type"]) == (ANA, "magiclink")
    assert await supabase.control("GET", "/mails") == []
    assert (await supabase.auth("POST", "/verify", {**hashed, "type": "signup"}, key="")).code == "403 otp_expired"
    assert (await supabase.auth("POST", "/verify", hashed, key="")).json()["user"]["id"] == ANA
    assert (await supabase.auth("POST", "/verify", hashed, key="")).code == "403 otp_expired"
    second = (await supabase.admin("POST", "/admin/generate_link", body)).json()
    digits = {"type": "magiclink", "email": EMAIL, "token": second["email_otp"]}
    assert (await supabase.auth("POST", "/verify", digits, key="")).status == 200


async def test_a_link_expires(supabase: SupabaseClient) -> None:
    link = (await supabase.admin("POST", "/admin/generate_link", {"type": "recovery", "email": EMAIL})).json()
    await supabase.control("POST", "/clock", {"offset": 3601})
    answer = await supabase.auth("POST", "/verify", {"type": "recovery", "token_hash": link["hashed_token"]}, key="")
    assert answer.code == "403 otp_expired"


async def test_the_control_api_makes_users_and_ends_sessions(supabase: SupabaseClient) -> None:
    made = await supabase.control("POST", "/users", [{"email": LEO, "password": PASSWORD}])
    token = (await supabase.log_in(LEO))["access_token"]
    (session,) = await supabase.control("GET", f"/sessions?user_id={made[0]['id']}")
    await supabase.control("DELETE", f"/sessions/{session['id']}")
    assert (await supabase.user(token)).code == "403 session_not_found"
    other = (await supabase.log_in(LEO))["access_token"]
    assert await supabase.control("POST", f"/users/{made[0]['id']}/logout") == {"ended": 1}
    assert (await supabase.user(other)).code == "403 session_not_found"


async def test_reset_brings_back_the_configured_users_and_keeps_the_keys(supabase: SupabaseClient) -> None:
    keys = await supabase.jwks()
    await supabase.control("DELETE", f"/users/{ANA}")
    await supabase.control("POST", "/clock", {"offset": 9999})
    await supabase.control("POST", "/reset")
    assert await supabase.jwks() == keys
    await supabase.log_in()


async def test_the_oldest_session_gives_way_when_there_are_too_many() -> None:
    async with running(max_sessions=2) as supabase:
        tokens = [(await supabase.log_in())["access_token"] for _ in range(3)]
        assert [(await supabase.user(token)).status for token in tokens] == [403, 200, 200]


async def test_a_body_above_the_limit_is_refused() -> None:
    async with running(max_body=1000) as supabase:
        answer = await supabase.auth("POST", "/token?grant_type=password", {"email": "x" * 2000})
    assert answer.code == "413 request_entity_too_large"


async def test_the_ledger_holds_no_secret_and_no_address(supabase: SupabaseClient) -> None:
    session = await supabase.log_in()
    await supabase.refresh(session["refresh_token"])
    ledger = await supabase.control("GET", "/ledger")
    text = json.dumps(ledger)
    for private in (PASSWORD, EMAIL, PUBLISHABLE, session["access_token"], session["refresh_token"]):
        assert private not in text
    assert [entry["data"]["grant"] for entry in ledger["entries"]] == ["password", "refresh_token"]


@pytest.mark.parametrize(
    ("knob", "code"),
    [("429", "429 over_request_rate_limit"), ("500", "500 unexpected_failure"), ("504", "504 request_timeout")],
)
async def test_a_login_can_fail_as_ordered_and_so_often(supabase: SupabaseClient, knob: str, code: str) -> None:
    await supabase.fault(knob, count=1)
    body = {"email": EMAIL, "password": PASSWORD}
    first = await supabase.auth("POST", "/token?grant_type=password", body)
    assert first.code == code
    assert "retry-after" not in first.headers
    await supabase.log_in()


async def test_a_conflict_strikes_refreshes_only(supabase: SupabaseClient) -> None:
    await supabase.fault("conflict", count=1)
    token = (await supabase.log_in())["refresh_token"]
    assert [(await supabase.refresh(token)).status for _ in range(2)] == [409, 200]


async def test_the_public_keys_can_be_down_or_empty(supabase: SupabaseClient) -> None:
    await supabase.fault("jwks_down", count=1)
    await supabase.fault("jwks_empty", count=1)
    await supabase.log_in()
    assert (await supabase.auth("GET", "/.well-known/jwks.json", key="")).status == 500
    assert await supabase.jwks() == []
    assert len(await supabase.jwks()) == 2


async def test_the_edge_can_answer_html_and_torn_json(supabase: SupabaseClient) -> None:
    token = (await supabase.log_in())["access_token"]
    await supabase.fault("html_502", count=1)
    await supabase.fault("bad_json", count=1)
    page, torn = await supabase.user(token), await supabase.user(token)
    assert (page.status, page.headers["content-type"].startswith("text/html")) == (502, True)
    with pytest.raises(json.JSONDecodeError):
        torn.json()


async def test_a_late_reset_has_rotated_the_token_and_the_parent_still_works(supabase: SupabaseClient) -> None:
    first = (await supabase.log_in())["refresh_token"]
    await supabase.fault("connection_reset_late", count=1, kind="token")
    with pytest.raises(aiohttp.ClientError):
        await supabase.refresh(first)
    answer = await supabase.refresh(first)
    assert answer.headers["sb-auth-refresh-token-counter"] == "1"


async def test_a_connection_can_be_cut_before_anything_is_done(supabase: SupabaseClient) -> None:
    await supabase.fault("connection_reset", count=1)
    with pytest.raises(aiohttp.ClientError):
        await supabase.log_in()
    assert await supabase.control("GET", "/sessions") == []


async def test_a_hanging_request_ends_at_the_longest_wait() -> None:
    async with running(longest_wait=0.01) as supabase:
        await supabase.fault("timeout", count=1)
        assert (await supabase.auth("GET", "/health")).code == "504 request_timeout"


async def test_browsers_may_call_from_the_listed_origins_only() -> None:
    async with running(allowed_origins=("https://inbox.faro.example",)) as supabase:
        asked = {"origin": "https://inbox.faro.example", "access_control_request_method": "POST"}
        allowed = await supabase.auth("OPTIONS", "/token", key="", **asked)
        refused = await supabase.auth("GET", "/health", origin="https://evil.example")
    assert allowed.headers["access-control-allow-origin"] == "https://inbox.faro.example"
    assert "access-control-allow-origin" not in refused.headers
