"""Why the assistant does not help a person. Kinds and codes as in `inbox.domain.errors`."""

from inbox.domain.errors import InboxError, Kind


class NothingToRead(InboxError):
    """The conversation has no message that a draft or a summary could be made from."""

    kind = Kind.CONFLICT
    code = "nothing_to_read"
    message = "There is nothing in this conversation yet."


class BudgetSpent(InboxError):
    """What the assistant may use in a day, for this customer or the account, is used up; UTC's midnight ends that."""

    kind = Kind.THROTTLED
    code = "budget_spent"
    message = "The assistant has used up its budget of today."
