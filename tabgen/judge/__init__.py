"""Judging the rows of one generator for one table: what they copy, whom they give away, and how they differ."""
