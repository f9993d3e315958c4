"""Where the files of a bench lie."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_SHM: Final = Path("/dev/shm")  # noqa: S108 - the folder in it is made as mkdtemp(3) makes it
_ROOM: Final = 2 * 1024**3


def has_memory() -> bool:
    """Whether files can lie in memory, where no disk stalls."""
    return _SHM.is_dir() and shutil.disk_usage(_SHM).free > _ROOM


@contextmanager
def folder(*, in_memory: bool) -> Iterator[Path]:
    """A folder for the block, in memory where that is asked for and possible."""
    where = _SHM if in_memory and has_memory() else None
    with tempfile.TemporaryDirectory(prefix="inbox-bench-", dir=where) as made:
        os.chmod(made, 0o755)  # noqa: PTH101, S103 - as root PostgreSQL runs as another user
        yield Path(made)
