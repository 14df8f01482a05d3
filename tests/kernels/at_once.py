"""A plugin of pytest that tells a failure when it happens: a slow machine may be stopped."""

import pytest


class _Teller:
    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            writer = self._config.get_terminal_writer()
            writer.line(f"\nfailed: {report.nodeid}")
            report.toterminal(writer)


def pytest_configure(config: pytest.Config) -> None:
    """Listen to all tests."""
    config.pluginmanager.register(_Teller(config))
