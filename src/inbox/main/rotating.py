"""Stored secrets under the newest key, for `inbox rotate-keys`."""

from inbox.adapters.database.postgres.engine import create_engine
from inbox.adapters.database.postgres.rotation import Rotated, Rotation
from inbox.domain.errors import SecretUnreadable
from inbox.main.runtime import Runtime


async def rotate(runtime: Runtime) -> Rotated:
    """Raises `DatabaseUnavailable`, `DatabaseTimeout`."""
    engine = create_engine(runtime.database_url, pool_size=1, application_name="inbox-rotate-keys")
    try:
        return await Rotation(engine, runtime.sealer).run()
    finally:
        await engine.dispose()


def check(done: Rotated) -> None:
    """Raises `SecretUnreadable`, in words for the operator, if the old key is needed still."""
    if done.unreadable:
        raise SecretUnreadable(
            "\n".join(["These secrets do not open and stay as they are:", *(f"  - {line}" for line in done.unreadable)])
        )
    if not done.is_complete:
        raise SecretUnreadable(
            "Values under an older key keep appearing: some process still seals with it. Give every process the new "
            "key in front, restart them, and repeat this command."
        )
