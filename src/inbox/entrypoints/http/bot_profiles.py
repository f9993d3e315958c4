"""What the assistant knows of an account: shown, and replaced as a whole."""

from typing import Annotated, Any

import msgspec
from dishka.integrations.litestar import FromDishka, inject
from litestar import Router, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, UnsetType

from inbox.domain.access import Actor, Permission
from inbox.domain.bot_profile import CustomField, Profile
from inbox.domain.bot_profiles import MAX_ITEMS, MAX_TEXT, cleaned_config, cleaned_fields
from inbox.domain.errors import AccountNotFound
from inbox.domain.ids import AccountId
from inbox.entrypoints.http.bot_behaviour import BehaviourBody, behaviour_of
from inbox.entrypoints.http.parameters import object_id
from inbox.entrypoints.http.problems import SIGNED_IN, documented
from inbox.ports.views import BotProfileRow
from inbox.services.bot_profiles import BotProfiles

Words = Annotated[str, Meta(max_length=MAX_TEXT)]


class FieldBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Both texts must be there and may be empty. Without an id the field gets one."""

    label: Annotated[str, Meta(max_length=120)]
    value: Annotated[str, Meta(max_length=2000)]
    id: Annotated[str, Meta(max_length=100)] | None = None


class ProfileBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is missing becomes null or empty; `behaviour` stays as it is. Of `template_config` known keys are kept."""

    business_name: Words | None = None
    description: Words | None = None
    address: Words | None = None
    hours: Words | None = None
    knowledge_base: Words | None = None
    custom_fields: Annotated[list[FieldBody], Meta(max_length=MAX_ITEMS)] = []
    template_config: dict[str, Any] = {}
    behaviour: BehaviourBody | UnsetType = UNSET


@get(
    "/bot/profile/{account_id:str}",
    permission=Permission.SETTINGS_MANAGE,
    responses=documented(*SIGNED_IN, 404),
)
@inject
async def get_bot_profile(
    account_id: FromPath[str], actor: NamedDependency[Actor], profiles: FromDishka[BotProfiles]
) -> BotProfileRow:
    """Every key of `template_config` is there. Without a stored profile `id` and `updated_at` are missing."""
    return await profiles.get(actor, AccountId(object_id(account_id, AccountNotFound)))


@put(
    "/bot/profile/{account_id:str}",
    permission=Permission.SETTINGS_MANAGE,
    responses=documented(*SIGNED_IN, 400, 404, 413, 415, 422),
)
@inject
async def replace_bot_profile(
    account_id: FromPath[str],
    data: JSONBody[ProfileBody],
    actor: NamedDependency[Actor],
    profiles: FromDishka[BotProfiles],
) -> BotProfileRow:
    """Replaces the whole profile; the assistant's next answer knows it.

    Without `behaviour` (model, language, schedule, budgets, thresholds) that part stays as it is; with it, it is
    replaced as a whole.
    """
    profile = profile_of(data, AccountId(object_id(account_id, AccountNotFound)))
    if isinstance(data.behaviour, UnsetType):
        return await profiles.replace(actor, profile, keeps_behaviour=True)
    return await profiles.replace(actor, profile)


def profile_of(data: ProfileBody, account_id: AccountId) -> Profile:
    """What a body says. Raises `Invalid`."""
    fields = [CustomField(id=field.id or "", label=field.label, value=field.value) for field in data.custom_fields]
    profile = Profile(
        account_id=account_id,
        business_name=data.business_name,
        description=data.description,
        address=data.address,
        hours=data.hours,
        knowledge_base=data.knowledge_base,
        custom_fields=cleaned_fields(fields),
        template_config=cleaned_config(data.template_config),
    )
    if isinstance(data.behaviour, UnsetType):
        return profile
    return msgspec.structs.replace(profile, behaviour=behaviour_of(data.behaviour, "body.behaviour"))


bot_profiles_router = Router("/", route_handlers=[get_bot_profile, replace_bot_profile])
