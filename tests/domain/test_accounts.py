"""What an account shows of itself."""

from inbox.domain.accounts import Channel, NewAccount
from inbox.domain.ids import AccountId, uuid7

CANARY = "EAA-canary"


def test_a_repr_shows_no_token() -> None:
    new = NewAccount(
        name="Atelier",
        slug="atelier",
        phone_number=None,
        phone_number_id="900555000111222",
        access_token=CANARY,
        verify_token=CANARY,
    )
    channel = Channel(account_id=AccountId(uuid7()), phone_number_id="900555000111222", access_token=CANARY)
    for shown in (new, channel):
        assert CANARY not in f"{shown!r}{shown}{[shown]}"
        assert "900555000111222" in repr(shown)
