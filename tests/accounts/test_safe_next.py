"""Where signing in may lead on to (A19)."""

import pytest

from portal.accounts.rules import safe_next


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.test",
        "///evil.test",
        "/\\evil.test",
        "\\\\evil.test",
        "https:evil.test",
        "https://evil.test/",
        "https://a.portal.test.evil/",
        "\thttps://evil.test",
        "/\t/evil.test",
        "/%09/evil.test",
        "/%0d%0aSet-Cookie:x",
        "/%5cevil.test",
        "/%2f/evil.test",
        "/..//evil.test",
        "/../x",
        "/a/%2e%2e//evil.test",
        "/\u200b/evil.test",
        "javascript:alert(1)",
        "data:text/html,x",
        "status",
        " /status",
        "?next=/",
        "#x",
        "",
        None,
        "/" + "x" * 2000,
    ],
)
def test_anything_but_a_path_of_this_host_leads_home(wanted: str | None) -> None:
    assert safe_next(wanted) == "/"


@pytest.mark.parametrize("wanted", ["/", "/status", "/incidents/abc", "/services?q=sip+trunk&page=2", "/account#zone"])
def test_a_path_of_this_host_is_kept(wanted: str) -> None:
    assert safe_next(wanted) == wanted


def test_what_looks_like_an_address_in_the_query_is_no_address() -> None:
    assert safe_next("/services?q=//evil.test") == "/services?q=//evil.test"
