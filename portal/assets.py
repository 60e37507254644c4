"""Static files under hashed names: one style sheet, one script, and whatever else `static/` holds.

The CSS files are joined in the order of the cascade layers, and the script files in the order of their names behind
htmx, so that a first visit needs few requests; both are compressed once, at start. What only staff screens need lies in
`css/admin` and `js/admin` and is joined in its place into a sheet and a script of their own: customers load none of it.
The colours of a brand are a small sheet of their own, made from the portal domain's accent.
"""

import gzip
import hashlib
import mimetypes
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from flask import Blueprint, Flask, Response, abort, current_app, g, request, url_for

from portal.brand import STAFF_ACCENT, style_sheet

blueprint = Blueprint("assets", __name__)

STATIC = Path(__file__).parent / "static"
HTMX = STATIC / "vendor" / "htmx.js"
YEAR, DAY = 31_536_000, 86_400
STAFF = "staff"


class Asset:
    """A file as it is served: its bytes, compressed where that is shorter, and its address with a hash of them."""

    def __init__(self, name: str, body: bytes) -> None:
        stem, _, suffix = name.rpartition(".")
        packed = gzip.compress(body, 9, mtime=0)
        self.body = body
        self.compressed = packed if len(packed) < len(body) else None
        self.mimetype = mimetypes.guess_type(name)[0] or "application/octet-stream"
        self.address = f"{stem}.{hashlib.sha256(body).hexdigest()[:10]}.{suffix}"


def init_app(app: Flask) -> None:
    """Read and compress what there is, and give templates `asset` and `brand_sheet`."""
    assets = dict(_bundles())
    alone = [path for path in (STATIC / "vendor").glob("*.js") if path != HTMX]
    others = (STATIC / folder for folder in ("images", "embed", "alerts", "admin/alerts"))
    for path in sorted(alone) + sorted(path for folder in others for path in folder.glob("*")):
        name = path.relative_to(STATIC).as_posix()
        assets[name] = Asset(name, path.read_bytes())
    app.extensions["assets"] = assets
    app.extensions["asset_addresses"] = {}
    app.extensions["assets_by_address"] = {asset.address: asset for asset in assets.values()}
    app.register_blueprint(blueprint)
    app.jinja_env.globals.update(asset=address_of, brand_sheet=brand_address)


def address_of(name: str) -> str:
    """The URL of an asset by its plain name, such as `portal.css` or `vendor/sortable.js`."""
    addresses: dict[str, str] = current_app.extensions["asset_addresses"]
    if name not in addresses:
        addresses[name] = url_for("assets.asset", address=current_app.extensions["assets"][name].address)
    return addresses[name]


def made_sheet(text: str, *, is_current: bool) -> Response:
    """A style sheet made for those who may see it, at an address with its version: to be kept for ever.

    What is asked for by an earlier version is today's too, and is to be asked for again.
    """
    response = _answer(Asset("made.css", text.encode()))
    response.headers["Cache-Control"] = f"private, max-age={YEAR}, immutable" if is_current else "private, no-cache"
    return response


def brand_address(sheet: str | None = None) -> str:
    """The URL of the brand colours: of the portal domain that was asked; with "staff", or without one, of the staff."""
    domain = None if sheet == STAFF else getattr(g, "portal", None)
    found = _sheet_of(domain) if domain else _sheet(f"brand/{STAFF}.css", STAFF_ACCENT)
    return url_for("assets.brand", address=found.address.removeprefix("brand/"))


@blueprint.get("/static/<path:address>")
def asset(address: str) -> Response:
    """An asset by its hashed address; it never changes, so it may be kept for ever."""
    found: Asset | None = current_app.extensions["assets_by_address"].get(address)
    if found is None:
        abort(404)
    return _answer(found)


@blueprint.get("/favicon.ico")
def icon() -> Response:
    """The mark, where browsers look for it beside what cannot name it, such as a feed."""
    response = _answer(current_app.extensions["assets"]["images/mark.svg"])
    response.headers["Cache-Control"] = f"public, max-age={DAY}"
    return response


@blueprint.get("/static/brand/<address>")
def brand(address: str) -> Response:
    """The brand colours of the portal domain that was asked, or of the staff screens.

    An address of earlier colours gets those of today, to be asked for again: a page may be older than a new brand.
    """
    domain = g.portal
    name = address.partition(".")[0]
    if name == STAFF:
        found = _sheet(f"brand/{STAFF}.css", STAFF_ACCENT)
    elif domain is not None and name == str(domain.id):
        found = _sheet_of(domain)
    else:
        abort(404)
    response = _answer(found)
    if found.address != f"brand/{address}":
        response.headers["Cache-Control"] = "public, no-cache"
    return response


def _sheet_of(domain: Any) -> Asset:
    return _sheet(f"brand/{domain.id}.css", str(domain.accent), tuple(sorted(domain.status_colors.items())))


@lru_cache(maxsize=1024)
def _sheet(name: str, accent: str, statuses: tuple[tuple[str, str], ...] = ()) -> Asset:
    return Asset(name, style_sheet(accent, dict(statuses)).encode())


def _answer(found: Asset) -> Response:
    response = Response(found.body, mimetype=found.mimetype)
    if found.compressed is not None:
        response.vary.add("Accept-Encoding")
        if cast(int, request.accept_encodings["gzip"]) > 0:
            response.set_data(found.compressed)
            response.headers["Content-Encoding"] = "gzip"
    response.headers["Cache-Control"] = f"public, max-age={YEAR}, immutable"
    return response


def _bundles() -> list[tuple[str, Asset]]:
    return [
        (name, Asset(name, b"\n".join(path.read_bytes() for path in _parts(folders, suffix))))
        for suffix in ("css", "js")
        for name, folders in ((f"portal.{suffix}", [suffix]), (f"staff.{suffix}", [suffix, f"{suffix}/admin"]))
    ]


def _parts(folders: Sequence[str], suffix: str) -> list[Path]:
    found = (path for folder in folders for path in (STATIC / folder).glob(f"*.{suffix}"))
    return [*([HTMX] if suffix == "js" else []), *sorted(found, key=lambda path: path.name)]
