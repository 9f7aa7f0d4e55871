"""Rows and suites in the forms in which the field keeps them."""
