"""Work for several threads, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_In = TypeVar("_In")
_Out = TypeVar("_Out")
_AHEAD = 4  # pieces of work for each thread that are begun, or done and wait


def in_order(function: Callable[[_In], _Out], work: Iterable[_In], threads: int) -> Generator[_Out]:
    """function(each), in the order of `work`, which is gone through in the caller's thread.

    When the caller stops early, what was begun is waited for.
    """
    with ThreadPoolExecutor(threads) as pool:
        begun: deque[Future[_Out]] = deque()
        try:
            for each in work:
                begun.append(pool.submit(function, each))
                if len(begun) >= _AHEAD * threads:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
