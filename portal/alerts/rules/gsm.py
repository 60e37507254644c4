"""Text messages in the alphabet of GSM: how long a text is, and how it is brought into one message. Pure.

Source: 3GPP TS 23.038, sections 6.1.2.1 and 6.2.1; 3GPP TS 23.040, section 9.2.3.24.1.
"""

import unicodedata

ONE_MESSAGE = 160
"""Characters of the alphabet that fit into one message; of several that are joined each holds seven less."""

JOINED = 153

ONE_MESSAGE_OF_OTHERS, JOINED_OF_OTHERS = 70, 67
"""The same where a single character is not in the alphabet: then each takes two bytes, and some take four."""

_ALPHABET = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_OF_TWO = frozenset("\f^{}\\[~]|€")
_LIKE = {
    "–": "-", "—": "-", "−": "-", "‐": "-", "‑": "-", "…": "...", "„": '"', "“": '"', "”": '"', "«": '"', "»": '"',
    "‘": "'", "’": "'", "‚": "'", "`": "'", "´": "'", "•": "*", "≤": "<=", "≥": ">=", "×": "x", "µ": "u", "ẞ": "SS",
    "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ı": "i", "œ": "oe", "Œ": "OE", "þ": "th", "ð": "d", "\t": " ",
}  # fmt: skip
"""What is read the same for what the alphabet lacks."""


def is_in_alphabet(text: str) -> bool:
    """Whether every character can be said in the alphabet, and so the long form of a message holds it."""
    return all(each in _ALPHABET or each in _OF_TWO for each in text)


def length(text: str) -> int:
    """How much of a message a text takes: in places of the alphabet, or where it leaves that in pairs of bytes."""
    if is_in_alphabet(text):
        return sum(2 if each in _OF_TWO else 1 for each in text)
    return len(text.encode("utf-16-be")) // 2


def parts(text: str) -> int:
    """As how many messages a text is sent, and paid."""
    one, joined = (ONE_MESSAGE, JOINED) if is_in_alphabet(text) else (ONE_MESSAGE_OF_OTHERS, JOINED_OF_OTHERS)
    size = length(text)
    return 1 if size <= one else -(-size // joined)


def in_alphabet(text: str) -> str | None:
    """The text on one line in letters of the alphabet, read all the same; None for a script it does not have."""
    said = []
    for char in unicodedata.normalize("NFC", text):
        found = char if is_in_alphabet(char) else _LIKE.get(char) or _bare(char)
        if found is None:
            return None
        said.append(found)
    return " ".join("".join(said).split())


def _bare(char: str) -> str | None:
    """A letter without its accents, a space of any width as a space; None where neither helps."""
    if char.isspace() or not char.isprintable():
        return " "
    bare = "".join(each for each in unicodedata.normalize("NFKD", char) if not unicodedata.combining(each))
    return bare if bare and is_in_alphabet(bare) else None


def cut(text: str, room: int) -> str:
    """The text cut to this length, with dots at its end where it was cut."""
    if length(text) <= room:
        return text
    while text and length(text) + 3 > room:
        text = text[:-1]
    return f"{text.rstrip(' ,.:;-')}..." if room >= 3 else ""
