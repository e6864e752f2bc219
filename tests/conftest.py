"""Settings of the whole test run. What tests share is in tests/support/."""

import pytest

# So that an assert in a helper explains itself as one in a test does.
pytest.register_assert_rewrite("tests.support")
