"""Tells `portal up`, which reads no database, whether assistants are answered: by a file in the instance folder."""

from pathlib import Path

NAME = "assistants.open"


def mark(instance: Path, is_open: bool) -> None:
    """Have the file be there just while assistants are answered."""
    file = instance / NAME
    if is_open:
        file.touch(mode=0o600)
    else:
        file.unlink(missing_ok=True)


def is_marked(instance: Path) -> bool:
    return (instance / NAME).exists()
