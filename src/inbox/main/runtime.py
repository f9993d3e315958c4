"""What must stand before the container is built: a database that answers, and keys.

With no database URL an embedded PostgreSQL is started, and the key that nobody has set is made once and kept beside it.
With a database URL nothing is invented: what is missing is named.
"""

import os
import secrets
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from inbox.kit.sealing import Sealer
from inbox.main import embedded
from inbox.main.events_settings import NO_REDIS
from inbox.main.settings import Settings, SettingsError

UNSEEN: Final = (
    "Metrics are not served: set INBOX_METRICS_AUTH_TOKEN (also METRICS_AUTH_TOKEN), which Prometheus sends as bearer "
    "token, or INBOX_METRICS_PORT, a port that only Prometheus reaches; or INBOX_METRICS_ENABLED=false."
)
UNSIGNED: Final = (
    "INBOX_WHATSAPP_APP_SECRET (also META_APP_SECRET) is needed: without it anybody could post webhooks. "
    "It stands in the Meta app's dashboard under App settings, Basic."
)
UNSIGNED_FOR_REAL: Final = (
    "INBOX_WHATSAPP_SIGNATURE_REQUIRED=false is for tests: it needs INBOX_WHATSAPP_GRAPH_URL on this machine "
    "(a loopback address). With Meta's own API set INBOX_WHATSAPP_APP_SECRET instead."
)
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
NO_KEYS: Final = (
    "INBOX_ENCRYPTION_KEYS is needed with a database of your own: it seals access tokens. "
    "Make one with `inbox check-settings --new-key` and keep it: without it the tokens are lost."
)
_PRIVATE: Final = 0o600


class Runtime(msgspec.Struct, frozen=True, kw_only=True):
    """Settings with nothing left open."""

    settings: Settings
    database_url: str
    sealer: Sealer
    token_secrets: tuple[bytes, ...]
    """Sign refresh tokens of local accounts, newest first; derived from the encryption keys."""
    data_dir: Path
    embedded_version: str | None = None

    def __repr__(self) -> str:
        """Without the secrets."""
        return f"Runtime(data_dir={str(self.data_dir)!r}, embedded_version={self.embedded_version!r})"


@contextmanager
def prepared(settings: Settings) -> Iterator[Runtime]:
    """The runtime while the block runs; an embedded server stops with its last user. Raises `SettingsError`."""
    data_dir = data_folder(settings)
    sealer = configured_sealer(settings)
    if settings.database.url is not None:
        if sealer is None:
            raise SettingsError(NO_KEYS)
        yield _runtime(settings, settings.database.url.reveal(), data_dir, sealer)
        return
    with embedded.start(data_dir / "postgres") as server:
        sealer = sealer or _kept_sealer(data_dir / "encryption.key")
        yield _runtime(settings, server.url, data_dir, sealer, server.version)


def data_folder(settings: Settings) -> Path:
    """Where the embedded database, its keys and media files live."""
    folder = settings.data.dir or settings.data_home
    if not folder:
        raise SettingsError("INBOX_DATA_DIR is needed: this user has no home folder.")
    return Path(folder)


def configured_sealer(settings: Settings) -> Sealer | None:
    """The sealer with the keys of the settings, None if there are none. Raises `SettingsError` without their text."""
    if settings.encryption.keys is None:
        return None
    try:
        return Sealer.from_setting(settings.encryption.keys.reveal())
    except ValueError:
        raise SettingsError(
            "INBOX_ENCRYPTION_KEYS, setting encryption.keys: must be `name:base64 of 32 bytes`, several separated by "
            "commas. Make one with `inbox check-settings --new-key`."
        ) from None


def missing(settings: Settings) -> Iterator[str]:
    """What `inbox serve` would refuse to start without, in words. Raises `SettingsError` for keys that are no keys."""
    sealer = configured_sealer(settings)
    if settings.database.url is not None and sealer is None:
        yield NO_KEYS
    if (reason := forgeable(settings)) is not None:
        yield reason
    if settings.events.bus == "redis" and settings.cache.redis_url is None:
        yield NO_REDIS


def unseen(settings: Settings) -> str | None:
    """Why nobody sees the metrics of `inbox serve`, in words; None if somebody does, or nobody wants to."""
    metrics = settings.metrics
    return UNSEEN if metrics.enabled and not metrics.port and metrics.auth_token is None else None


def forgeable(settings: Settings) -> str | None:
    """Why anybody could post webhooks, in words; None if only Meta can, or the emulator of a test."""
    whatsapp = settings.whatsapp
    if whatsapp.app_secret:
        return None
    if whatsapp.signature_required:
        return UNSIGNED
    return None if urlsplit(whatsapp.graph_url).hostname in _LOOPBACK else UNSIGNED_FOR_REAL


def _runtime(settings: Settings, url: str, data_dir: Path, sealer: Sealer, version: str | None = None) -> Runtime:
    return Runtime(
        settings=settings,
        database_url=url,
        sealer=sealer,
        token_secrets=tuple(sealer.digests("refresh-tokens", "token_secret")),
        data_dir=data_dir,
        embedded_version=version,
    )


def new_encryption_key() -> str:
    """A key for `INBOX_ENCRYPTION_KEYS`: a name and 32 random bytes."""
    return f"k1:{b64encode(secrets.token_bytes(32)).decode()}"


def _kept_sealer(path: Path) -> Sealer:
    """With the key in `path`, made at the first start; processes that start together agree on one."""
    with embedded.locked(path.with_suffix(".lock"), seconds=10):
        if not path.exists():
            _write_durably(path, new_encryption_key())
        try:
            return Sealer.from_setting(path.read_text().strip())
        except ValueError:
            raise SettingsError(
                f"{path} holds no key any more. Put it back from a backup, or set INBOX_ENCRYPTION_KEYS to the key: "
                "without it the access tokens in the database are lost."
            ) from None


def _write_durably(path: Path, text: str) -> None:
    """Whole or not at all, for this user alone, and still there after a power cut."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
