"""The only writers of companies, people and sessions, one module for each kind of change."""

from portal.accounts.actions.companies import add_company, archive_company, rename_company, restore_company
from portal.accounts.actions.passwords import hash_password, password_matches
from portal.accounts.actions.people import (
    add_membership,
    add_person,
    change_profile,
    deactivate_person,
    reactivate_person,
    remove_membership,
)
from portal.accounts.actions.sessions import (
    choose_company,
    end_session,
    end_sessions,
    note_seen,
    open_session,
    prune_sessions,
    token_hash,
)

__all__ = [
    "add_company",
    "add_membership",
    "add_person",
    "archive_company",
    "change_profile",
    "choose_company",
    "deactivate_person",
    "end_session",
    "end_sessions",
    "hash_password",
    "note_seen",
    "open_session",
    "password_matches",
    "prune_sessions",
    "reactivate_person",
    "remove_membership",
    "rename_company",
    "restore_company",
    "token_hash",
]
