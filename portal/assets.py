"""Static files under hashed names: one style sheet, one script, and whatever else `static/` holds.

The CSS files are joined in the order of the cascade layers, and the script files in the order listed, so that
a first visit needs few requests; both are compressed once, at start.
"""

import gzip
import hashlib
import mimetypes
from pathlib import Path

from flask import Blueprint, Flask, Response, abort, current_app, request, url_for

blueprint = Blueprint("assets", __name__)

STATIC = Path(__file__).parent / "static"
YEAR = 31_536_000


class Asset:
    def __init__(self, name: str, body: bytes) -> None:
        stem, _, suffix = name.rpartition(".")
        self.body = body
        self.compressed = gzip.compress(body, 9, mtime=0)
        self.mimetype = mimetypes.guess_type(name)[0] or "application/octet-stream"
        self.address = f"{stem}.{hashlib.sha256(body).hexdigest()[:10]}.{suffix}"


def init_app(app: Flask) -> None:
    assets = dict(_bundles())
    for path in sorted((STATIC / "vendor").glob("*.js")) + sorted((STATIC / "images").glob("*")):
        name = path.relative_to(STATIC).as_posix()
        assets[name] = Asset(name, path.read_bytes())
    app.extensions["assets"] = assets
    app.extensions["assets_by_address"] = {asset.address: asset for asset in assets.values()}
    app.register_blueprint(blueprint)
    app.jinja_env.globals["asset"] = address_of


def address_of(name: str) -> str:
    """The URL of an asset by its plain name, such as `portal.css` or `vendor/htmx.js`."""
    return url_for("assets.asset", address=current_app.extensions["assets"][name].address)


@blueprint.get("/static/<path:address>")
def asset(address: str) -> Response:
    found: Asset | None = current_app.extensions["assets_by_address"].get(address)
    if found is None:
        abort(404)
    packed = "gzip" in request.headers.get("Accept-Encoding", "")
    response = Response(found.compressed if packed else found.body, mimetype=found.mimetype)
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Cache-Control"] = f"public, max-age={YEAR}, immutable"
    response.vary.add("Accept-Encoding")
    return response


def _bundles() -> list[tuple[str, Asset]]:
    css = b"\n".join(path.read_bytes() for path in sorted((STATIC / "css").glob("*.css")))
    scripts = b"\n".join(path.read_bytes() for path in sorted((STATIC / "js").glob("*.js")))
    return [("portal.css", Asset("portal.css", css)), ("portal.js", Asset("portal.js", scripts))]
