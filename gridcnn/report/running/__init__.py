"""The report of a run: what it shows is gathered in the run folder, and made into a page."""
