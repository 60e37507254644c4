"""HTML as text for mails, and as Markdown for imports."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.filters import markdown
from portal.plaintext import from_html, to_markdown


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One.</p><p>Two<br>lines</p>", "One.\n\nTwo\nlines"),
        ("<ul><li>a</li><li>b<ul><li>c</li></ul></li></ul><p>d</p>", "- a\n- b\n  - c\n\nd"),
        ("<ol><li>a</li><li>b</li></ol>", "1. a\n2. b"),
        ('<a href="https://x.test/">here</a>', "here (https://x.test/)"),
        ('<a href="https://x.test/">https://x.test/</a>', "https://x.test/"),
        ('<a href="mailto:a@x.test">a@x.test</a>', "a@x.test"),
        ("<pre><code>a\n  b\n</code></pre>", "a\n  b"),
        ("a<hr>b", "a\n\n---\n\nb"),
        ("<style>x{}</style><script>y()</script>seen", "seen"),
        ("&lt;0.1% &amp; more", "<0.1% & more"),
        ("</ul></a></pre>stray", "stray"),
    ],
)
def test_html_reads_as_text(html: str, text: str) -> None:
    assert from_html(html) == text


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<strong>a</strong> <em>b</em> <code>c_d</code>", "**a** *b* `c_d`"),
        ("2*3 and a_b [c]", "2\\*3 and a\\_b \\[c\\]"),
        ('<a href="https://x.test/a_b">t</a>', "[t](https://x.test/a_b)"),
        ("<pre>a_b</pre>", "```\na_b\n```"),
        ("a<br/>b", "a\\\nb"),
    ],
)
def test_html_becomes_markdown(html: str, expected: str) -> None:
    assert to_markdown(html) == expected


@given(st.text(alphabet="ab*_`[]()<>&#!\\-+.1 \n", max_size=60))
def test_whatever_is_imported_shows_as_clean_html(text: str) -> None:
    shown = str(markdown(to_markdown(text)))
    assert "<script" not in shown
    assert "<img" not in shown


@pytest.mark.parametrize(
    ("html", "text"),
    [("<![1", "<![1"), ("a <![1]> b", "a b"), ("<![if !IE]>a<![endif]>", "a"), ("<!x", "<!x")],
)
def test_what_only_begins_like_a_declaration_is_no_trouble(html: str, text: str) -> None:
    assert from_html(html) == text
    assert "1" not in to_markdown("a <![1]> b")
