"""The small catalogue of the tables, and fits in this process."""

from __future__ import annotations

from tests.estimator.tables.conftest import catalog, folder, here, one_thread

__all__ = ["catalog", "folder", "here", "one_thread"]
