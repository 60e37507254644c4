"""The unlikely words of a proof: what each stands for, and whether one of them stands in a text."""

import re
import secrets

_NAME = re.compile(r"leak[0-9a-f]{12}", re.IGNORECASE)
_COLOR = re.compile(r"(?:#|%23)([0-9a-f]{6})(?![0-9a-f])", re.IGNORECASE)
_FIGURE = re.compile(r"(?<![0-9A-Za-z.,])[1-4][0-9][.,][0-9]{3}(?![0-9A-Za-z])")
_NUMBER = re.compile(r"(?<![0-9A-Za-z])[0-9]{9}(?![0-9A-Za-z])")


class Words:
    """What was planted, by how it would be read. Case does not count, nor how an address writes a colour."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._in_use: set[str] = set()

    def avoid(self, text: str) -> None:
        """Plant no colour that stands in this text: it would be found where nothing has leaked."""
        self._in_use.update(found.lower() for found in _COLOR.findall(text))

    def __len__(self) -> int:
        return len(self._known)

    def name(self, told: str) -> str:
        """A new name for this, of 16 letters and figures."""
        found = f"LEAK{secrets.token_hex(6)}"
        self._known[found.lower()] = told
        return found

    def color(self, told: str) -> str:
        """A new colour for this, as `#rrggbb`."""
        found = secrets.token_hex(3)
        while found in self._known or found in self._in_use:
            found = secrets.token_hex(3)
        self._known[found] = told
        return f"#{found}"

    def number(self, found: int, told: str) -> None:
        """Note that this number of nine figures stands for something."""
        self._known[str(found)] = told

    def figure(self, told: str) -> int:
        """A new figure between 10 and 50 for this, in thousandths; it is found with three digits behind its point."""
        found = 10_000 + secrets.randbelow(40_000)
        self._known[f"{found // 1000}.{found % 1000:03}"] = told
        return found

    def found_in(self, text: str) -> list[str]:
        """What the words that stand in a text stand for, each once."""
        figures = [each.replace(",", ".") for each in _FIGURE.findall(text)]
        read = [*_NAME.findall(text), *_COLOR.findall(text), *_NUMBER.findall(text), *figures]
        return list(dict.fromkeys(told for each in read if (told := self._known.get(each.lower()))))
