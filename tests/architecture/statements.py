"""Every SQL statement of the project, by its name."""

import importlib
import pkgutil
from collections.abc import Iterator

from sqlalchemy import TextClause

from inbox.adapters.database import postgres


def statements() -> Iterator[tuple[str, str]]:
    for module in pkgutil.iter_modules(postgres.__path__):
        for name, value in vars(importlib.import_module(f"{postgres.__name__}.{module.name}")).items():
            if isinstance(value, TextClause):
                yield f"{module.name}.{name}", value.text
