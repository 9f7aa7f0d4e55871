"""The study: its registration (README.md), what runs it, and what reads it."""
