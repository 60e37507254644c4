"""Background work: the RQ worker, its tasks and its timetable."""
