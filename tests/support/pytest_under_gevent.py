"""Run tests on one hub of gevent that patched everything, and fail those that hold it up.

    python tests/support/pytest_under_gevent.py tests/client/test_styles.py ...

A greenlet ticks all the while. The tests' own servers run on the same hub."""

from gevent.monkey import patch_all

patch_all()

import sys  # noqa: E402

import pytest  # noqa: E402

LONGEST = 0.5  # seconds that the hub may be held; it seldom is for a twentieth of that


class Watcher:
    """Looks at the ticker behind each test."""

    def pytest_collection_finish(self):
        # Not above: pytest rewrites the asserts of tests.support only if nobody imported it before.
        from tests.stress.hub_app import Ticker

        self._ticker = Ticker()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item):
        self._ticker.take()
        result = yield
        longest = self._ticker.take()["longest"]
        assert longest < LONGEST, f"{item.name} held the hub for {longest:.2f} s"
        return result


if __name__ == "__main__":
    sys.exit(pytest.main([*sys.argv[1:], "-p", "no:cacheprovider"], plugins=[Watcher()]))
