"""Tasks shared between this process and helpers beside it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from functools import cache
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any

import torch

from squeeze_utils.base import machine

IDLE = 600  # seconds without a task after which a helper ends


def start_helpers(jobs: int) -> None:
    """Start the helpers of `shared(..., jobs)` before they are wanted.

    Each loads libraries for several seconds, while a notebook has other things to show.
    """
    for _ in range(jobs - 1):
        _helpers(jobs).submit(_load_libraries)


def _load_libraries() -> None:
    import torch._dynamo  # noqa: F401  # the first step of an optimizer would


@cache
def _helpers(jobs: int) -> Executor:
    """Helpers wait for more work; being joblib's, they take functions of a notebook too."""
    try:
        from joblib.externals.loky import ProcessPoolExecutor
    except ImportError:  # beside joblib, as cloudpickle is since joblib 1.6
        from loky import ProcessPoolExecutor

    return ProcessPoolExecutor(max_workers=jobs - 1, timeout=IDLE)


def run_tasks(
    function: Callable[..., Any], tasks: Iterable[tuple[Any, ...]], jobs: int
) -> Iterator[Any]:
    """`function(*task)` of every task, in the order in which they end, by `jobs` processes.

    This process is one of them: it has its libraries loaded, and would only wait otherwise.
    They share the processor's threads: more threads than cores wait for each other, and made a
    training fifteen times slower. A task that raises ends the others too.
    """
    threads = machine.threads_each(jobs)
    left = deque(tasks)
    count = len(left)
    ended: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
    helpers = min(jobs, count) - 1
    pool = _helpers(jobs) if helpers > 0 else None
    giving = Lock()

    def give() -> Future | None:
        with giving:
            task = _next(left)
            return None if task is None else pool.submit(_within, threads, function, task)

    def keep_a_helper_busy() -> None:
        try:
            while (given := give()) is not None:
                ended.put((given.result(), None))
        except BaseException as error:
            ended.put((None, error))

    try:
        for _ in range(helpers):
            Thread(target=keep_a_helper_busy, daemon=True).start()
        for _ in range(count):
            task = _next(left) if ended.empty() else None
            if task is not None:
                yield _within(threads, function, task)
                continue
            result, error = ended.get()
            if error is not None:
                raise error
            yield result
    except BaseException:
        with giving:
            left.clear()
        if pool:
            _helpers.cache_clear()
            pool.shutdown(kill_workers=True)
        raise


def run_in_order(
    function: Callable[..., Any], tasks: Iterable[tuple[Any, ...]], jobs: int
) -> list[Any]:
    """What `shared` yields, in the order of the tasks."""
    numbered = [(place, function, task) for place, task in enumerate(tasks)]
    found = dict(run_tasks(_numbered, numbered, jobs))
    return [found[place] for place in range(len(numbered))]


def _numbered(place: int, function: Callable[..., Any], task: tuple[Any, ...]) -> tuple[int, Any]:
    return place, function(*task)


def _within(threads: int, function: Callable[..., Any], task: tuple[Any, ...]) -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return function(*task)
    finally:
        torch.set_num_threads(before)


def _next(left: deque[tuple[Any, ...]]) -> tuple[Any, ...] | None:
    try:
        return left.popleft()
    except IndexError:
        return None
