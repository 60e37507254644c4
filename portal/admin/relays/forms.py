"""The shape of relays."""

from wtforms import HiddenField, IntegerField, PasswordField, RadioField, StringField
from wtforms.validators import InputRequired, Length, Optional

from portal.admin.forms import VersionedForm, choices_of
from portal.notifications.actions.relays import LOGIN_LENGTH, NAME_LENGTH, PASSWORD_LENGTH, Address, Load
from portal.notifications.profiles import LONGEST_HOST, Profile, Security

PROFILE_WORDS = {
    Profile.MICROSOFT_365: "Microsoft 365: 30 a minute, 10,000 a day",
    Profile.GOOGLE_WORKSPACE: "Google Workspace: 2,000 a day",
    Profile.UNLIMITED: "Our own server, or one that takes everything",
    Profile.CUSTOM: "Another rate",
}

SECURITY_WORDS = {
    Security.STARTTLS: "STARTTLS, mostly port 587",
    Security.TLS: "TLS, mostly port 465",
    Security.NONE: "None, mostly port 25",
}


class WholeNumber(IntegerField):
    """A number that may be left empty; what is no number is said in our words."""

    def process_formdata(self, valuelist: list[str]) -> None:
        typed = valuelist[0].strip() if valuelist else ""
        if not typed:
            self.data = None
        elif typed.isascii() and typed.isdigit() and len(typed) < 10:
            self.data = int(typed)
        else:
            self.data = None
            raise ValueError("Enter a whole number.")


class LoadForm(VersionedForm):
    """How much a relay takes."""

    profile = RadioField(
        "How much it takes",
        choices=choices_of((profile.value, words) for profile, words in PROFILE_WORDS.items()),
        default=Profile.UNLIMITED.value,
        coerce=str,
    )
    per_minute = WholeNumber("Mails a minute")
    per_day = WholeNumber("Daily budget")
    connections = WholeNumber("Connections at once")

    @property
    def load(self) -> Load:
        return Load(
            profile=Profile(self.profile.data),
            per_minute=self.per_minute.data,
            per_day=self.per_day.data,
            connections=self.connections.data,
        )


class RelayForm(LoadForm):
    """A relay with an address of its own. An empty password keeps the one that is stored."""

    name = StringField(
        "Name",
        validators=[
            InputRequired("Give the relay a name."),
            Length(max=NAME_LENGTH, message=f"A name has at most {NAME_LENGTH} characters."),
        ],
    )
    host = StringField(
        "Host",
        validators=[
            InputRequired("Say which host takes the mails."),
            Length(max=LONGEST_HOST, message=f"A host has at most {LONGEST_HOST} characters."),
        ],
    )
    port = WholeNumber("Port")
    security = RadioField(
        "Encryption",
        choices=choices_of((security.value, words) for security, words in SECURITY_WORDS.items()),
        default=Security.STARTTLS.value,
        coerce=str,
    )
    username = StringField(
        "User", validators=[Optional(), Length(max=LOGIN_LENGTH, message=f"At most {LOGIN_LENGTH} characters.")]
    )
    password = PasswordField(
        "Password",
        validators=[Optional(), Length(max=PASSWORD_LENGTH, message=f"At most {PASSWORD_LENGTH} characters.")],
    )
    sender = StringField("Sender address", validators=[Optional(), Length(max=254, message="At most 254 characters.")])

    @property
    def address(self) -> Address:
        return Address(
            host=self.host.data or "",
            port=self.port.data,
            security=Security(self.security.data),
            username=self.username.data or "",
            password=self.password.data or "",
            sender=self.sender.data or "",
        )


class NewRelayForm(RelayForm):
    """The same for one that does not exist yet."""

    version = None  # type: ignore[assignment]  # there is nothing to be older than


class OrderForm(VersionedForm):
    """A whole order (ids joined by commas), or one step of one of them ("12:up"), and the version of the order."""

    order = HiddenField(validators=[Optional(), Length(max=2000)])
    move = HiddenField(validators=[Optional(), Length(max=40)])
