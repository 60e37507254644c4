"""The shape of a channel as staff describe it."""

from wtforms import RadioField, SelectField, SelectMultipleField, StringField
from wtforms.validators import InputRequired, Length, Optional

from portal.admin.forms import StaffForm, VersionedForm, choices_of
from portal.language import LANGUAGES
from portal.notifications.channels.rules import ADDRESS_LENGTH, LABEL_LENGTH, ChannelKind

KIND_WORDS = {
    ChannelKind.SMS: "Text message",
    ChannelKind.SLACK: "Slack",
    ChannelKind.TEAMS: "Microsoft Teams",
    ChannelKind.WEBHOOK: "Webhook",
}
"""What each kind is called on screen."""

KIND_HINTS = {
    ChannelKind.SMS: "A telephone number, reached through the gateway of this installation.",
    ChannelKind.SLACK: "A Slack channel, by the address of an incoming webhook.",
    ChannelKind.TEAMS: "A Teams channel, by the address of a workflow that posts to it.",
    ChannelKind.WEBHOOK: "A machine that takes signed JSON over HTTPS.",
}


WHOSE = {
    "company": "A customer company",
    "person": "One person",
    "staff": "Our own staff, who hear of alarms",
}


def _label() -> StringField:
    return StringField(
        "Name",
        validators=[
            InputRequired("Give it a name."),
            Length(max=LABEL_LENGTH, message=f"A name has at most {LABEL_LENGTH} characters."),
        ],
    )


def _topics() -> SelectMultipleField:
    return SelectMultipleField("What it hears of", validate_choice=False)


def _language() -> SelectField:
    return SelectField("Language", choices=choices_of(LANGUAGES.items()), default="en")


class NewChannelForm(StaffForm):
    """Whose channel, of which kind, where it leads and what it hears of."""

    whose = RadioField(
        "Whose",
        choices=choices_of(WHOSE.items()),
        default="company",
    )
    company = StringField("Company", validators=[Length(max=200, message="That is no company’s name.")])
    person = StringField("Person", validators=[Length(max=254, message="That is no e-mail address.")])
    kind = RadioField("Kind", choices=choices_of((each.value, KIND_WORDS[each]) for each in ChannelKind))
    label = _label()
    address = StringField(
        "Address",
        validators=[
            InputRequired("Say where it leads."),
            Length(max=ADDRESS_LENGTH, message=f"An address has at most {ADDRESS_LENGTH} characters."),
        ],
    )
    topics = _topics()
    language = _language()


class ChannelForm(VersionedForm):
    """What of a channel may be changed. An empty address keeps the one there is; `finer` narrows the topics."""

    label = _label()
    address = StringField(
        "New address",
        validators=[
            Optional(),
            Length(max=ADDRESS_LENGTH, message=f"An address has at most {ADDRESS_LENGTH} characters."),
        ],
    )
    topics = _topics()
    finer = SelectMultipleField("Only what touches", validate_choice=False)
    language = _language()
