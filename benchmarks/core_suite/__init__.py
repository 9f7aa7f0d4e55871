"""The embedded `core` suite, rebuilt from packages that pip can reach: `python -m benchmarks.core_suite --help`.

Each table is one `Recipe`: where its raw file lies in an installed package, what the codes mean, which columns were
dropped and why, and how its licence is known. Nothing is downloaded and no value is invented: a recipe reads, renames,
drops, decodes. The raw values travel as strings until the last step, so missing marks are handled in one place.
"""
