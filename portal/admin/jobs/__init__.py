"""`/admin/jobs` and `/admin/quotes`: the work itself, as a list, as a board, one by one."""
