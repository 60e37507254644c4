"""What is rung by the clock. Loaded by `rq cron`; a table and nothing else."""

from rq import cron

from workers import tasks

cron.register(tasks.beat, "portal", interval=60)
cron.register(tasks.tidy_up, "portal", cron="17 3 * * *")
