"""`inbox events`. What the commands need is imported when they run: `--help` must not wait for it."""

import sys
from datetime import UTC, datetime, timedelta
from typing import Final

import rich_click as click

_STATES: Final = ("set_aside", "quarantined", "unrouted", "done", "open")
_SERIAL: Final = click.IntRange(0, 10**18 - 1)
_TIMES: Final = ("%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ")


@click.group("events")
def events() -> None:
    """Look after the webhooks that WhatsApp delivered.

    Whatever cannot be applied is set aside with a reason: list it, look at it, repair what was wrong (connect the
    number, say), and replay it. Replaying never does anything twice.
    """


_state = click.option(
    "--state", type=click.Choice(_STATES), default="set_aside", help="By default all that wait for a person."
)
_reason = click.option("--reason", help="Of the delivery or of one of its items, like unknown_number.")
_serials = click.argument("delivery_ids", metavar="ID...", type=_SERIAL, nargs=-1)


@events.command("list")
@_state
@_reason
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--before", type=_SERIAL, metavar="ID", help="Go on behind this one.")
def list_events(*, state: str, reason: str | None, limit: int, before: int | None) -> None:
    """List deliveries, newest first, without what they say."""
    from inbox.main import replaying  # noqa: PLC0415

    rows = replaying.run(lambda runtime: replaying.listed(runtime, state, reason, limit, before))
    click.echo("id\treceived\tstate\treason\tset aside\treplays\tbytes")
    for row in rows:
        values = (row.id, row.received_at, row.state, row.reason or "-", row.set_aside, row.replays, row.size)
        click.echo("\t".join(map(str, values)))


@events.command("show")
@click.argument("delivery_id", metavar="ID", type=_SERIAL)
def show(*, delivery_id: int) -> None:
    """Print a delivery as WhatsApp sent it, and what was set aside of it. It is personal data: that is noted."""
    from inbox.main import replaying  # noqa: PLC0415

    found = replaying.run(lambda runtime: replaying.inspect(runtime, delivery_id))
    one = found.delivery
    click.echo(f"delivery {one.id}, received {one.received_at}: {one.state}{f' ({one.reason})' if one.reason else ''}")
    click.echo(found.body.decode("utf-8", "replace"))
    for item in found.items:
        click.echo(f"item {item.position} was set aside ({item.reason}):")
        click.echo(item.raw.decode("utf-8", "replace"))


@events.command("replay")
@_serials
@click.option("--all", "is_all", is_flag=True, help="All of --state and --reason instead of some by their ids.")
@_state
@_reason
def replay(*, delivery_ids: tuple[int, ...], is_all: bool, state: str, reason: str | None) -> None:
    """Have deliveries worked on again, by a running worker. What fails again is set aside again."""
    if is_all == bool(delivery_ids):
        raise click.UsageError("Name deliveries, or --all with --state and --reason.")
    from inbox.main import replaying  # noqa: PLC0415

    if is_all:
        count = replaying.run(lambda runtime: replaying.replay_all(runtime, state, reason))
    else:
        count = replaying.run(lambda runtime: replaying.replay(runtime, delivery_ids))
    click.echo(f"{count} open again.")


@events.command("discard")
@_serials
def discard(*, delivery_ids: tuple[int, ...]) -> None:
    """Give up what was set aside of deliveries. They are removed when they are old."""
    if not delivery_ids:
        raise click.UsageError("Name deliveries.")
    from inbox.main import replaying  # noqa: PLC0415

    replaying.run(lambda runtime: replaying.discard(runtime, delivery_ids))
    click.echo(f"{len(delivery_ids)} discarded.")


@events.command("reconcile")
@click.option("--since", type=click.DateTime(_TIMES), help="UTC. By default 24 hours before --until.")
@click.option("--until", type=click.DateTime(_TIMES), help="UTC. By default now.")
def reconcile(*, since: datetime | None, until: datetime | None) -> None:
    """Compare what was received with what is stored. Ends with 1 if anything is missing."""
    from inbox.main import replaying  # noqa: PLC0415

    end = (until or datetime.now(UTC)).replace(tzinfo=UTC)
    begin = since.replace(tzinfo=UTC) if since else end - timedelta(days=1)
    done = replaying.run(lambda runtime: replaying.reconcile(runtime, begin, end))
    items = done.items
    click.echo(f"{done.deliveries} deliveries from {begin:%Y-%m-%dT%H:%M:%SZ} to {end:%Y-%m-%dT%H:%M:%SZ}")
    click.echo(
        f"received {items.received} = applied {items.applied} + quarantined {items.quarantined} + parked "
        f"{items.parked} + expired {items.expired} + waiting {items.waiting} + missing {items.missing}"
    )
    for one in done.missing:
        click.echo(f"missing: item {one.position} of delivery {one.delivery_id} ({one.kind})")
    if items.missing:
        sys.exit(1)
