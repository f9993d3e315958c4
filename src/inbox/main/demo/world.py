"""The world of the demo: a database of its own, the emulators, the service, two accounts and their people."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from inbox.adapters.identity.passwords import Passwords
from inbox.domain.access import Subject
from inbox.domain.accounts import NewAccount
from inbox.domain.bot_profile import Faq, Offer, Profile, TemplateConfig
from inbox.domain.ids import AccountId, UserId, uuid7
from inbox.emulators.graph_api.config import Behaviour
from inbox.main import migrating, serve
from inbox.main.administrators import add_person
from inbox.main.bot_settings import Bot
from inbox.main.demo.client import Browser
from inbox.main.emulators import Emulators, Plan, emulating
from inbox.main.llm_settings import Gemini
from inbox.main.runtime import prepared
from inbox.main.secret import Secret
from inbox.main.settings import Data, Http, Settings, WhatsApp
from inbox.ports.database import Database

QUICK: Final = Behaviour(
    latency=(0.02, 0.08),
    sent_delay=(0.05, 0.2),
    delivered_delay=(0.1, 0.4),
    read_delay=(0.2, 0.8),
    retry_delays=(1, 2, 5),
)
_NUMBERS: Final = (("900555000111222", "33465710001"), ("900555000111333", "33465710002"))


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who can sign in; the password is made anew at every start."""

    role: str
    email: str
    password: str


class DemoAccount(msgspec.Struct, frozen=True, kw_only=True):
    id: AccountId
    name: str
    phone_number_id: str


class World(msgspec.Struct, frozen=True, kw_only=True):
    """What the scenario and the simulated customers need to know."""

    url: str
    emulators: Emulators
    graph: Browser
    accounts: tuple[DemoAccount, ...]
    logins: tuple[Login, ...]

    def login(self, role: str) -> Login:
        return next(login for login in self.logins if login.role == role)


@asynccontextmanager
async def demo_world(folder: Path, *, port: int, quiet_seconds: float) -> AsyncIterator[World]:
    """Everything runs while the block runs; nothing of it stays. Port 0 takes a free one."""
    port = port or _free_port()
    url = f"http://127.0.0.1:{port}"
    plan = Plan(
        callback_url=f"{url}/webhook/whatsapp",
        app_secret=secrets.token_hex(16),
        access_token=f"EMULATOR-{secrets.token_hex(8)}",
        verify_token=secrets.token_hex(8),
        gemini_key=f"emulator-{secrets.token_hex(8)}",
        supabase_keys=(f"sb_publishable_{secrets.token_hex(8)}", f"sb_secret_{secrets.token_hex(8)}"),
        behaviour=QUICK,
    )
    async with emulating(plan) as emulators:
        settings = _settings(folder, port, plan, emulators, quiet_seconds)
        with prepared(settings) as runtime:
            await asyncio.to_thread(migrating.upgrade, runtime.database_url, sealer=runtime.sealer)
            async with serve.running(runtime) as container:
                graph = Browser("emulator", emulators.graph_api.url)
                try:
                    accounts = await _add_accounts(await container.get(Database), graph, plan)
                    logins = new_logins()
                    await _add_people(await container.get(Database), accounts, logins)
                    yield World(url=url, emulators=emulators, graph=graph, accounts=accounts, logins=logins)
                finally:
                    await graph.aclose()


def _settings(folder: Path, port: int, plan: Plan, emulators: Emulators, quiet_seconds: float) -> Settings:
    return Settings(
        http=Http(port=port),
        whatsapp=WhatsApp(
            graph_url=emulators.graph_api.url,
            app_secret=(Secret(plan.app_secret),),
            verify_token=Secret(plan.verify_token),
        ),
        gemini=Gemini(url=emulators.gemini.url, api_key=Secret(plan.gemini_key), model="gemini-3.5-flash-lite"),
        bot=Bot(quiet_seconds=quiet_seconds),
        data=Data(dir=str(folder)),
    )


async def _add_accounts(database: Database, graph: Browser, plan: Plan) -> tuple[DemoAccount, ...]:
    accounts = []
    for (number_id, phone), name in zip(_NUMBERS, ("Atelier Lyon", "Boutique Paris"), strict=True):
        account = DemoAccount(id=AccountId(uuid7()), name=name, phone_number_id=number_id)
        waba = await graph.post(
            "/_emu/wabas", {"name": name, "numbers": [{"phone": phone, "id": number_id, "name": name}]}
        )
        async with database.transaction() as tx:
            await tx.accounts.add(
                account.id,
                NewAccount(
                    name=name,
                    slug=name.lower().replace(" ", "-"),
                    phone_number=f"+{phone}",
                    phone_number_id=number_id,
                    access_token=plan.access_token,
                    verify_token=secrets.token_hex(16),
                    waba_id=waba["id"],
                ),
            )
            await tx.bot.put_profile(_profile(account))
        accounts.append(account)
    return tuple(accounts)


def _profile(account: DemoAccount) -> Profile:
    return Profile(
        account_id=account.id,
        business_name=account.name,
        description="Réparation et vente de vélos",
        address="12 rue des Exemples",
        hours="Mar-Sam 9h-18h",
        template_config=TemplateConfig(
            faq=[Faq(question="Faites-vous les vélos électriques ?", answer="Oui, toutes marques.")],
            offers=[Offer(category="Révision", content="Révision complète sur devis, 48 h")],
        ),
    )


def new_logins() -> tuple[Login, ...]:
    """Somebody for each role, with random passwords."""
    return tuple(
        Login(role=role, email=f"{role}@demo.example", password=secrets.token_urlsafe(12))
        for role in ("admin", "manager", "viewer")
    )


async def _add_people(database: Database, accounts: tuple[DemoAccount, ...], logins: tuple[Login, ...]) -> None:
    passwords = Passwords()
    for login in logins:
        user_id, _ = await add_person(database, passwords, login.email, login.password)
        async with database.transaction() as tx:
            subject = Subject(user_id=UserId(user_id), email=login.email, display_name=login.role.capitalize())
            if login.role == "admin":
                await tx.members.make_admin(subject)
            else:
                await tx.members.sign_in(subject, bootstrap_email="nobody@demo.example", default_role=None)
                await tx.members.assign(UserId(user_id), login.role, accounts[0].id)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
