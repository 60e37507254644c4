"""The services that a company is not shown, for whatever names what it holds. Which they are is said further up."""

from collections.abc import Callable, Collection, Mapping

Source = Callable[[Collection[int]], Mapping[int, frozenset[int]]]
"""Answers for companies which services are hidden from them, by company; one may be left out."""

_sources: list[Source] = []


def register(source: Source) -> Source:
    """Make known who says what is hidden; to be used as a decorator."""
    if source not in _sources:
        _sources.append(source)
    return source


def hidden_from(company_ids: Collection[int]) -> dict[int, frozenset[int]]:
    """By company the services it is not shown, of those from which any are hidden. At most three queries."""
    found: dict[int, frozenset[int]] = {}
    for source in _sources if company_ids else ():
        for company_id, hidden in source(company_ids).items():
            found[company_id] = found.get(company_id, frozenset()) | hidden
    return found
