"""Simulated customers: they write now and then, through the emulator, as Meta would deliver it."""

import asyncio
import random
from collections.abc import Callable
from typing import Final

from inbox.main.demo.client import Browser
from inbox.main.demo.world import World

_PEOPLE: Final = (
    ("33612345001", "Anaïs"),
    ("33612345002", "Karim"),
    ("33612345003", "Zoé"),
    ("33612345004", "Hugo"),
    ("33612345005", "Inès"),
)
_LINES: Final = (
    "Bonjour, êtes-vous ouverts demain ?",
    "Combien coûte une révision ?",
    "Faites-vous les vélos électriques ?",
    "Je peux passer vers 17 h ?",
    "Merci beaucoup !",
    "Mon vélo fait un bruit bizarre 🚲",
    "Je voudrais parler à un conseiller.",
)


async def write_now_and_then(world: World, say: Callable[[str], None], *, every: float) -> None:
    """Until cancelled; about every `every` seconds somebody writes to one of the accounts."""
    chance = random.Random()  # noqa: S311 - who writes what is no secret
    while True:
        phone, name = chance.choice(_PEOPLE)
        account = chance.choice(world.accounts)
        line = chance.choice(_LINES)
        await write(world.graph, account.phone_number_id, phone, name, line)
        say(f"{name} → {account.name}: {line}")
        await asyncio.sleep(chance.uniform(0.5 * every, 1.5 * every))


async def write_history(world: World) -> None:
    """Some conversations to begin with, in both accounts, and the bot on in two of them."""
    for place, (phone, name) in enumerate(_PEOPLE):
        account = world.accounts[place % len(world.accounts)]
        await write(world.graph, account.phone_number_id, phone, name, _LINES[place])
    admin = Browser("demo", world.url)
    try:
        login = world.login("admin")
        await admin.sign_in(login.email, login.password)
        for account in world.accounts:
            for row in (await _appeared(admin, str(account.id)))[:1]:
                await admin.post(f"/conversations/{row['id']}/bot", {"enabled": True})
    finally:
        await admin.aclose()


async def write(graph: Browser, phone_number_id: str, phone: str, name: str, line: str) -> None:
    """One message of a customer."""
    await graph.post("/_emu/inbound", {"phone_number_id": phone_number_id, "from": phone, "name": name, "text": line})


async def _appeared(admin: Browser, account_id: str) -> list[dict[str, str]]:
    async with asyncio.timeout(10):
        while True:
            rows: list[dict[str, str]] = await admin.get("/conversations", account_id=account_id)
            if len(rows) >= len(_PEOPLE) // 2:
                return rows
            await asyncio.sleep(0.05)
