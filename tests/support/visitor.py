"""A person with a plain HTTP client: one host, a cookie jar, and the form token of the page before."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urlsplit


@dataclass(frozen=True)
class Answer:
    """What came back, unfollowed. `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def token(self) -> str:
        """The form token of the page, "" on one without."""
        found = re.search(r'name="csrf-token" content="([^"]+)"', self.text)
        return found.group(1) if found else ""


class Visitor:
    """Asks 127.0.0.1 at `port` for `host`, as a browser with that address would. Redirects are not followed."""

    def __init__(self, port: int, host: str, seconds: float = 20.0) -> None:
        self.port, self.host, self.seconds = port, host, seconds
        self.cookies: dict[str, str] = {}
        self.token = ""

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers=headers)

    def post(self, path: str, form: Mapping[str, str] | list[tuple[str, str]], **headers: str) -> Answer:
        """Send a form with the token of the last page that had one. Header names are written with underscores."""
        fields = list(form.items()) if isinstance(form, Mapping) else list(form)
        body = urlencode([("csrf_token", self.token), *fields])
        return self.ask("POST", path, body, {"Content_Type": "application/x-www-form-urlencoded", **headers})

    def fragment(self, path: str, **headers: str) -> Answer:
        """Ask as htmx does."""
        return self.get(path, HX_Request="true", **headers)

    def follow(self, answer: Answer) -> Answer:
        """Go where an answer redirects to, on this host."""
        target = urlsplit(answer.headers["location"])
        return self.get(target.path + (f"?{target.query}" if target.query else ""))

    def sign_in(self, email: str, password: str) -> Answer:
        """Through the sign-in page, as a person does."""
        self.get("/sign-in")
        return self.post("/sign-in", {"email": email, "password": password})

    def ask(
        self, method: str, path: str, body: str | bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send any request; every answer's cookies are kept."""
        sent = {"Host": f"{self.host}:{self.port}"}
        sent |= {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection = HTTPConnection("127.0.0.1", self.port, timeout=self.seconds)
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
            for line in response.headers.get_all("Set-Cookie") or ():
                self._keep(SimpleCookie(line))
        finally:
            connection.close()
        if "text/html" in answer.headers.get("content-type", "") and answer.token:
            self.token = answer.token
        return answer

    def _keep(self, cookie: SimpleCookie) -> None:
        for name, morsel in cookie.items():
            if morsel["max-age"] == "0" or not morsel.value:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel.value
