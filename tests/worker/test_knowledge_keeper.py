"""Beside the worker articles get their vectors once they are approved; a failure ends a round, not the keeper."""

from builders import an_account, until
from inbox.domain.errors import DatabaseUnavailable
from inbox.entrypoints.knowledge_keeper import KnowledgeKeeper
from inbox.services.knowledge import Knowledge
from knowledge_builders import Topics, an_article
from services.rights_scene import forgetful


class Failing(Knowledge):
    """Fails, in two ways, before it goes well."""

    failures: list[Exception]

    async def embed(self) -> int:
        if self.failures:
            raise self.failures.pop(0)
        return await super().embed()


async def test_what_is_approved_gets_its_vector_again_and_again_whatever_fails(database, engine):
    account = (await an_account(engine)).account_id
    knowledge = Failing(database, forgetful(database), Topics("horaires"))
    knowledge.failures = [DatabaseUnavailable(), ZeroDivisionError("a bug")]
    async with KnowledgeKeeper(knowledge).running(every=0.01):
        for count in (1, 2):
            await an_article(engine, account)
            await until(
                engine,
                f"select 1 from knowledge_passages where embedding is not null having count(*) = {count}",  # noqa: S608 - a number
            )
    assert knowledge.failures == []
