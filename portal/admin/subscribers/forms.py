"""The shape of adding subscribers by hand or from a list, and of a word on why one rests or comes back."""

from typing import Any

from flask_wtf.file import FileField
from wtforms import BooleanField, SelectField, SelectMultipleField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from portal.admin.forms import StaffForm, VersionedForm, choices_of
from portal.domains.queries import all_domains
from portal.domains.rules import Area
from portal.language import LANGUAGES
from portal.notifications.kinds import told_to_subscribers, usual_for_subscribers
from portal.notifications.subscribers.rules import SubscriberKind

KINDS = {
    SubscriberKind.EMAIL: "E-mail",
    SubscriberKind.WEBHOOK: "Webhook",
    SubscriberKind.SLACK: "Slack",
    SubscriberKind.TEAMS: "Microsoft Teams",
}


class _ChoiceForm(StaffForm):
    """What they hear of, where, and in which language."""

    domain = SelectField("Portal", coerce=int, validate_choice=False)
    kinds = SelectMultipleField("What they hear of", validate_choice=False)
    language = SelectField("Language of the mails", choices=choices_of(list(LANGUAGES.items())))

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.domain.choices = choices_of(
            (each.id, each.brand if Area.PUBLIC_STATUS in each.areas else f"{each.brand} (its public page is closed)")
            for each in all_domains()
        )
        kinds = told_to_subscribers()
        self.kinds.choices = choices_of((topic, str(label)) for topic, label in kinds.items())
        if not self.is_submitted():
            self.kinds.data = usual_for_subscribers()

    @property
    def knows_domain(self) -> bool:
        """Whether the portal that was named is one of ours."""
        return self.domain.data in {each.id for each in all_domains()}


class AddForm(_ChoiceForm):
    """One address: of a person, a machine, or a room."""

    kind = SelectField("Told by", choices=choices_of((each.value, word) for each, word in KINDS.items()))
    address = StringField(
        "Address",
        validators=[
            InputRequired("Type the address."),
            Length(max=1000, message="An address has at most 1,000 characters."),
        ],
    )
    is_shared = BooleanField("Several people read this mailbox")
    consent = StringField("How they agreed", validators=[Length(max=500, message="At most 500 characters.")])


class ImportForm(_ChoiceForm):
    """A list of addresses that have all agreed in the same way: typed, or the first column of a CSV file."""

    addresses = TextAreaField("Addresses")
    file = FileField("Or a CSV file")
    consent = StringField(
        "How they agreed",
        validators=[
            InputRequired("Say how they have agreed to be told."),
            Length(max=500, message="At most 500 characters."),
        ],
    )


class WhyForm(VersionedForm):
    """Why, at the version somebody saw."""

    why = StringField(validators=[Length(max=500, message="At most 500 characters.")])
