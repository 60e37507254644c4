"""Filling the plain wordings of channels: `{{name}}`, once, and nothing else."""

import re
from collections.abc import Mapping

_PLACE = re.compile(r"{{\s*(\w+)\s*}}")


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with its places filled; a name nobody knows stays as typed, and what is filled in is not read again."""
    return _PLACE.sub(lambda place: str(values.get(place[1], place[0])), text)
