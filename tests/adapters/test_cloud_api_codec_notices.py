"""What Meta says about WABAs, numbers, templates and groups: a line for people, how grave, and about whom."""

import json
from datetime import UTC, datetime

import pytest

from inbox.adapters.messaging.cloud_api.codec import CloudApiCodec
from inbox.domain.inbound import AccountNotice, InboundEvent, Severity, Unknown

from .webhook_bodies import NUMBER, SENT_AT, Json, a_value, an_envelope

RECEIVED_AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
AT = datetime.fromtimestamp(SENT_AT, UTC)
CODEC = CloudApiCodec([b"secret"])
WABA = "800111"
"""The entry of `an_envelope`."""


def decoded(field: str, value: object, **entry: object) -> list[InboundEvent]:
    envelope = an_envelope(value, field=field)
    envelope["entry"][0] |= entry
    return CODEC.decode(json.dumps(envelope).encode(), RECEIVED_AT)


def the_notice(field: str, value: object, **entry: object) -> AccountNotice:
    (notice,) = decoded(field, value, **entry)
    assert isinstance(notice, AccountNotice), notice
    return notice


@pytest.mark.parametrize(
    ("field", "value", "severity", "event"),
    [
        ("account_update", {"event": "ACCOUNT_VIOLATION"}, Severity.CRITICAL, "ACCOUNT_VIOLATION"),
        ("account_update", {"event": "ACCOUNT_RESTRICTION"}, Severity.CRITICAL, "ACCOUNT_RESTRICTION"),
        ("account_update", {"event": "ACCOUNT_DELETED"}, Severity.CRITICAL, "ACCOUNT_DELETED"),
        ("account_update", {"event": "DISABLED_UPDATE"}, Severity.CRITICAL, "DISABLED_UPDATE"),
        ("account_update", {"event": "PARTNER_REMOVED"}, Severity.WARNING, "PARTNER_REMOVED"),
        ("account_update", {"event": "PARTNER_ADDED"}, Severity.INFO, "PARTNER_ADDED"),
        ("account_update", {"event": "SOMETHING_NEW"}, Severity.INFO, "SOMETHING_NEW"),
        ("account_review_update", {"decision": "REJECTED"}, Severity.CRITICAL, "REJECTED"),
        ("security", {"event": "PIN_RESET_REQUEST"}, Severity.CRITICAL, "PIN_RESET_REQUEST"),
        ("security", {"event": "PIN_CHANGED"}, Severity.WARNING, "PIN_CHANGED"),
        ("message_template_status_update", {"event": "REJECTED"}, Severity.CRITICAL, "REJECTED"),
        ("message_template_status_update", {"event": "DISABLED"}, Severity.CRITICAL, "DISABLED"),
        ("message_template_status_update", {"event": "PAUSED"}, Severity.WARNING, "PAUSED"),
        ("message_template_status_update", {"event": "APPROVED"}, Severity.INFO, "APPROVED"),
        ("message_template_quality_update", {"new_quality_score": "RED"}, Severity.WARNING, "RED"),
        ("phone_number_quality_update", {"event": "FLAGGED"}, Severity.WARNING, "FLAGGED"),
        ("phone_number_name_update", {"decision": "REJECTED"}, Severity.WARNING, "REJECTED"),
        ("payment_configuration_update", {"status": "Needs Testing"}, Severity.WARNING, "Needs Testing"),
        ("payment_configuration_update", {"status": "Active"}, Severity.INFO, "Active"),
        ("flows", {"event": "FLOW_STATUS_CHANGE", "new_status": "BLOCKED"}, Severity.CRITICAL, "FLOW_STATUS_CHANGE"),
        ("account_alerts", {"alert_severity": "CRITICAL", "alert_type": "X"}, Severity.CRITICAL, "X"),
        ("group_status_update", {"groups": [{"type": "group_suspend"}]}, Severity.CRITICAL, "group_suspend"),
        ("brand_new_field", {"anything": 1}, Severity.INFO, "UNKNOWN"),
        ("brand_new_field", {"event": "A" * 99}, Severity.INFO, "A" * 64),
    ],
)
def test_a_notice_is_as_grave_as_what_happened(field: str, value: Json, severity: Severity, event: str) -> None:
    notice = the_notice(field, value)
    assert (notice.field, notice.severity, notice.event) == (field, severity, event)
    assert notice.text
    assert "\n" not in notice.text


@pytest.mark.parametrize(
    ("state", "severity"),
    [
        ("SCHEDULE_FOR_DISABLE", Severity.CRITICAL),
        ("DISABLE", Severity.CRITICAL),
        (["DISABLE"], Severity.CRITICAL),
        (["REINSTATE"], Severity.INFO),
        ("REINSTATE", Severity.INFO),
        ("SOMETHING_NEW", Severity.CRITICAL),
        ([], Severity.CRITICAL),
    ],
)
def test_a_ban_is_critical_until_it_is_lifted(state: object, severity: Severity) -> None:
    value = {"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": state}}
    assert the_notice("account_update", value).severity is severity


@pytest.mark.parametrize(
    ("code", "severity"), [(131042, Severity.CRITICAL), (131031, Severity.CRITICAL), (130429, Severity.WARNING)]
)
def test_an_error_of_no_message_is_a_notice(code: int, severity: Severity) -> None:
    notice = the_notice(
        "messages", a_value(errors=[{"code": code, "title": "Title", "error_data": {"details": "Why"}}])
    )
    assert (notice.event, notice.severity, notice.phone_number_id) == (f"ERROR_{code}", severity, NUMBER)
    assert notice.text == f"Erreur de WhatsApp {code} : Title (Why)"
    assert json.loads(bytes(notice.raw))["code"] == code


@pytest.mark.parametrize("field", ["message_template_status_update", "message_template_quality_update", "new_field"])
def test_the_quality_of_a_template_is_known_by_its_score_in_any_field(field: str) -> None:
    value = {
        "new_quality_score": "YELLOW",
        "previous_quality_score": "GREEN",
        "message_template_name": "promo",
        "message_template_language": "fr",
    }
    notice = the_notice(field, value)
    assert notice.event == "YELLOW"
    assert notice.text == "Modèle « promo » (fr) : qualité moyenne (auparavant élevée)"


def test_a_notice_names_its_waba_its_number_and_its_time_and_keeps_the_value() -> None:
    value = {"display_phone_number": "+33 1 90 00 00 00", "event": "PIN_CHANGED", "requester": "900"}
    notice = the_notice("security", value, time=SENT_AT)
    assert (notice.waba_id, notice.phone_number_id) == (WABA, None)
    assert (notice.display_phone_number, notice.at) == ("33190000000", AT)
    assert json.loads(bytes(notice.raw)) == value


@pytest.mark.parametrize("time", [None, "soon", 0])
def test_a_notice_without_a_time_has_that_of_receipt(time: object) -> None:
    assert the_notice("security", {"event": "PIN_CHANGED"}, time=time).at == RECEIVED_AT


def test_a_time_of_a_strange_shape_harms_nothing_but_itself() -> None:
    notice = the_notice("security", {"event": "PIN_CHANGED"}, time=[1])
    assert (notice.at, notice.waba_id) == (RECEIVED_AT, WABA)
    notice = the_notice("security", {"event": "PIN_CHANGED"}, time=SENT_AT, id=[1])
    assert (notice.at, notice.waba_id) == (AT, None)


def test_the_waba_is_the_one_that_the_value_names() -> None:
    value = {"event": "PARTNER_REMOVED", "waba_info": {"waba_id": "800222"}}
    assert the_notice("account_update", value).waba_id == "800222"


def test_a_partner_solution_is_about_no_waba() -> None:
    assert the_notice("partner_solutions", {"event": "SOLUTION_CREATED"}).waba_id is None


def test_an_alert_about_a_number_names_it() -> None:
    value = {"entity_type": "PHONE_NUMBER", "entity_id": NUMBER, "alert_info": {"alert_type": "X"}}
    assert the_notice("account_alerts", value).phone_number_id == NUMBER


@pytest.mark.parametrize(
    ("field", "name"), [("group_participants_update", "groups"), ("automatic_events", "automatic_events")]
)
def test_each_item_of_a_list_is_a_notice_of_its_own(field: str, name: str) -> None:
    items = [{"type": "group_create", "timestamp": str(SENT_AT)}, 5, {"event_name": "Purchase"}]
    first, strange, last = decoded(field, {**a_value(), name: items})
    assert isinstance(first, AccountNotice)
    assert (first.phone_number_id, first.at) == (NUMBER, AT)
    assert isinstance(strange, Unknown)
    assert (strange.reason, strange.raw) == (f"field:{field}", b"5")
    assert isinstance(last, AccountNotice)
    assert json.loads(bytes(last.raw)) == {"event_name": "Purchase"}


def test_a_group_that_could_not_be_made_is_a_warning() -> None:
    value = a_value(groups=[{"type": "group_create", "errors": [{"title": "Limit reached"}]}])
    notice = the_notice("group_lifecycle_update", value)
    assert notice.severity is Severity.WARNING
    assert "Limit reached" in notice.text


@pytest.mark.parametrize("value", [5, "text", None, [], [{"event": "X"}]], ids=str)
def test_a_value_that_is_no_object_stays_unknown(value: object) -> None:
    (unknown,) = decoded("account_update", value)
    assert isinstance(unknown, Unknown)
    assert unknown.reason == "field:account_update"
    assert json.loads(unknown.raw) == value


def test_a_notice_that_no_database_can_hold_stays_unknown() -> None:
    (unknown,) = decoded("account_update", {"event": "A\x00"})
    assert isinstance(unknown, Unknown)
    assert unknown.reason == "nul_character"


@pytest.mark.parametrize(
    "value",
    [
        {"event": {"nested": 1}, "reason": [1], "message_template_name": None, "new_quality_score": 5},
        {"event": True, "restriction_info": [5, {"restriction_type": 7, "expiration": "never"}], "ban_info": 5},
        {"alert_info": [1], "waba_info": "x", "metadata": 5, "groups": {"a": 1}, "timestamp": []},
    ],
)
@pytest.mark.parametrize(
    "field", ["account_update", "account_alerts", "message_template_status_update", "group_status_update", "new"]
)
def test_members_of_a_strange_shape_are_left_out(field: str, value: Json) -> None:
    assert json.loads(bytes(the_notice(field, value).raw)) == value


def test_a_line_is_short_whatever_meta_writes() -> None:
    value = {"alert_type": "X", "alert_description": "word\n" * 500}
    text = the_notice("account_alerts", value).text
    assert len(text) <= 500
    assert "\n" not in text
