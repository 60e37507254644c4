"""A feed as Atom (RFC 4287)."""

import re
from collections.abc import Sequence

from flask_babel import gettext as _

from portal.domains.models import PortalDomain
from portal.public.feeds.entries import Entry, id_of

ATOM = "application/atom+xml; charset=utf-8"

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML has no way to write."""


def atom_of(domain: PortalDomain, language: str, entries: Sequence[Entry], address: str) -> bytes:
    """The document; `address` is where it is read."""
    from feedgen.feed import FeedGenerator  # noqa: PLC0415 (it brings an XML library that nothing else needs)

    feed = FeedGenerator()
    feed.id(id_of(domain, "feed"))
    feed.title(_written(_("%(brand)s status", brand=domain.brand)))
    feed.link(href=f"{domain.base_url}/status", rel="alternate", type="text/html")
    feed.link(href=address, rel="self", type="application/atom+xml")
    feed.author({"name": _written(domain.brand)})
    feed.language(language)
    feed.generator("Signalbox")
    feed.updated(max((each.updated_at for each in entries), default=domain.created_at))
    for each in entries:
        entry = feed.add_entry(order="append")
        entry.id(id_of(domain, each.key))
        entry.title(_written(each.title))
        entry.link(href=f"{domain.base_url}{each.path}", rel="alternate", type="text/html")
        entry.category(term=each.kind)
        entry.published(each.published_at)
        entry.updated(each.updated_at)
        entry.content(_written(each.content), type="html")
    document: bytes = feed.atom_str()
    return document


def _written(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
