"""What a business tells everybody on a portal domain though nothing is broken: opening hours, a move, a new route."""
