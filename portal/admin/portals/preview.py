"""The small sign-in page beside the form of a portal domain: as it will be, on light pages and on dark ones."""

import re
from dataclasses import dataclass

from flask_babel import force_locale
from flask_babel import gettext as _

from portal.brand import DARK, LIGHT, Accent, Advice, accent_of, advice
from portal.domains.models import PortalDomain
from portal.domains.rules import normal_address
from portal.domains.rules.support import Channels
from portal.language import known

ACCENT = "#2457d6"
_COLOUR = re.compile(r"#[0-9a-f]{6}")


@dataclass(frozen=True)
class Preview:
    """What the preview shows. `schemes` are the accent on light and on dark pages, `advice` what to say of it."""

    address: str
    brand: str
    tagline: str
    words: dict[str, str]
    support: str
    schemes: tuple[tuple[str, Accent], ...]
    advice: tuple[Advice, ...]


def preview_of(*, base_url: str, brand: str, tagline: str, accent: str, language: str, channels: Channels) -> Preview:
    """The preview of what is typed; whatever of it cannot be yet is shown as it would be without."""
    colour = accent.strip().lower() if _COLOUR.fullmatch(accent.strip().lower()) else ACCENT
    address = normal_address(base_url)
    with force_locale(known(language)):
        words = {
            "sign_in": str(_("Sign in")),
            "email": str(_("E-mail address")),
            "password": str(_("Password")),
        }
    return Preview(
        address=address.host if address else "status.example.com",
        brand=brand.strip()[:100] or "Your brand",
        tagline=tagline.strip()[:160],
        words=words,
        support=channels.in_words()[:400],
        schemes=(("light", accent_of(colour, LIGHT)), ("dark", accent_of(colour, DARK))),
        advice=(advice(colour, LIGHT), advice(colour, DARK)),
    )


def preview_of_domain(domain: PortalDomain) -> Preview:
    """The preview of a domain as it is."""
    return preview_of(
        base_url=domain.base_url,
        brand=domain.brand,
        tagline=domain.tagline or "",
        accent=domain.accent,
        language=domain.language,
        channels=domain.support,
    )
