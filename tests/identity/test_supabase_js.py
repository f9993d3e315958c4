"""supabase-js itself, in Node, against our own sign-in."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from identity.running import ADMIN, PASSWORD, Service
from supabase_js import HERE

INVITED, CHOSEN = "leo@example.org", "a good long one"


@pytest.fixture(scope="module")
def found(node: Path, service: Service) -> Any:  # noqa: ANN401 - JSON
    """What supabase-js met, by scenario."""
    link = dict(part.split("=", 1) for part in service.invite(INVITED).partition("#")[2].split("&"))
    plan = {
        "url": service.url,
        "email": ADMIN,
        "password": PASSWORD,
        "invited": INVITED,
        "link": link,
        "chosen": CHOSEN,
    }
    done = subprocess.run(
        [node, HERE / "sign_in.mjs", json.dumps(plan)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_it_signs_in_reads_the_user_refreshes_and_signs_out(found):
    everyday = found["everyday"]
    assert everyday["errors"] == [None] * 5
    assert (everyday["email"], everyday["lifetime"], everyday["is_same_user"]) == (ADMIN, 3600, True)
    assert everyday["is_new_token"]
    assert everyday["session_after"] is None
    assert everyday["revived"]["code"] == "refresh_token_not_found"
    assert everyday["events"] == ["INITIAL_SESSION", "SIGNED_IN", "TOKEN_REFRESHED", "SIGNED_OUT"]


def test_its_token_speaks_for_the_person_at_our_api_and_verifies_with_our_keys(found, service):
    everyday = found["everyday"]
    assert everyday["me"]["email"] == ADMIN
    assert "users.manage" in everyday["me"]["permissions"]["global"]
    assert everyday["calls"] == 200
    claims = everyday["claims"]
    assert claims["iss"] == f"{service.url}/auth/v1"
    assert (claims["sub"], claims["role"]) == (everyday["me"]["id"], "authenticated")
    assert claims["amr"][0]["method"] == "password"


def test_a_session_is_handed_over(found):
    handed = found["handedOver"]
    assert handed["errors"] == [None, None]
    assert handed["email"] == ADMIN
    assert handed["events"] == ["INITIAL_SESSION", "SIGNED_IN"]


def test_it_signs_out_elsewhere_and_everywhere(found):
    scopes = found["scopes"]
    assert scopes["errors"] == [None] * 3
    assert [error["code"] for error in scopes["ended"]] == ["refresh_token_not_found"] * 2
    assert scopes["gone"]["name"] in ("AuthSessionMissingError", "AuthApiError")


def test_it_understands_why_it_is_refused(found):
    refusals = found["refusals"]
    refused = {
        "name": "AuthApiError",
        "code": "invalid_credentials",
        "status": 400,
        "message": "Invalid login credentials",
    }
    assert refusals["wrong"] == refusals["stranger"] == refused
    assert (refusals["forged"]["code"], refusals["forged"]["status"]) == ("bad_jwt", 403)
    assert refusals["events"] == ["INITIAL_SESSION"]


def test_an_invited_person_sets_a_password(found):
    invitation = found["invitation"]
    assert invitation["errors"] == [None] * 3
    assert invitation["email"] == INVITED
    assert invitation["weak"]["name"] == "AuthWeakPasswordError"
    assert (invitation["weak"]["code"], invitation["weak"]["reasons"]) == ("weak_password", ["length"])
    assert (invitation["again"]["code"], invitation["again"]["status"]) == ("otp_expired", 403)
    assert invitation["events"] == ["INITIAL_SESSION", "SIGNED_IN", "USER_UPDATED"]


def test_it_works_below_the_prefix_too(found):
    assert found["belowThePrefix"] == {"error": None, "email": ADMIN}
