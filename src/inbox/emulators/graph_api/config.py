"""How the emulated Graph API behaves. `Behaviour` can be changed while it runs; the rest is fixed at the start."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec

Seconds = Annotated[float, msgspec.Meta(ge=0, le=86_400)]
Span = tuple[Seconds, Seconds]
"""Smallest and largest delay in seconds; the emulator draws from between them under its seed."""


class PayloadVersion(StrEnum):
    """Which shape the webhooks have; see facts 2.3 and 2.5 (Meta's change log of the webhook fields)."""

    V23 = "v23"  # statuses carry a conversation
    V24 = "v24"
    BSUID = "2026-bsuid"  # business-scoped user ids beside the phone, contacts in statuses


class WindowRefusal(StrEnum):
    """How a closed customer service window shows: Meta documents 400, what is seen is a failed status."""

    ASYNCHRONOUS = "asynchronous"
    SYNCHRONOUS = "synchronous"


class Behaviour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Timings, modes and disorder. Delays are seconds of real time: a frozen emulator clock does not stop them."""

    latency: Span = (0.08, 0.3)
    auto_statuses: bool = True  # off: statuses come only through the control API
    sent_delay: Span = (0.2, 1.5)
    delivered_delay: Span = (0.3, 3.0)  # after sent
    read_delay: Span = (0.5, 4.0)  # after delivered, for personas with receipts on
    failed_delay: Span = (0.5, 5.0)
    window_refusal: WindowRefusal = WindowRefusal.ASYNCHRONOUS
    check_window: bool = True
    rates: bool = False  # throughput per number, pair rate, calls per WABA
    payload_version: PayloadVersion = PayloadVersion.V24
    template_review_delay: Span = (0.5, 2.0)

    # Events share a delivery while all deliveries are under way, or while they wait for `batch_wait` to pass.
    batch_size: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    batch_wait: Seconds = 0.0
    webhook_timeout: Annotated[float, msgspec.Meta(gt=0, le=60)] = 10.0
    webhook_concurrency: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 32  # deliveries under way per callback URL
    retry_delays: tuple[Seconds, ...] = (1, 2, 5, 10, 30, 60, 300, 900, 3_600, 10_800, 21_600)  # the last one repeats
    give_up_after: Annotated[float, msgspec.Meta(gt=0)] = 604_800.0  # Meta retries for 7 days
    time_compression: Annotated[float, msgspec.Meta(gt=0)] = 1.0  # divides retry_delays and give_up_after
    duplicate_every: Annotated[int, msgspec.Meta(ge=0)] = 0  # every n-th delivery is made twice; 0 = none
    reorder: Seconds = 0.0  # each event is held back at random for up to so long
    status_before_response: bool = False  # `sent` is delivered before the send call is answered


class GraphApiConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Identity and bounds of one emulator. Ids are decimal strings, as Meta's are."""

    base_url: str = ""  # public URL of the emulator itself; empty: taken from the Host header of the request
    seed: int = 0
    app_id: str = "900333444555666"
    app_secret: str = "emulator-app-secret"  # noqa: S105  # made up, for local use
    access_token: str = "EMULATOR-TOKEN"  # noqa: S105  # reaches every WABA
    callback_url: str = ""  # as if saved in the app's dashboard: no handshake at the start
    verify_token: str = "emulator-verify-token"  # noqa: S105  # made up, for local use
    behaviour: Behaviour = Behaviour()

    ledger_file: Path | None = None
    ledger_fsync: bool = False
    ledger_capacity: Annotated[int, msgspec.Meta(ge=1)] = 50_000
    kept_sends: Annotated[int, msgspec.Meta(ge=1)] = 50_000
    kept_inbound: Annotated[int, msgspec.Meta(ge=1)] = 200_000  # inbound wamids that a read receipt may name
    kept_windows: Annotated[int, msgspec.Meta(ge=1)] = 1_000_000
    kept_media_bytes: Annotated[int, msgspec.Meta(ge=1)] = 268_435_456
    kept_personas: Annotated[int, msgspec.Meta(ge=1)] = 200_000
    max_numbers: Annotated[int, msgspec.Meta(ge=1)] = 20_000
    max_pending: Annotated[int, msgspec.Meta(ge=1)] = 1_000_000  # events not yet delivered; then 131016
