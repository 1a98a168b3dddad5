"""Small products of matrices on one thread: threads that wait for each other cost ten times what they give there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep numpy's linear algebra on one thread within a block."""
    from threadpoolctl import threadpool_limits  # 0.1 s: not at module level

    with threadpool_limits(1, user_api="blas"):
        yield
