"""The company’s own calendar, for the programs its people use."""
