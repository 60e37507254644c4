"""One report in several wordings: which audiences there are, and how they are named."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

WORDINGS_AT_MOST = 20
"""Wordings of one update beside the general one: each is composed, and mailed, by itself."""


@dataclass(frozen=True)
class Wording:
    """What one company, or everybody at home on one portal domain, is told instead of the general text.

    Exactly one of the two ids is set. A company's own wording goes before that of its home domain. `texts` is what it
    says in other languages: they are for the same readers, and for nobody else.
    """

    text: str
    company_id: int | None = None
    domain_id: int | None = None
    texts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.company_id is None) is (self.domain_id is None):
            raise ValueError("a wording is for one company or for one portal domain")

    @property
    def key(self) -> str:
        """The audience, as the variant of a mail is called: "c12" for a company, "d3" for a portal domain."""
        return f"c{self.company_id}" if self.company_id is not None else f"d{self.domain_id}"

    def to_json(self) -> dict[str, Any]:
        stored = {"text": self.text, "company_id": self.company_id, "domain_id": self.domain_id}
        return stored | ({"texts": dict(self.texts)} if self.texts else {})

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Wording":
        return cls(stored["text"], stored["company_id"], stored["domain_id"], stored.get("texts", {}))


def key_for(company_id: int | None, home_domain_id: int | None, keys: Mapping[str, Any]) -> str:
    """Which of these wordings a company at home on this domain reads; "" is the general one."""
    for key in (f"c{company_id}", f"d{home_domain_id}"):
        if key in keys:
            return key
    return ""
