"""A file of call records."""

from flask_wtf.file import FileField

from portal.admin.forms import StaffForm


class CallFileForm(StaffForm):
    """A table of calls, one a line."""

    file = FileField("File")
