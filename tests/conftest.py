"""Settings of the whole test run. What tests share is in tests/support/."""

import pytest
from hypothesis import settings

# So that an assert in a helper explains itself as one in a test does.
pytest.register_assert_rewrite("tests.support")

# The same examples in every run: a failure is the change's own, and no machine is too slow.
settings.register_profile("suite", derandomize=True, deadline=None, database=None)
settings.load_profile("suite")
