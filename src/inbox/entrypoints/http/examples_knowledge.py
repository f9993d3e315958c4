"""Examples of calls about the knowledge base."""

from collections.abc import Mapping
from typing import Final

from inbox.entrypoints.http.examples_values import ACCOUNT, AT, PERSON, Example

ARTICLE_ID: Final = "0192a1b2-3c4d-7e5f-8a6b-7c8d9e0f1a77"
_SAID: Final = {
    "kind": "qa",
    "title": "Combien coûte la réparation d'une crevaison ?",
    "body": "15 € avec la chambre à air, sans rendez-vous.",
    "language": "fr",
}
_DRAFT: Final = {
    "id": ARTICLE_ID,
    "account_id": ACCOUNT,
    **_SAID,
    "state": "draft",
    "version": 1,
    "created_by": PERSON,
    "approved_by": None,
    "approved_at": None,
    "created_at": AT,
    "updated_at": AT,
}
_APPROVED: Final = {**_DRAFT, "state": "approved", "approved_by": PERSON, "approved_at": AT}
_FOUND: Final = {"article_id": ARTICLE_ID, "version": 1, "title": _SAID["title"], "text": _SAID["body"]}

KNOWLEDGE: Final[Mapping[str, Example]] = {
    "knowledge.list_articles": Example(answer=[_APPROVED]),
    "knowledge.create_article": Example(request=_SAID, answer=_DRAFT),
    "knowledge.import_articles": Example(
        request={"articles": [_SAID], "approve": True}, answer={"article_ids": [ARTICLE_ID], "status": "ok"}
    ),
    "knowledge.search_articles": Example(
        answer=[{**_FOUND, "place": 0, "score": 0.016393, "text_rank": 1, "vector_rank": None}]
    ),
    "knowledge.get_article": Example(answer=_APPROVED),
    "knowledge.change_article": Example(
        request={**_SAID, "body": "18 € avec la chambre à air.", "version": 1},
        answer={**_DRAFT, "body": "18 € avec la chambre à air.", "version": 2},
    ),
    "knowledge.approve_article": Example(request={"version": 1}, answer=_APPROVED),
    "knowledge.archive_article": Example(answer={**_APPROVED, "state": "archived"}),
    "knowledge.delete_article": Example(answer={"article_id": ARTICLE_ID, "status": "deleted"}),
    "knowledge.list_sources": Example(answer=[{**_FOUND, "rank": 1, "score": 0.016393, "is_current": True}]),
}
