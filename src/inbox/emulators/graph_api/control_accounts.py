"""The control API, second part: who and what there is."""

from litestar import Controller, get, patch, post, put
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import JSONBody

from inbox.emulators.graph_api.control_models import (
    AddedNumber,
    Decision,
    ManyWabas,
    NewNumber,
    NewTemplate,
    NewToken,
    NewWaba,
    NumberChange,
    NumberView,
    WabaView,
)
from inbox.emulators.graph_api.emulator import Emulator
from inbox.emulators.graph_api.objects import Number, Persona, Template, Token, Waba
from inbox.emulators.graph_api.state import World


class Accounts(Controller):
    """Ids stand in the body: Litestar gives paths with parameters to an application that is mounted at the root."""

    @post("/wabas")
    async def add_waba(self, emulator: NamedDependency[Emulator], data: JSONBody[NewWaba]) -> WabaView:
        """One WABA with its numbers."""
        return _add_waba(emulator.world, data)

    @post("/wabas/many")
    async def add_wabas(self, emulator: NamedDependency[Emulator], data: JSONBody[ManyWabas]) -> list[WabaView]:
        """Many at once, for benchmarks."""
        first, views = int(data.first_phone), []
        for position in range(data.wabas):
            start = first + position * data.numbers_each
            numbers = [
                NewNumber(phone=str(start + offset), throughput=data.throughput) for offset in range(data.numbers_each)
            ]
            views.append(_add_waba(emulator.world, NewWaba(name=f"Shop {position + 1}", numbers=numbers)))
        return views

    @get("/wabas")
    async def wabas(self, emulator: NamedDependency[Emulator]) -> list[WabaView]:
        return [_view(emulator.world, waba) for waba in emulator.world.wabas.values()]

    @post("/numbers")
    async def add_number(self, emulator: NamedDependency[Emulator], data: JSONBody[AddedNumber]) -> NumberView:
        return _number_view(_add_number(emulator.world, data.waba_id, data))

    @patch("/numbers")
    async def change_number(self, emulator: NamedDependency[Emulator], data: JSONBody[NumberChange]) -> NumberView:
        number = emulator.world.numbers.get(data.id)
        if number is None:
            raise NotFoundException("no such phone number")
        number.status = data.status or number.status
        number.quality_rating = data.quality_rating or number.quality_rating
        number.throughput = data.throughput or number.throughput
        number.blocked = number.blocked if data.blocked is None else set(data.blocked)
        return _number_view(number)

    @post("/tokens", status_code=204)
    async def add_token(self, emulator: NamedDependency[Emulator], data: JSONBody[NewToken]) -> None:
        expires_at = 0.0 if data.expires_in is None else emulator.world.clock.now() + data.expires_in
        emulator.world.add_token(
            Token(
                value=data.token,
                waba_ids=None if data.waba_ids is None else frozenset(data.waba_ids),
                scopes=frozenset(data.scopes),
                expires_at=expires_at,
            )
        )

    @put("/personas", status_code=204)
    async def put_persona(self, emulator: NamedDependency[Emulator], data: JSONBody[Persona]) -> None:
        """Describe a person, or describe them anew; who comes back online gets what waited."""
        before = emulator.world.persona(data.phone)
        emulator.world.add_persona(data)
        if before.offline and not data.offline:
            emulator.statuses.back_online(data)

    @post("/templates")
    async def add_template(self, emulator: NamedDependency[Emulator], data: JSONBody[NewTemplate]) -> dict[str, str]:
        world = emulator.world
        waba = world.wabas.get(data.waba_id)
        if waba is None:
            raise NotFoundException("no such WABA")
        if (data.name, data.language) in waba.templates:
            raise ValueError("the template exists in this language")
        template = Template(
            id=world.ids.decimal("8"),
            waba_id=waba.id,
            name=data.name,
            language=data.language,
            category=data.category,
            components=data.components,
            parameter_format=data.parameter_format,
            status=data.status,
        )
        return {"id": world.add_template(template).id}

    @post("/templates/decision", status_code=204)
    async def decide(self, emulator: NamedDependency[Emulator], data: JSONBody[Decision]) -> None:
        """Approve, reject, pause or disable, with the webhook that goes with it."""
        template = emulator.world.templates.get(data.template_id)
        if template is None:
            raise NotFoundException("no such template")
        emulator.decide(template, data.status, data.reason)


def _add_waba(world: World, data: NewWaba) -> WabaView:
    waba = world.add_waba(Waba(id=data.id or world.ids.decimal("1"), name=data.name, subscribed=data.subscribed))
    for number in data.numbers:
        _add_number(world, waba.id, number)
    return _view(world, waba)


def _add_number(world: World, waba_id: str, data: NewNumber) -> Number:
    return world.add_number(
        Number(
            id=data.id or world.ids.decimal("5"),
            waba_id=waba_id,
            digits=data.phone,
            verified_name=data.name,
            country_code=data.country_code,
            onboarded_at=world.clock.now(),
            throughput=data.throughput,
            allowed=None if data.allowed is None else frozenset(data.allowed),
        )
    )


def _view(world: World, waba: Waba) -> WabaView:
    numbers = [_number_view(world.numbers[number_id]) for number_id in waba.number_ids]
    return WabaView(id=waba.id, name=waba.name, subscribed=waba.subscribed, numbers=numbers)


def _number_view(number: Number) -> NumberView:
    return NumberView(
        id=number.id,
        waba_id=number.waba_id,
        phone=number.digits,
        name=number.verified_name,
        status=number.status,
    )
