"""The only writers of companies, people and sessions, one module for each kind of change."""

from portal.accounts.actions.addresses import ask_email_change, confirm_email_change, correct_address, undo_email_change
from portal.accounts.actions.companies import (
    add_company,
    archive_company,
    rename_company,
    restore_company,
    tag_company,
)
from portal.accounts.actions.links import ask_reset, invite, revoke_links, send_reset
from portal.accounts.actions.passwords import hash_password, password_matches, refuse_weak, set_password, surroundings
from portal.accounts.actions.people import (
    add_membership,
    add_person,
    change_profile,
    deactivate_person,
    reactivate_person,
    remove_membership,
)
from portal.accounts.actions.second_factor import (
    begin_second_factor,
    check_second_factor,
    confirm_second_factor,
    remove_second_factor,
    renew_recovery_codes,
    require_second_factor,
)
from portal.accounts.actions.sessions import (
    choose_company,
    confirm_session,
    end_session,
    end_sessions,
    note_seen,
    open_session,
    token_hash,
)
from portal.accounts.actions.throttles import (
    note_wrong_password,
    prune_throttles,
    sign_in_waiting,
    take_code,
    take_reset,
)

__all__ = [
    "add_company",
    "add_membership",
    "add_person",
    "archive_company",
    "ask_email_change",
    "ask_reset",
    "begin_second_factor",
    "change_profile",
    "check_second_factor",
    "choose_company",
    "confirm_email_change",
    "confirm_second_factor",
    "confirm_session",
    "correct_address",
    "deactivate_person",
    "end_session",
    "end_sessions",
    "hash_password",
    "invite",
    "note_seen",
    "note_wrong_password",
    "open_session",
    "password_matches",
    "prune_throttles",
    "reactivate_person",
    "refuse_weak",
    "remove_membership",
    "remove_second_factor",
    "rename_company",
    "renew_recovery_codes",
    "require_second_factor",
    "restore_company",
    "revoke_links",
    "send_reset",
    "set_password",
    "sign_in_waiting",
    "surroundings",
    "tag_company",
    "take_code",
    "take_reset",
    "token_hash",
    "undo_email_change",
]
