"""What WhatsApp says that screens show.

Each operation prepares, yields, and does the one thing.
"""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any, Final

import msgspec

from builders import NOON, a_status
from inbox.domain.content import Text, Unsupported
from inbox.domain.inbound import InboundStatus, Referral, Source, Surroundings
from inbox.domain.outbound import State
from inbox.domain.templates import TemplateNews
from inbox.ports.templates import Reading
from postgres.effect_scene import a_notice, a_preference, a_reaction, an_edit
from postgres.identity_scene import BSUID, OTHER_BSUID, OTHER_PHONE, PHONE, change, happens, link, naming, said, who
from postgres.ingest_scene import hear, op
from services.silence_scene import Scene

Steps = AsyncIterator[None]
Operation = Callable[[Scene], Steps]
A_DAY: Final = timedelta(days=1)


async def a_stranger_writing(s: Scene) -> Steps:
    yield
    await happens(s.database, said(s.mine, who(OTHER_PHONE), name="Marc"))


async def a_customer_writing_with_a_new_name(s: Scene) -> Steps:
    yield
    await happens(s.database, said(s.mine, who(PHONE), name="Léa B.", at=NOON + A_DAY))


async def the_owner_writing_on_the_phone(s: Scene) -> Steps:
    yield
    await happens(s.database, said(s.mine, who(PHONE), at=s.clock() + A_DAY, source=Source.PHONE))


async def a_message_of_the_past(s: Scene) -> Steps:
    yield
    await happens(s.database, said(s.mine, who(PHONE), at=NOON - A_DAY, source=Source.PAST_CUSTOMER))


async def the_real_content(s: Scene) -> Steps:
    await happens(s.database, said(s.mine, who(PHONE), wamid="wamid.x", content=Unsupported(code=131060)))
    yield
    await happens(s.database, said(s.mine, who(PHONE), wamid="wamid.x", content=Text(body="Bonjour")))


async def what_led_to_it(s: Scene) -> Steps:
    await happens(s.database, said(s.mine, who(PHONE), wamid="wamid.x"))
    advert = Surroundings(referral=Referral(source_type="ad", source_id="1"))
    yield
    await happens(s.database, said(s.mine, who(PHONE), wamid="wamid.x", at=NOON - A_DAY, surroundings=advert))


async def a_repetition_that_is_newer(s: Scene) -> Steps:
    await happens(s.database, said(s.mine, who(PHONE), wamid="wamid.x"))
    yield
    await happens(s.database, said(s.mine, who(PHONE), wamid="wamid.x", at=s.clock() + A_DAY))


async def the_status_of_a_message(s: Scene) -> Steps:
    message = await s.ours(State.WIRE, attempt=1)
    yield
    await hear(s.database, of_ours(s, "delivered", op_id=op(message)))


async def a_status_that_only_names_it(s: Scene) -> Steps:
    message = await s.ours(State.UNCONFIRMED, attempt=1)
    yield
    await hear(s.database, of_ours(s, "warning", op_id=op(message)))


async def a_refusal_that_comes_later(s: Scene) -> Steps:
    await s.ours(State.ACCEPTED, wamid="wamid.A")
    yield
    await hear(s.database, of_ours(s, "failed", error_code=131047, occurred_at=s.clock() + A_DAY))


async def the_free_entry_point(s: Scene) -> Steps:
    advert = Surroundings(referral=Referral(source_type="ad", source_id="1"))
    await happens(s.database, said(s.mine, who(PHONE), at=NOON, surroundings=advert))
    await s.ours(State.ACCEPTED, wamid="wamid.A")
    yield
    await hear(s.database, of_ours(s, "sent", occurred_at=NOON + timedelta(minutes=1)))


async def the_reaction_of_a_customer(s: Scene) -> Steps:
    yield
    await happens(s.database, a_reaction(**of_question(s)))


async def a_reaction_taken_back(s: Scene) -> Steps:
    await happens(s.database, a_reaction(**of_question(s)))
    yield
    await happens(s.database, a_reaction(None, 1, **of_question(s)))


async def an_edited_message(s: Scene) -> Steps:
    yield
    await happens(s.database, an_edit("Bonsoir", **of_question(s)))


async def a_message_taken_back(s: Scene) -> Steps:
    yield
    await happens(s.database, an_edit(None, **of_question(s)))


async def an_edit_before_its_message(s: Scene) -> Steps:
    number = s.mine.phone_number_id
    await happens(s.database, an_edit("Bonsoir", by=PHONE, target="wamid.late", number=number))
    yield
    await happens(s.database, said(s.mine, who(PHONE), wamid="wamid.late", at=NOON))


async def what_a_customer_wants_to_get(s: Scene) -> Steps:
    yield
    await happens(s.database, a_preference(by=PHONE, number=s.mine.phone_number_id))


async def a_name_from_the_phone_of_the_owner(s: Scene) -> Steps:
    yield
    await happens(s.database, naming(s.mine, who(PHONE), "Léa B."))


async def a_customer_with_another_number(s: Scene) -> Steps:
    yield
    await happens(s.database, change(s.mine, who(PHONE), who(OTHER_PHONE), at=s.clock() + A_DAY))


async def an_id_that_gets_its_number(s: Scene) -> Steps:
    yield
    await happens(s.database, link(s.mine, who(OTHER_PHONE, BSUID), at=s.clock() + A_DAY))


async def two_customers_who_are_one(s: Scene) -> Steps:
    yield
    await happens(s.database, link(s.mine, who(PHONE, BSUID), at=s.clock() + A_DAY))


async def one_customer_of_each_number_who_are_one(s: Scene) -> Steps:
    await happens(s.database, said(s.other, who(None, OTHER_BSUID)))
    yield
    await happens(s.database, link(s.mine, who(PHONE, OTHER_BSUID), at=s.clock() + A_DAY))


async def a_notice_about_the_number(s: Scene) -> Steps:
    yield
    await happens(s.database, a_notice(phone_number_id=s.mine.phone_number_id))


async def a_notice_about_a_template(s: Scene) -> Steps:
    news = TemplateNews(name="promo", language="fr", at=NOON, status="REJECTED")
    notice = a_notice(field="message_template_status_update", waba_id=str(s.mine.account_id))
    yield
    await happens(s.database, msgspec.structs.replace(notice, template=news))


async def a_template_that_is_gone(s: Scene) -> Steps:
    account, waba = s.mine.account_id, str(s.mine.account_id)
    async with s.database.transaction() as tx:
        news = TemplateNews(name="promo", language="fr", at=NOON, status="APPROVED")
        await tx.templates.seen(account, waba, [news], NOON)
    yield
    async with s.database.transaction() as tx:
        reading = Reading(begun=NOON + A_DAY, at=NOON + A_DAY, held_until=NOON)
        await tx.templates.finish_sync(account, waba, reading, next_in=None)


def of_ours(s: Scene, status: str, **more: Any) -> InboundStatus:  # noqa: ANN401 - fields of a status
    return a_status(s.mine.phone_number_id, "wamid.A", status, **more)


def of_question(s: Scene) -> dict[str, Any]:
    """What the customer wrote first."""
    number = s.mine.phone_number_id
    return {"by": PHONE, "target": f"wamid.{number}", "number": number}


WEBHOOKS: Final[tuple[Operation, ...]] = (
    a_stranger_writing,
    a_customer_writing_with_a_new_name,
    the_owner_writing_on_the_phone,
    a_message_of_the_past,
    the_real_content,
    what_led_to_it,
    a_repetition_that_is_newer,
    the_status_of_a_message,
    a_status_that_only_names_it,
    a_refusal_that_comes_later,
    the_free_entry_point,
    the_reaction_of_a_customer,
    a_reaction_taken_back,
    an_edited_message,
    a_message_taken_back,
    an_edit_before_its_message,
    what_a_customer_wants_to_get,
    a_name_from_the_phone_of_the_owner,
    a_customer_with_another_number,
    an_id_that_gets_its_number,
    two_customers_who_are_one,
    one_customer_of_each_number_who_are_one,
    a_notice_about_the_number,
    a_notice_about_a_template,
    a_template_that_is_gone,
)
