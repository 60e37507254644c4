"""I16, I17: what staff write in Markdown reaches customers as clean HTML, quickly."""

import time

import pytest
from bs4 import BeautifulSoup

from portal.filters import markdown

SECONDS = 1.0 * 10  # the limit of the catalogue, with slack for a busy machine

HTMX = [
    '<div hx-get="/admin/companies/1/delete" hx-trigger="load">x</div>',
    '<div data-hx-post="/sign-out" data-hx-trigger="load">x</div>',
    '<b hx-on:click="alert(1)">x</b>',
    '<b hx-vals="js:{a: alert(1)}">x</b>',
    '<div hx-swap-oob="true" id="navigation">x</div>',
    '<hx-partial hx-target="body">x</hx-partial>',
    '<meta name="htmx-config" content=\'{"selfRequestsOnly": false}\'>',
    '[x](https://safe.test "a\\" hx-get=\\"/sign-out")',
    '[x](https://safe.test/"hx-get="/sign-out")',
]
SCRIPTS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<svg/onload=alert(1)>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<style>*{background:url(//evil.test)}</style>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<a href=javascript:alert(1)>x</a>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java&#115;cript:alert(1))",
    "[x](&#x6A;avascript:alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    "[x](vbscript:msgbox(1))",
    "[x][r]\n\n[r]: javascript:alert(1)",
    "<javascript:alert(1)>",
    "![](//evil.test/x.png)",
    "![x](https://evil.test/x.png)",
    '![x](x" onerror="alert(1))',
    "`<script>alert(1)</script>`",
    "~~~\n<script>alert(1)</script>\n~~~",
    "|<script>|\n|-|\n|<img src=x onerror=alert(1)>|",
]


@pytest.mark.parametrize("text", HTMX + SCRIPTS)
def test_i17_nothing_that_acts_survives_markdown(text: str) -> None:
    shown = BeautifulSoup(markdown(text), "html.parser")
    assert {tag.name for tag in shown.find_all()} <= {
        "p", "br", "em", "strong", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a", "hr",
        "table", "thead", "tbody", "tr", "th", "td",
    }  # fmt: skip
    for tag in shown.find_all():
        assert set(tag.attrs) <= {"href", "rel", "title"}
        assert str(tag.get("href", "https:")).startswith(("http:", "https:", "mailto:"))
        if tag.name == "a":
            assert tag["rel"] == ["noopener", "noreferrer", "nofollow"]


@pytest.mark.parametrize(
    "text",
    [
        "[" * 20_000,
        "](" * 10_000,
        "> " * 10_000 + "deep",
        "\n".join("> " * depth + "x" for depth in range(0, 300)),
        "*" * 20_000 + "x" + "*" * 20_000,
        "`" * 20_000,
        "- " * 10_000 + "x",
        "![" * 10_000,
        "<" * 20_000,
        "&" * 20_000,
        "|" * 20_000 + "\n" + "|-" * 10_000,
        "[a](" + "(" * 20_000,
        "x\n" * 20_000,
        "\\" * 20_000,
        "_a_ " * 10_000,
        "[a]: /b\n" * 2_000 + "[a] " * 2_000,
    ],
    ids=lambda text: text[:8].replace("\n", " "),
)
def test_i17_no_text_takes_long(text: str) -> None:
    begun = time.perf_counter()
    markdown(text)
    assert time.perf_counter() - begun < SECONDS


def test_i17_what_people_mean_by_markdown_still_works() -> None:
    shown = str(markdown("**Bold**, *soft*, `code`, [a link](https://status.test/x?a=1&b=2)\n\n- one\n- two\n\n1 < 2"))
    for part in ("<strong>Bold</strong>", "<em>soft</em>", "<code>code</code>", "<li>one</li>", "1 &lt; 2"):
        assert part in shown
    assert 'href="https://status.test/x?a=1&amp;b=2"' in shown
