"""The form of a mail's words."""

from wtforms import HiddenField, StringField, TextAreaField
from wtforms.validators import Length

from portal.admin.forms import StaffForm
from portal.notifications.templates.rules import Words

LONGEST_TYPED = 100_000
"""Characters a field takes at all; how long each may be is a rule of templates, which says so in a sentence."""


class WordsForm(StaffForm):
    """What a mail says. `version` is the one it was opened with, 0 where there was none."""

    version = HiddenField()
    subject = StringField("Subject", [Length(max=LONGEST_TYPED)])
    text = TextAreaField("Plain text", [Length(max=LONGEST_TYPED)])
    html = TextAreaField("HTML", [Length(max=LONGEST_TYPED)])

    def words(self) -> Words:
        """What was typed."""
        return Words(self.subject.data or "", self.text.data or "", self.html.data or "")

    def fill_in(self, words: Words, version: int) -> None:
        """Show these words."""
        self.subject.data, self.text.data, self.html.data = words.subject, words.text, words.html
        self.version.data = str(version)

    def expected(self) -> int:
        """The version it was opened with; -1 for what is none, which no row has."""
        return number_in(self.version.data or "")


class VersionForm(StaffForm):
    """A button that does one thing to the words of a place. `chosen` is the version that is taken back."""

    version = HiddenField()
    chosen = HiddenField()

    def expected(self) -> int:
        return number_in(self.version.data or "")

    def wanted(self) -> int:
        return number_in(self.chosen.data or "")


def number_in(text: str) -> int:
    """The number somebody sent; -1 for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
