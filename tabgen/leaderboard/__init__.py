"""The leaderboard: tables, figures and the static site made from a `Ranking`."""
