"""Our own clean HTML as plain text for mails, and anybody's HTML as Markdown for imports."""

import re
from html.parser import HTMLParser

_BLOCKS = frozenset({"p", "div", "ul", "ol", "pre", "blockquote", "table", "h1", "h2", "h3", "h4", "h5", "h6"})
_SILENT = frozenset({"script", "style", "head", "title", "template", "noscript"})
_MARKS = {"strong": "**", "b": "**", "em": "*", "i": "*", "code": "`", "s": "~~", "del": "~~"}


def from_html(html: str) -> str:
    """HTML as text to be read: blank lines between blocks, dashes before list items, addresses behind their links."""
    return _converted(html, is_markdown=False)


def to_markdown(html: str) -> str:
    """HTML as Markdown: emphasis, code, lists and links stay, every other element leaves its text."""
    return _converted(html, is_markdown=True)


def _converted(html: str, *, is_markdown: bool) -> str:
    parser = _Converter(is_markdown=is_markdown)
    parser.feed(html)
    parser.close()
    text = re.sub(r"[ \t]+\n", "\n", "".join(parser.parts))
    return re.sub(r"\n{3,}", "\n\n", text).strip()


class _Converter(HTMLParser):
    def __init__(self, *, is_markdown: bool) -> None:
        super().__init__(convert_charrefs=True)
        self.is_markdown = is_markdown
        self.parts: list[str] = []
        self.links: list[tuple[str, int]] = []
        self.lists: list[int | None] = []
        self.silent = 0
        self.verbatim = 0

    def parse_html_declaration(self, i: int) -> int:
        """A declaration; what only begins like one is a comment, as browsers have it, and no trouble."""
        try:
            return super().parse_html_declaration(i)
        except AssertionError:
            return self.parse_bogus_comment(i)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self.silent += 1
        elif tag == "a":
            self.links.append((dict(attrs).get("href") or "", len(self.parts)))
        elif tag in _BLOCKS:
            self._block(tag, 1)
        else:
            self.parts.append(self._text_for(tag))

    def _text_for(self, tag: str) -> str:
        """What a tag that opens no block leaves in the text."""
        if tag == "br":
            return "\\\n" if self.is_markdown and not self.verbatim else "\n"
        if tag == "li":
            return f"\n{'  ' * (len(self.lists) - 1)}{self._bullet()} "
        if tag in _MARKS and self.is_markdown:
            return _MARKS[tag]
        return {"hr": "\n\n---\n\n", "td": " ", "th": " ", "tr": "\n"}.get(tag, "")

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self.silent = max(0, self.silent - 1)
        elif tag == "a" and self.links:
            self._link(*self.links.pop())
        elif tag in _BLOCKS:
            self._block(tag, -1)
        elif self.is_markdown and tag in _MARKS:
            self.parts.append(_MARKS[tag])

    def handle_data(self, data: str) -> None:
        if self.silent:
            return
        if self.verbatim:
            self.parts.append(data)
            return
        text = re.sub(r"\s+", " ", data)
        if self.is_markdown and not (self.parts and self.parts[-1] == "`"):
            text = re.sub(r"([\\`*_\[\]])", r"\\\1", text)
        at_line_start = not self.parts or self.parts[-1].endswith(("\n", " "))
        self.parts.append(text.lstrip() if at_line_start else text)

    def _block(self, tag: str, step: int) -> None:
        if tag in ("ul", "ol"):
            if step > 0:
                self.lists.append(0 if tag == "ol" else None)
            elif self.lists:
                self.lists.pop()
            if self.lists[step > 0 :]:
                return
        if tag == "pre":
            self.verbatim = max(0, self.verbatim + step)
            if self.is_markdown:
                self.parts.append("\n\n```\n" if step > 0 else "\n```\n\n")
                return
        self.parts.append("\n\n")

    def _bullet(self) -> str:
        if not self.lists or self.lists[-1] is None:
            return "-"
        self.lists[-1] += 1
        return f"{self.lists[-1]}."

    def _link(self, address: str, begin: int) -> None:
        text = "".join(self.parts[begin:]).strip()
        if not address or address in (text, f"mailto:{text}"):
            return
        if self.is_markdown:
            self.parts[begin:] = [f"[{text}]({address})" if text else address]
        else:
            self.parts.append(f" ({address})")
