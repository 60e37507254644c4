"""Custom wording: what of a state's name a portal domain may choose for its customers."""

from collections.abc import Mapping

LENGTH = 60
"""Characters of a wording at most: it stands in a badge."""

WORDED: dict[str, tuple[str, ...]] = {
    "severity": ("none", "performance_issue", "partial_rth", "major_outage"),
    "state": ("investigating", "identified", "watching", "fixed"),
    "service": ("operating_normally", "scheduled_service", "intermittent_problems", "system_is_down"),
}
"""The kinds of state customers meet, with their values, in the order staff edit them."""

KEYS = tuple(f"{kind}.{value}" for kind, values in WORDED.items() for value in values)

Wordings = Mapping[str, Mapping[str, str]]
"""By language and key, such as {"en": {"severity.partial_rth": "Calls back to you fail"}}."""
