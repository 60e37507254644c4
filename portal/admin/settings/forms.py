"""The shape of the settings of work statuses."""

from wtforms import BooleanField, StringField

from portal.admin.forms import VersionedForm


class TableForm(VersionedForm):
    """A whole table as it stands on the page; its rows are read by `editing`, field by field.

    `do` is the button that was pressed: "save", or what is to be done to the form first, such as "delete:12".
    """

    do = StringField()
    tell = BooleanField("Mail the customers whose status changes")
