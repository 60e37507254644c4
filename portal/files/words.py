"""Why a file is not taken, in sentences somebody can act on, in the reader's language."""

from flask_babel import gettext as _
from flask_babel import ngettext

from portal.files.rules import FILES_A_MESSAGE, LABELS, Refusal


def sentence(refusal: Refusal, name: str = "", *, megabytes: int = 0) -> str:
    """The sentence of a refusal about the file of this name; `megabytes` is the limit it ran against, if there is one.

    `name` is one that `safe_name` made.
    """
    told = {
        Refusal.NO_ENDING: _("“%(name)s” has no ending such as .jpg or .pdf, so nobody could open it.", name=name),
        Refusal.TYPE: _("“%(name)s” is of a kind that is not taken. These are: %(kinds)s.", name=name, kinds=LABELS),
        Refusal.OTHER_INSIDE: _("“%(name)s” is something else inside than its name says.", name=name),
        Refusal.EMPTY: _("“%(name)s” is empty.", name=name),
        Refusal.TOO_BIG: _(
            "“%(name)s” is larger than %(megabytes)s MB. Make it smaller, or send a part of it.",
            name=name,
            megabytes=megabytes,
        ),
        Refusal.TOO_MANY_PIXELS: _("“%(name)s” has too many pixels. Save it in a smaller size.", name=name),
        Refusal.BROKEN: _("“%(name)s” cannot be read; it may be damaged.", name=name),
        Refusal.MACROS: _("“%(name)s” holds macros. Save it without them, or as PDF.", name=name),
        Refusal.TOO_MANY: ngettext(
            "At most %(num)d file goes with one message.", "At most %(num)d files go with one message.", FILES_A_MESSAGE
        ),
        Refusal.UNFINISHED: _("You have chosen many files without sending them. Send or remove some first."),
        Refusal.NO_ROOM: _(
            "The files of your company have filled their %(megabytes)s MB. Ask us to remove some that are not needed.",
            megabytes=f"{megabytes:,}",
        ),
    }
    return str(told[refusal])
