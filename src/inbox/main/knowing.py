"""Wiring of the knowledge base."""

from dishka import Provider, Scope, provide

from inbox.entrypoints.knowledge_keeper import KnowledgeKeeper
from inbox.ports.database import Database
from inbox.ports.llm import Embedder
from inbox.services.knowledge import Knowledge
from inbox.services.rights import Rights


class Knowing(Provider):
    """What businesses know, and who makes its vectors."""

    scope = Scope.APP
    keeper = provide(KnowledgeKeeper)

    @provide
    def knowledge(self, database: Database, rights: Rights, embedder: Embedder | None) -> Knowledge:
        return Knowledge(database, rights, embedder)
