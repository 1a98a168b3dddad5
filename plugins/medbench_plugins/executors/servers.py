"""The servers that processes are forked from: one for each set of variables that libraries read on import."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver
from types import MappingProxyType
from typing import Any

NO_VARIABLES: Mapping[str, str] = MappingProxyType({})
_servers: dict[tuple[tuple[str, str], ...], Any] = {}
_one_at_a_time = threading.Lock()


@contextmanager
def begin_with(variables: Mapping[str, str], preloaded: Sequence[str]) -> Iterator[None]:
    """Have a process that multiprocessing starts in this block begin with variables of its own.

    A forked process has the libraries of its server, which have read their variables already. So one that needs others
    is forked from a server of its own, whichever came first; nothing is kept in this process's environment.

    Args:
        variables: Environment variables; without any, the usual server does.
        preloaded: Modules that a server of its own imports.
    """
    with _one_at_a_time:
        if not variables:
            yield
            return
        before = {name: os.environ.get(name) for name in variables}
        usual: Any = forkserver.connect_to_new_process
        if "forkserver" in multiprocessing.get_all_start_methods():
            server = _servers.setdefault(tuple(sorted(variables.items())), forkserver.ForkServer())
            server.set_forkserver_preload(list(preloaded))
            forkserver.connect_to_new_process = server.connect_to_new_process
        os.environ.update(variables)
        try:
            yield
        finally:
            forkserver.connect_to_new_process = usual
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
