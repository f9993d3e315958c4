"""The world behind the API, held in bounded memory: what is too old is forgotten and counted."""

from collections import Counter, OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from inbox.emulators.faults import Faults
from inbox.emulators.graph_api.clock import EmulatorClock
from inbox.emulators.graph_api.config import GraphApiConfig
from inbox.emulators.graph_api.errors import TOKEN_EXPIRED, GraphError
from inbox.emulators.graph_api.ids import Ids
from inbox.emulators.graph_api.objects import Callback, Media, MetaApp, Number, Persona, Send, Template, Token, Waba
from inbox.emulators.ledger import Ledger

WINDOW_SECONDS = 86_400
MEDIA_UPLOAD_SECONDS = 30 * 86_400
MEDIA_INBOUND_SECONDS = 7 * 86_400
MAX_WABAS = 10_000
MAX_TOKENS = 10_000
MAX_TEMPLATES = 100_000

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """A mapping that keeps the `capacity` newest entries; `forgotten` counts the others."""

    def __init__(self, capacity: int) -> None:
        self._entries: OrderedDict[K, V] = OrderedDict()
        self._capacity = capacity
        self.forgotten = 0

    def put(self, key: K, value: V) -> None:
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._capacity:
            self._entries.popitem(last=False)
            self.forgotten += 1

    def get(self, key: K) -> V | None:
        return self._entries.get(key)

    def values(self) -> list[V]:
        return list(self._entries.values())

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)


class MediaShelf:
    """Media bytes up to a total; the oldest are dropped first, as if they had expired."""

    def __init__(self, capacity: int) -> None:
        self._media: OrderedDict[str, Media] = OrderedDict()
        self._capacity = capacity
        self.size = 0
        self.forgotten = 0

    def put(self, media: Media) -> None:
        self._media[media.id] = media
        self.size += len(media.data)
        while self.size > self._capacity and len(self._media) > 1:
            _, oldest = self._media.popitem(last=False)
            self.size -= len(oldest.data)
            self.forgotten += 1

    def get(self, media_id: str) -> Media | None:
        return self._media.get(media_id)

    def remove(self, media_id: str) -> None:
        media = self._media.pop(media_id, None)
        self.size -= 0 if media is None else len(media.data)

    def __len__(self) -> int:
        return len(self._media)


class World:
    def __init__(self, config: GraphApiConfig) -> None:
        self.config = config
        self.clock = EmulatorClock()
        self.ledger = Ledger(
            config.ledger_file,
            capacity=config.ledger_capacity,
            fsync=config.ledger_fsync,
        )
        self.reset()

    def reset(self) -> None:
        """Back to the first moment: same seed, no accounts, the configured app and token. The ledger's file stays."""
        config = self.config
        self.behaviour = config.behaviour
        self.clock.reset()
        self.ledger.clear()
        self.ids = Ids(config.seed)
        self.faults = Faults(config.seed)
        callback = Callback(config.callback_url, config.verify_token) if config.callback_url else None
        self.app = MetaApp(id=config.app_id, secret=config.app_secret, callback=callback)
        self.wabas: dict[str, Waba] = {}
        self.numbers: dict[str, Number] = {}
        self.templates: dict[str, Template] = {}
        self.tokens: dict[str, Token] = {}
        self.personas: Recent[str, Persona] = Recent(config.kept_personas)
        self.media = MediaShelf(config.kept_media_bytes)
        self.sends: Recent[str, Send] = Recent(config.kept_sends)
        self.inbound: Recent[str, str] = Recent(config.kept_inbound)  # wamid to number id
        self.windows: Recent[tuple[str, str], float] = Recent(config.kept_windows)
        self.counts: Counter[str] = Counter()
        self.add_token(Token(value=config.access_token))

    def add_waba(self, waba: Waba) -> Waba:
        _limit("WABAs", len(self.wabas), MAX_WABAS)
        if waba.id in self.wabas:
            raise ValueError(f"WABA {waba.id} exists")
        self.wabas[waba.id] = waba
        return waba

    def add_number(self, number: Number) -> Number:
        _limit("numbers", len(self.numbers), self.config.max_numbers)
        if number.id in self.numbers:
            raise ValueError(f"phone number {number.id} exists")
        if number.waba_id not in self.wabas:
            raise ValueError(f"WABA {number.waba_id} does not exist")
        self.numbers[number.id] = number
        self.wabas[number.waba_id].number_ids.append(number.id)
        return number

    def add_token(self, token: Token) -> Token:
        _limit("tokens", len(self.tokens), MAX_TOKENS)
        token.issued_at = self.clock.now()
        self.tokens[token.value] = token
        return token

    def add_persona(self, persona: Persona) -> None:
        """Describe someone, reachable under phone, wa_id and BSUID. Raises ValueError for someone without any."""
        keys = {persona.phone, persona.wa_id, persona.user_id} - {""}
        if not keys:
            raise ValueError("a persona needs a phone or a user_id")
        for key in sorted(keys):
            self.personas.put(key, persona)

    def persona(self, address: str) -> Persona:
        """Whoever has that phone, wa_id or BSUID; a stranger with default habits otherwise."""
        known = self.personas.get(address)
        if known is not None:
            return known
        return Persona(phone=address) if address.isdigit() else Persona(user_id=address)

    def add_template(self, template: Template) -> Template:
        _limit("templates", len(self.templates), MAX_TEMPLATES)
        self.templates[template.id] = template
        self.wabas[template.waba_id].templates[template.name, template.language] = template
        return template

    def remove_template(self, template: Template) -> None:
        del self.templates[template.id]
        del self.wabas[template.waba_id].templates[template.name, template.language]

    def open_window(self, number_id: str, user: str, at: float) -> None:
        self.windows.put((number_id, user), max(at, self.windows.get((number_id, user)) or 0.0))

    def window_is_open(self, number_id: str, user: str) -> bool:
        """Facts 9.1: 24 hours from the user's latest message, by the emulator's clock."""
        latest = self.windows.get((number_id, user))
        return latest is not None and self.clock.now() < latest + WINDOW_SECONDS

    def authenticate(self, value: str) -> Token:
        """Raises GraphError 190 for a token that is unknown or has expired."""
        token = self.tokens.get(value)
        if token is None:
            if value == f"{self.app.id}|{self.app.secret}":
                return Token(value=value)
            raise GraphError(190)
        if token.expires_at and self.clock.now() >= token.expires_at:
            raise GraphError(
                190,
                message="Error validating access token: Session has expired.",
                subcode=TOKEN_EXPIRED,
            )
        return token


def _limit(what: str, have: int, most: int) -> None:
    if have >= most:
        raise ValueError(f"at most {most} {what}")
