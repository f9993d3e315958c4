"""What cannot be done with an article of the knowledge base. Kinds and codes as in `inbox.domain.errors`."""

from inbox.domain.errors import InboxError, Kind


class ArticleNotFound(InboxError):
    kind = Kind.NOT_FOUND
    code = "article_not_found"


class ArticleChanged(InboxError):
    """Nobody approves, or writes over, what they have not read."""

    kind = Kind.CONFLICT
    code = "article_changed"
    message = "Somebody has changed this article since you read it. Read it again."


class KnowledgeFull(InboxError):
    kind = Kind.CONFLICT
    code = "knowledge_full"
    message = "The knowledge base of an account holds 10,000 articles. Delete some first."
