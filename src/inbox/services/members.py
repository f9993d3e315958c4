"""People who use the inbox: who they are to us, from their first sign-in on."""

from inbox.domain.access import Actor, Permission, Subject
from inbox.domain.errors import UserDisabled
from inbox.ports.database import Database


class Members:
    """Turns whom a token speaks for into somebody with rights."""

    def __init__(self, database: Database, *, bootstrap_email: str | None, default_role: str | None) -> None:
        """`bootstrap_email` becomes administrator while there is none; `default_role` is given to new users, once."""
        self._database = database
        self._bootstrap_email = bootstrap_email.strip().lower() if bootstrap_email else None
        self._default_role = default_role

    async def sign_in(self, subject: Subject) -> Actor:
        """The caller with every grant, read at each request. Their row is made at the first one.

        Raises `UserDisabled`.
        """
        actor = await self._database.queries.actor(subject.user_id)
        if actor is None or self._may_become_admin(subject, actor):
            async with self._database.transaction() as tx:
                await tx.members.sign_in(
                    subject, bootstrap_email=self._bootstrap_email, default_role=self._default_role
                )
            actor = await self._database.queries.actor(subject.user_id)
        if actor is None or not actor.is_active:
            raise UserDisabled
        return actor

    def _may_become_admin(self, subject: Subject, actor: Actor) -> bool:
        """True for the bootstrap address that is not administrator yet, say because it was configured later."""
        return (
            self._bootstrap_email is not None
            and subject.is_email_verified
            and subject.email == self._bootstrap_email
            and actor.is_active
            and not actor.holds(Permission.ROLES_MANAGE)
        )
