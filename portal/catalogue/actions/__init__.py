"""The only writers of components, services, what depends on what, and who holds what."""

from portal.catalogue.actions.components import (
    COMPONENTS,
    add_component,
    add_group,
    archive_component,
    arrange_components,
    edit_component,
    remove_group,
    rename_group,
    restore_component,
    step_component,
)
from portal.catalogue.actions.holdings import add_holding, archive_company, edit_holding, end_holding
from portal.catalogue.actions.services import (
    SERVICES,
    add_service,
    archive_service,
    arrange_services,
    edit_service,
    restore_service,
    set_dependencies,
    set_dependents,
    step_service,
)

__all__ = [
    "COMPONENTS",
    "SERVICES",
    "add_component",
    "add_group",
    "add_holding",
    "add_service",
    "archive_company",
    "archive_component",
    "archive_service",
    "arrange_components",
    "arrange_services",
    "edit_component",
    "edit_holding",
    "edit_service",
    "end_holding",
    "remove_group",
    "rename_group",
    "restore_component",
    "restore_service",
    "set_dependencies",
    "set_dependents",
    "step_component",
    "step_service",
]
