"""Contacts of all accounts: list, search, write."""

from typing import Annotated, Final
from uuid import UUID

import msgspec
from dishka.integrations.litestar import FromDishka, inject
from litestar import Response, Router, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from inbox.domain.access import Actor, Permission
from inbox.domain.contacts import ContactChange
from inbox.domain.errors import ContactNotFound, Invalid
from inbox.domain.ids import ContactId
from inbox.entrypoints.http.answers import page
from inbox.entrypoints.http.parameters import managed_id, page_limit, page_size, position
from inbox.entrypoints.http.problems import SIGNED_IN, documented
from inbox.ports.views import ContactItem
from inbox.services.contacts import WRITING, Contacts

MOST: Final = 20_000
"""Contacts in one answer, also when nobody asks for a limit."""
MAX_SEARCH: Final = 100

Number = Annotated[str, Meta(max_length=64, extra_json_schema={"minLength": 7})]
"""As people write it: international, or national with a 0 in front."""
Name = Annotated[str, Meta(max_length=200)]


class NewContact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An empty name is none."""

    whatsapp_number: Number
    display_name: Name | None = None


class ContactEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is missing stays. Without a name the contact is called what WhatsApp says."""

    whatsapp_number: Number | msgspec.UnsetType = msgspec.UNSET
    display_name: Name | msgspec.UnsetType | None = msgspec.UNSET


class DeletedContact(msgspec.Struct, frozen=True):
    contact_id: UUID
    status: str = "deleted"


@get("/contacts", permission=Permission.CONTACTS_VIEW, responses=documented(*SIGNED_IN, 422))
@inject
async def list_contacts(
    actor: NamedDependency[Actor],
    contacts: FromDishka[Contacts],
    limit: Annotated[str | None, page_limit(default=None, most=MOST)] = None,
    cursor: Annotated[str | None, QueryParameter()] = None,
    q: Annotated[str | None, QueryParameter(schema_extra={"maxLength": MAX_SEARCH})] = None,
) -> Response[list[ContactItem]]:
    """Newest first; `q` is part of a name or number. `X-Next-Cursor` and `Link` lead to the next page."""
    if q is not None and len(q) > MAX_SEARCH:
        raise Invalid("query.q", f"at most {MAX_SEARCH} characters")
    size, search = page_size(limit, default=MOST, most=MOST), (q or "").strip() or None
    before = position(cursor, "cursor")
    rows = await contacts.list_of(actor, search=search, limit=size + 1, before=before)
    query = {"limit": str(size), **({"q": q} if q else {})}
    return page(rows, size, lambda row: (row.created_at, row.id), query)


@post(
    "/contacts",
    status_code=200,
    permission=Permission.CONTACTS_VIEW,
    responses=documented(*SIGNED_IN, 400, 409, 413, 415, 422),
)
@inject
async def add_contact(
    data: JSONBody[NewContact], actor: NamedDependency[Actor], contacts: FromDishka[Contacts]
) -> ContactItem:
    """Needs `contacts.view` and `messages.send`, both globally, as do changes and deletions."""
    return await contacts.add(actor, data.whatsapp_number, data.display_name)


@put(
    "/contacts/{contact_id:str}",
    permission=Permission.CONTACTS_VIEW,
    responses=documented(*SIGNED_IN, 400, 404, 409, 413, 415, 422),
)
@inject
async def change_contact(
    contact_id: FromPath[str],
    data: JSONBody[ContactEdit],
    actor: NamedDependency[Actor],
    contacts: FromDishka[Contacts],
) -> ContactItem:
    """A name that a person gives stays, whatever WhatsApp says; null takes it away again."""
    change = ContactChange(number=data.whatsapp_number, display_name=data.display_name)
    return await contacts.change(actor, _written(actor, contact_id), change)


@delete(
    "/contacts/{contact_id:str}",
    status_code=200,
    permission=Permission.CONTACTS_VIEW,
    responses=documented(*SIGNED_IN, 404, 409),
)
@inject
async def delete_contact(
    contact_id: FromPath[str], actor: NamedDependency[Actor], contacts: FromDishka[Contacts]
) -> DeletedContact:
    """Only while no conversation refers to the contact: 409 `contact_in_use` otherwise."""
    found = _written(actor, contact_id)
    await contacts.remove(actor, found)
    return DeletedContact(found)


def _written(actor: Actor, contact_id: str) -> ContactId:
    return ContactId(managed_id(actor, contact_id, ContactNotFound, *WRITING))


contacts_router = Router("/", route_handlers=[list_contacts, add_contact, change_contact, delete_contact])
