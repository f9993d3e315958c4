"""Who may do what: the evaluation of the permission contract, and its expansion for front ends."""

from itertools import permutations
from random import Random
from typing import Final
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbox.domain.access import GLOBAL_ONLY, KNOWING, Actor, Grant, Permission, Reach, expand
from inbox.domain.errors import AccountNotFound, ConversationNotFound, PermissionDenied
from inbox.domain.ids import AccountId, UserId

HERE: Final = AccountId(UUID(int=1))
THERE: Final = AccountId(UUID(int=2))
NOWHERE: Final = AccountId(UUID(int=3))
PER_ACCOUNT: Final = sorted(set(Permission) - GLOBAL_ONLY)


def allow(code: str, at: AccountId | None = None) -> Grant:
    return Grant(code=code, account_id=at)


def deny(code: str, at: AccountId | None = None) -> Grant:
    return Grant(code=code, account_id=at, is_allowed=False)


def an_actor(*grants: Grant) -> Actor:
    return Actor(user_id=UserId(UUID(int=9)), email=None, is_active=True, grants=grants)


GRANTS: Final = st.lists(
    st.builds(
        Grant,
        code=st.sampled_from([*Permission, "qa.view"]),
        account_id=st.sampled_from([None, HERE, THERE]),
        is_allowed=st.booleans(),
    ),
    max_size=14,
).map(tuple)


def is_global(grants: tuple[Grant, ...], code: str) -> bool:
    """`global(c)` of the contract, word by word."""
    rows = [g for g in grants if g.code == code and g.account_id is None]
    return any(g.is_allowed for g in rows) and not any(not g.is_allowed for g in rows)


def is_effective(grants: tuple[Grant, ...], code: str, account: AccountId) -> bool:
    """`effective(c, a)` of the contract, word by word."""
    rows = [g for g in grants if g.code == code and g.account_id == account]
    is_denied = any(not g.is_allowed for g in rows)
    is_granted = any(g.is_allowed for g in rows)
    return not is_denied and (is_granted or is_global(grants, code))


@given(grants=GRANTS, code=st.sampled_from(list(Permission)))
def test_a_global_check_follows_the_contract(grants: tuple[Grant, ...], code: Permission) -> None:
    assert an_actor(*grants).holds(code) is is_global(grants, code)


@given(
    grants=GRANTS,
    code=st.sampled_from(PER_ACCOUNT),
    account=st.sampled_from([HERE, THERE, NOWHERE]),
)
def test_a_check_at_an_account_follows_the_contract(
    grants: tuple[Grant, ...], code: Permission, account: AccountId
) -> None:
    assert an_actor(*grants).may(code, account) is is_effective(grants, code, account)


@given(grants=GRANTS, code=st.sampled_from(sorted(GLOBAL_ONLY)), account=st.sampled_from([HERE, THERE]))
def test_rows_of_a_global_only_code_at_an_account_have_no_effect(
    grants: tuple[Grant, ...], code: Permission, account: AccountId
) -> None:
    assert an_actor(*grants).may(code, account) is is_global(grants, code)


@pytest.mark.parametrize(
    ("allowed_at", "denied_at", "here_and_elsewhere"),
    [
        (None, None, (False, False)),
        (None, HERE, (False, True)),
        (HERE, HERE, (False, False)),
        (HERE, None, (True, False)),
    ],
)
def test_the_table_of_the_contract(
    allowed_at: AccountId | None, denied_at: AccountId | None, here_and_elsewhere: tuple[bool, bool]
) -> None:
    code = Permission.MESSAGES_SEND
    for grants in permutations([allow(code, allowed_at), deny(code, denied_at)]):
        actor = an_actor(*grants)
        assert (actor.may(code, HERE), actor.may(code, THERE)) == here_and_elsewhere


@given(grants=GRANTS, order=st.randoms(use_true_random=False))
def test_the_order_of_rows_never_matters(grants: tuple[Grant, ...], order: Random) -> None:
    shuffled = list(grants)
    order.shuffle(shuffled)
    one, other = an_actor(*grants), an_actor(*shuffled)
    for code in Permission:
        assert one.holds(code) is other.holds(code)
        assert one.may(code, HERE) is other.may(code, HERE)
    assert expand(one, [HERE, THERE]) == expand(other, [THERE, HERE])


def test_a_code_that_does_not_exist_is_never_granted() -> None:
    actor = an_actor(allow("qa.view"), allow("qa.view", HERE))
    assert not any(actor.holds(code) or actor.may(code, HERE) for code in Permission)
    assert expand(actor, [HERE]).everywhere == []
    assert expand(actor, [HERE]).accounts == {}


# --- knowing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", list(Permission))
def test_an_account_is_known_by_five_codes_and_no_other(code: Permission) -> None:
    assert an_actor(allow(code, HERE)).knows(HERE) is (code in KNOWING)
    assert not an_actor(allow(code, HERE)).knows(THERE)


def test_an_unknown_account_is_missing_and_a_known_one_refused() -> None:
    reader = an_actor(allow(Permission.MESSAGES_VIEW, HERE))
    reader.require(Permission.MESSAGES_VIEW, HERE, ConversationNotFound)
    with pytest.raises(PermissionDenied):
        reader.require(Permission.MESSAGES_SEND, HERE, ConversationNotFound)
    with pytest.raises(ConversationNotFound):
        reader.require(Permission.MESSAGES_SEND, THERE, ConversationNotFound)
    with pytest.raises(AccountNotFound):
        an_actor().require(Permission.MESSAGES_VIEW, HERE, AccountNotFound)


def test_a_code_is_held_somewhere_if_it_is_held_at_one_account() -> None:
    code = Permission.CONVERSATIONS_VIEW
    assert an_actor(allow(code)).may_anywhere(code)
    assert an_actor(allow(code, THERE), deny(code)).may_anywhere(code)
    assert not an_actor(allow(code, THERE), deny(code, THERE)).may_anywhere(code)
    assert not an_actor(allow(Permission.MESSAGES_VIEW)).may_anywhere(code)


# --- everywhere and within reach --------------------------------------------------------------------------------------


def test_calls_that_concern_no_account_need_all_their_codes_globally() -> None:
    users, roles = Permission.USERS_MANAGE, Permission.ROLES_MANAGE
    an_actor(allow(users), allow(roles)).require_everywhere(users, roles)
    for grants in (
        [allow(users)],
        [allow(users), allow(roles, HERE)],
        [allow(users), allow(roles), deny(roles)],
        [],
    ):
        with pytest.raises(PermissionDenied):
            an_actor(*grants).require_everywhere(users, roles)


def is_within(reach: Reach, account: AccountId) -> bool:
    """As statements read it."""
    return (account in reach.accounts) is not reach.everywhere


@given(
    grants=GRANTS,
    code=st.sampled_from(list(Permission)),
    account=st.sampled_from([HERE, THERE, NOWHERE]),
)
def test_the_reach_of_a_right_is_where_it_is_held(
    grants: tuple[Grant, ...], code: Permission, account: AccountId
) -> None:
    actor = an_actor(*grants)
    assert is_within(actor.reach(code), account) is actor.may(code, account)


@given(grants=GRANTS, order=st.randoms(use_true_random=False), code=st.sampled_from(list(Permission)))
def test_a_reach_does_not_depend_on_the_order_of_rows(
    grants: tuple[Grant, ...], order: Random, code: Permission
) -> None:
    shuffled = list(grants)
    order.shuffle(shuffled)
    assert an_actor(*grants).reach(code) == an_actor(*shuffled).reach(code)


def test_a_right_that_is_held_everywhere_but_at_one_account_reaches_all_others() -> None:
    code = Permission.MESSAGES_VIEW
    assert an_actor(allow(code), deny(code, HERE)).reach(code) == Reach(everywhere=True, accounts=(HERE,))
    assert an_actor(allow(code, THERE), deny(code)).reach(code) == Reach(everywhere=False, accounts=(THERE,))
    assert an_actor().reach(code) == Reach(everywhere=False, accounts=())


# --- expansion --------------------------------------------------------------------------------------------------------


@given(grants=GRANTS)
def test_front_ends_see_exactly_what_the_server_decides(grants: tuple[Grant, ...]) -> None:
    actor = an_actor(*grants)
    shown = expand(actor, [HERE, THERE])
    for code in PER_ACCOUNT:
        for account in (HERE, THERE):
            is_shown = code in shown.everywhere or code in shown.accounts.get(str(account), [])
            assert is_shown is actor.may(code, account), (code, account)
    for code in GLOBAL_ONLY:
        assert (code in shown.everywhere) is actor.holds(code)


@given(grants=GRANTS)
def test_lists_of_an_expansion_are_sorted_without_duplicates_and_never_empty(grants: tuple[Grant, ...]) -> None:
    shown = expand(an_actor(*grants), [HERE, THERE])
    for codes in (shown.everywhere, *shown.accounts.values()):
        assert codes == sorted(set(codes))
    assert all(shown.accounts.values())
    assert not any(code in GLOBAL_ONLY for codes in shown.accounts.values() for code in codes)


def test_a_code_that_is_denied_at_one_account_leaves_global_and_is_listed_under_the_others() -> None:
    actor = an_actor(allow(Permission.SETTINGS_MANAGE), deny(Permission.SETTINGS_MANAGE, HERE))
    shown = expand(actor, [HERE, THERE])
    assert shown.everywhere == []
    assert shown.accounts == {str(THERE): ["settings.manage"]}


def test_a_deny_at_an_account_that_is_not_active_leaves_global_alone() -> None:
    actor = an_actor(allow(Permission.SETTINGS_MANAGE), deny(Permission.SETTINGS_MANAGE, NOWHERE))
    assert expand(actor, [HERE]).everywhere == ["settings.manage"]


def test_a_deny_of_a_global_only_code_at_an_account_leaves_global_alone() -> None:
    actor = an_actor(allow(Permission.CONTACTS_VIEW), deny(Permission.CONTACTS_VIEW, HERE))
    assert expand(actor, [HERE]).everywhere == ["contacts.view"]


def test_a_right_at_one_account_is_listed_there_only() -> None:
    shown = expand(an_actor(allow(Permission.MESSAGES_SEND, HERE)), [HERE, THERE])
    assert msgspec.to_builtins(shown) == {"global": [], "accounts": {str(HERE): ["messages.send"]}}


# --- whom one may act as ----------------------------------------------------------------------------------------------

PLAIN: Final = Permission.MESSAGES_SEND


@pytest.mark.parametrize(
    ("mine", "theirs", "is_covered"),
    [
        ([], [], True),
        ([], [allow(PLAIN)], False),
        ([], [allow(PLAIN, HERE)], False),
        ([allow(PLAIN)], [allow(PLAIN, HERE)], True),
        ([allow(PLAIN, HERE)], [allow(PLAIN, HERE)], True),
        ([allow(PLAIN, HERE)], [allow(PLAIN, THERE)], False),
        ([allow(PLAIN, HERE)], [allow(PLAIN)], False),
        ([allow(PLAIN), deny(PLAIN, HERE)], [allow(PLAIN)], False),
        ([allow(PLAIN), deny(PLAIN, HERE)], [allow(PLAIN), deny(PLAIN, HERE)], True),
        ([allow(PLAIN)], [allow(PLAIN), deny(PLAIN)], True),
        ([allow(Permission.USERS_MANAGE)], [allow(Permission.ROLES_MANAGE)], False),
        ([allow(Permission.ROLES_MANAGE)], [allow(code) for code in Permission], True),
    ],
)
def test_a_caller_covers_who_can_do_nothing_that_they_cannot(
    mine: list[Grant],
    theirs: list[Grant],
    is_covered: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert an_actor(*mine).covers(an_actor(*theirs)) is is_covered
