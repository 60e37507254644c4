"""Running it for real: how each part fares, counted in the database, for the doctor, the metrics and the screen."""
