"""The form in which people choose what mails them: the same for them, for their company, for staff, and for whoever
follows the link in a mail. Audience folders do not know each other, so it stands here."""

from flask_wtf import FlaskForm
from wtforms import SelectMultipleField
from wtforms.validators import Length

from portal.notifications.choosing import Choice

SHOWN_AT_MOST = 5000


def _topics() -> SelectMultipleField:
    return SelectMultipleField(validate_choice=False, validators=[Length(max=SHOWN_AT_MOST)])


class WishForm(FlaskForm):
    """Topics by key: those `shown`, those of them that were wanted (`was`) when they were, and those `wanted` now."""

    shown = _topics()
    was = _topics()
    wanted = _topics()

    def changes_of(self, choice: Choice) -> dict[str, bool]:
        """What it says anew, among what can be chosen."""
        return choice.changes(set(self.shown.data or ()), set(self.was.data or ()), set(self.wanted.data or ()))
