"""Results that are made ahead of their use, by threads, in order and not too many of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from mmmlc.datasets.image_files import BrokenImageError


def ahead(
    function: Callable[[Any], Any], items: Iterable[Any], threads: int, most: int
) -> Iterator[Any]:
    """``function`` of each item, in order; a :class:`BrokenImageError` is a result like others.

    Args:
        function: Called in a thread.
        items: Taken one by one, as room is.
        threads: How many; 0 calls it here, when a result is asked for.
        most: Results that wait at a time.
    """

    def result(item: Any) -> Any:
        try:
            return function(item)
        except BrokenImageError as error:
            return error

    if threads < 1:
        yield from map(result, items)
        return
    items = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        waiting = deque(pool.submit(result, item) for item in islice(items, most))
        try:
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(pool.submit(result, item) for item in islice(items, 1))
        finally:
            pool.shutdown(cancel_futures=True)
