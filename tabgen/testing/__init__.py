"""The conformance kit: what every generator must keep to, as checks that anyone can run.

In a plugin's tests::

    import pytest
    from tabgen.testing import conformance_checks

    @pytest.mark.parametrize("check", conformance_checks(MyGenerator), ids=str)
    def test_conformance(check):
        check()

``check_generator(MyGenerator)`` runs the same checks and returns the results; ``tabgen check`` prints them.
"""

from tabgen.models import DEFAULT_MODEL
from tabgen.testing.bench import DEFAULT_SECONDS, ConformanceError
from tabgen.testing.kit import Check, CheckResult, check_generator, conformance_checks, easy_adequacy
from tabgen.testing.tables import HARD_TABLES, easy_table

__all__ = [
    "DEFAULT_MODEL",
    "DEFAULT_SECONDS",
    "HARD_TABLES",
    "Check",
    "CheckResult",
    "ConformanceError",
    "check_generator",
    "conformance_checks",
    "easy_adequacy",
    "easy_table",
]
