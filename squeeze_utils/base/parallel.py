"""Tasks shared between this process and helpers beside it.

joblib can hand out results as they come, but this process would then wait while one more helper is
started. Where helpers have loaded their libraries, both ways are equally fast; where they have not,
chapter 11's live study took a third longer with joblib (median of three runs each on two busy
cores).
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from queue import SimpleQueue
from typing import Any

import torch

from squeeze_utils.base import machine
from squeeze_utils.base.checks import whole_number

IDLE_SECONDS = 600  # without a task, after which a helper ends


def start_helpers(jobs: int) -> None:
    """Start the helpers of `run_tasks(..., jobs)` before they are wanted.

    Each loads libraries for several seconds, while a notebook has other things to show.
    """
    for _ in range(whole_number("jobs", jobs, 1) - 1):
        _helpers(jobs).submit(_load_libraries)


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
    if count == 1:  # no helper shares the processor with it
        threads = machine.threads_each(1)
    ended: SimpleQueue[Future] = SimpleQueue()
    helpers = _helpers(jobs) if min(jobs, count) > 1 else None
    try:
        for _ in range(min(jobs, count) - 1):
            _keep_busy(helpers, function, left, ended)
        for _ in range(count):
            task = _next(left) if ended.empty() else None
            if task is None:
                yield ended.get().result()
            else:
                yield _with_threads(threads, function, task)
    except BaseException:
        left.clear()
        if helpers:
            _end(helpers)
        raise


def run_in_order(
    function: Callable[..., Any], tasks: Iterable[tuple[Any, ...]], jobs: int
) -> list[Any]:
    """What `run_tasks` yields, in the order of the tasks."""
    numbered = [(place, *task) for place, task in enumerate(tasks)]
    found = dict(run_tasks(lambda place, *task: (place, function(*task)), numbered, jobs))
    return [found[place] for place in range(len(numbered))]


def run_elsewhere(
    function: Callable[..., Any], tasks: Iterable[tuple[Any, ...]], jobs: int, backend: str
) -> Iterator[Any]:
    """`function(*task)` of every task, as they end, by the workers of one of joblib's backends.

    "dask" sends the tasks to the cluster whose `dask.distributed.Client` was made last; a task
    whose worker dies is given to another one. It uses all workers that are there at the start; if
    that is only one, joblib runs the tasks here. Elsewhere `jobs` is how many run at once.
    """
    from joblib import Parallel, delayed

    configured = _configured(backend)
    if backend == "loky":  # joblib cannot go on with the processes of `run_tasks`
        _reusable(max_workers=1).shutdown()
    with configured:
        pool = Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)
        yield from pool(delayed(function)(*task) for task in tasks)


@contextmanager
def workers_of(backend: str | None) -> Iterator[None]:
    """Within, this backend of joblib can be used; a ValueError where it cannot.

    "dask" gets the workers of the scheduler at DASK_SCHEDULER_ADDRESS, if that is set and no
    client was made before. None is no backend: nothing is done.
    """
    with ExitStack() as stack:
        address = os.environ.get("DASK_SCHEDULER_ADDRESS")
        if backend == "dask" and address:
            with suppress(ImportError):  # of which the next check tells
                stack.enter_context(_client(address))
        if backend is not None:
            with _configured(backend):
                pass
        yield


@contextmanager
def _client(address: str) -> Iterator[None]:
    """The client of dask that was made before, or a new one of the scheduler at `address`."""
    from distributed import Client

    with ExitStack() as stack:
        try:
            Client.current()
        except ValueError:
            stack.enter_context(Client(address))
        yield


def _configured(backend: str) -> AbstractContextManager[Any]:
    """joblib's setting of the backend, which holds until the context is left."""
    from joblib import parallel_config

    try:
        return parallel_config(backend=backend)
    except (ImportError, KeyError, ValueError) as error:
        raise ValueError(
            f'joblib has no backend {backend!r} here; accepted: "loky", "threading", '
            '"multiprocessing", and "dask" where it is installed and has a scheduler: make a '
            "dask.distributed.Client, or set DASK_SCHEDULER_ADDRESS for a command"
        ) from error


def _helpers(jobs: int) -> Executor:
    """The processes beside this one. They wait for more work, and take functions of a notebook."""
    limited = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    env = dict.fromkeys(limited, str(machine.threads_each(jobs)))
    return _reusable(max_workers=jobs - 1, timeout=IDLE_SECONDS, env=env)


def _reusable(**how: Any) -> Executor:
    try:
        from joblib.externals.loky import get_reusable_executor
    except ImportError:  # newer releases of joblib have it beside them
        from loky import get_reusable_executor

    return get_reusable_executor(**how)


def _load_libraries() -> None:
    import torch._dynamo  # noqa: F401  # the first step of an optimizer would


def _keep_busy(
    helpers: Executor,
    function: Callable[..., Any],
    left: deque[tuple[Any, ...]],
    ended: SimpleQueue[Future],
) -> None:
    """Give a helper the next of the tasks that are `left`, and another one when that has ended."""
    task = _next(left)
    if task is None:
        return

    def go_on(done: Future) -> None:
        ended.put(done)
        if done.cancelled() or done.exception():
            left.clear()
        else:
            _keep_busy(helpers, function, left, ended)

    try:
        given = helpers.submit(function, *task)
    except RuntimeError as error:  # another helper has died
        given = Future()
        given.set_exception(error)
    given.add_done_callback(go_on)


def _end(helpers: Executor) -> None:
    """End the helpers and what they are doing.

    loky fails if it is ended while a task is on its way into the queue. So one more task is sent
    behind the others, and this waits until it has arrived.
    """
    with suppress(RuntimeError):  # they are dead already
        last = helpers.submit(int)
        while not (last.running() or last.done()):
            time.sleep(0.001)
    helpers.shutdown(kill_workers=True)


def _next(left: deque[tuple[Any, ...]]) -> tuple[Any, ...] | None:
    try:
        return left.popleft()
    except IndexError:
        return None


def _with_threads(threads: int, function: Callable[..., Any], task: tuple[Any, ...]) -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return function(*task)
    finally:
        torch.set_num_threads(before)
