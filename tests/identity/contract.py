"""What every `Identity` owes. Not collected itself; a subclass names an adapter."""

import asyncio
from typing import Protocol
from uuid import UUID

import pytest

from identity.conftest import Clock
from identity.forging import CLAIM_ATTACKS, GARBAGE, SIGNATURE_ATTACKS, Attack, Forger
from inbox.domain.errors import InboxError, InvalidToken, Kind
from inbox.ports.identity import Identity

OUTAGE = frozenset({Kind.UPSTREAM, Kind.UNAVAILABLE, Kind.TIMEOUT})


class Side(Protocol):
    """One adapter with its provider."""

    identity: Identity

    async def person(self, name: str) -> tuple[str, UUID]:
        """A genuine token for somebody new, and whom it speaks for."""
        ...

    async def without_provider(self) -> Identity:
        """An identity of the same kind that has just started while its provider is down."""
        ...


class SignedSide(Side, Protocol):
    """One whose tokens are signed JWTs of 3600 s."""

    clock: Clock

    async def forger(self) -> Forger:
        """Somebody who holds a key of the provider, and whose token for an existing session passes."""
        ...


async def outcome(identity: Identity, token: str) -> Kind | UUID:
    try:
        return (await identity.authenticate(token)).user_id
    except InboxError as error:
        return error.kind


class IdentityCases:
    """For every adapter, the fake included."""

    @pytest.fixture
    async def side(self) -> Side:
        raise NotImplementedError

    async def test_a_genuine_token_gives_its_person(self, side: Side) -> None:
        token, user_id = await side.person("ana")
        assert (await side.identity.authenticate(token)).user_id == user_id

    async def test_a_token_may_be_used_again_and_again(self, side: Side) -> None:
        token, _ = await side.person("ana")
        subjects = [await side.identity.authenticate(token) for _ in range(5)]
        assert all(subject == subjects[0] for subject in subjects)

    async def test_two_people_are_never_mixed_up(self, side: Side) -> None:
        people = [await side.person(name) for name in ("ana", "leo", "eva")]
        tokens = [token for token, _ in people] * 10
        subjects = await asyncio.gather(*(side.identity.authenticate(token) for token in tokens))
        assert [subject.user_id for subject in subjects] == [user_id for _, user_id in people] * 10

    @pytest.mark.parametrize("text", GARBAGE, ids=range(len(GARBAGE)))
    async def test_what_is_no_token_is_invalid(self, side: Side, text: str) -> None:
        with pytest.raises(InvalidToken):
            await side.identity.authenticate(text)

    async def test_a_changed_token_is_invalid(self, side: Side) -> None:
        token, _ = await side.person("ana")
        middle = len(token) - 20
        other = "a" if token[middle] != "a" else "b"
        for changed in (f"{token} ", f" {token}", f"{token}x", token[:-1], token[:middle] + "-?" + token[middle + 2 :]):
            with pytest.raises(InvalidToken):
                await side.identity.authenticate(changed)
        try:
            subject = await side.identity.authenticate(token[:middle] + other + token[middle + 1 :])
        except InvalidToken:
            return
        # The fake has no signatures: another id is another person, never the same one.
        assert subject != await side.identity.authenticate(token)

    async def test_an_outage_of_the_provider_is_never_an_invalid_token(self, side: Side) -> None:
        token, user_id = await side.person("ana")
        identity = await side.without_provider()
        for _ in range(8):
            # An adapter that asks nobody has no outage: there the token passes.
            assert await outcome(identity, token) in {*OUTAGE, user_id}


class SignedCases(IdentityCases):
    """For adapters that verify signed tokens."""

    @pytest.fixture
    async def side(self) -> SignedSide:
        raise NotImplementedError

    async def test_the_forger_of_these_tests_holds_a_good_key(self, side: SignedSide) -> None:
        forger = await side.forger()
        assert (await side.identity.authenticate(forger.token())).user_id == forger.user_id

    @pytest.mark.parametrize(
        "attack",
        [*SIGNATURE_ATTACKS.values(), *CLAIM_ATTACKS.values()],
        ids=[*SIGNATURE_ATTACKS, *CLAIM_ATTACKS],
    )
    async def test_an_attack_is_an_invalid_token(self, side: SignedSide, attack: Attack) -> None:
        forger = await side.forger()
        with pytest.raises(InvalidToken):
            await side.identity.authenticate(attack(forger))

    async def test_an_expired_token_is_invalid(self, side: SignedSide) -> None:
        token, _ = await side.person("ana")
        side.clock.forward(seconds=3615)
        with pytest.raises(InvalidToken):
            await side.identity.authenticate(token)

    async def test_a_person_has_the_address_in_lower_case_and_the_name_of_their_profile(self, side: SignedSide) -> None:
        token, _ = await side.person("ana")
        subject = await side.identity.authenticate(token)
        assert (subject.email, subject.display_name) == ("ana@faro.example", "Ana Ruiz")
