"""The first page of staff: what is open, what is being mailed, what is ahead."""
