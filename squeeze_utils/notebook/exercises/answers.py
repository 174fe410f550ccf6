"""Reading an answer: every mistake in its form becomes a sentence, never a traceback."""

from __future__ import annotations

import copy
import dis
import inspect
import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import nn

from squeeze_utils.notebook.exercises.exercise import Claims, NotAnswered, Wrong


def untouched(answer: Any) -> bool:
    """Whether an answer is as the notebook gives it: ``...``, or a function that does nothing."""
    if answer is ... or answer is None:
        return True
    if isinstance(answer, Mapping):
        return bool(answer) and all(untouched(part) for part in answer.values())
    if isinstance(answer, (list, tuple)):
        return bool(answer) and all(untouched(part) for part in answer)
    return inspect.isfunction(answer) and _does_nothing(answer)


def _does_nothing(function: Any) -> bool:
    """Whether a function holds a docstring and ``...`` only: all it does is return None."""
    code = [step for step in dis.get_instructions(function) if step.opname not in ("RESUME", "NOP")]
    names = {step.opname for step in code}
    return (
        names <= {"LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}
        and code[-1].argval is None
        and (all(step.argval is None for step in code))
    )


def ask(function: Any, *given: Any, copied: bool = True) -> Any:
    """What the reader's function returns; it gets copies, so it cannot change what is compared.

    With `copied=False` it gets the objects themselves.

    Raises:
        Wrong: it is no function, or it raised.
        NotAnswered: it returned nothing.
    """
    if not callable(function):
        raise Wrong(f"Give the function itself, not {_kind(function)}: its name, no parentheses.")
    name = getattr(function, "__name__", "your function")
    try:
        result = function(*(copy.deepcopy(given) if copied else given))
    except (Wrong, NotAnswered):
        raise
    except Exception as error:
        said = str(error).strip().splitlines() or ["no message"]
        raise Wrong(f"{name} raised {type(error).__name__}: {said[0]}") from None
    if result is None or result is ...:
        raise NotAnswered(f"{name} returned nothing: end it with return.")
    return result


def named(answer: Any, *keys: Any, what: str = "The answer") -> dict[Any, Any]:
    """The parts of an answer, or of a part of it, that is a dictionary with these keys."""
    wanted = ", ".join(map(repr, keys))
    if not isinstance(answer, Mapping):
        raise Wrong(f"{what} is {_kind(answer)}: give a dictionary with the keys {wanted}.")
    missing = [key for key in keys if key not in answer]
    if missing:
        raise Wrong(f"{what} has no key {missing[0]!r}: give the keys {wanted}.")
    part = "{}" if what == "The answer" else what + "[{!r}]"
    _all_given({part.format(key): answer[key] for key in keys})
    return {key: answer[key] for key in keys}


def items(answer: Any, count: int | None = None, what: str = "The answer") -> list[Any]:
    """The parts of an answer that is a list, a tuple, a set or an array."""
    if isinstance(answer, (str, Mapping)) or not hasattr(answer, "__iter__"):
        raise Wrong(f"{what} is {_kind(answer)}: give a list.")
    if isinstance(answer, torch.Tensor) and answer.ndim == 0:
        raise Wrong(f"{what} is one number: give a list.")
    parts = list(answer)
    if count is not None and len(parts) != count:
        raise Wrong(f"{what} has {len(parts)} entries, not {count}.")
    of = "" if what == "The answer" else f" of {what}"
    _all_given({f"entry {place}{of}": part for place, part in enumerate(parts, 1)})
    return parts


def _all_given(parts: Mapping[Any, Any]) -> None:
    for name, part in parts.items():
        if untouched(part):
            raise NotAnswered(f"{name} is still open.")


def as_number(value: Any, what: str = "The answer") -> float:
    """A finite number: an int, a float, or a tensor or array that holds one."""
    if isinstance(value, (torch.Tensor, np.ndarray)) and np.prod(value.shape) == 1:
        value = value.item()
    if value is ... or value is None:
        raise NotAnswered(f"{what} is still open.")
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise Wrong(f"{what} is {_kind(value)}: give a number.")
    if not math.isfinite(value):
        raise Wrong(f"{what} is {value}: give a finite number.")
    return float(value)


def yes_or_no(value: Any, what: str) -> bool:
    """True or False: of Python, of numpy, or a tensor or array that holds one."""
    if isinstance(value, (torch.Tensor, np.ndarray)) and np.prod(value.shape) == 1:
        value = value.item()
    if not isinstance(value, (bool, np.bool_)):
        raise Wrong(f"{what} is {_kind(value)}: give True or False.")
    return bool(value)


def one_of(value: Any, what: str, *accepted: str) -> str:
    """One of the accepted words."""
    if str(value) not in accepted:
        raise Wrong(f"{what} is {str(value)!r}; accepted: {', '.join(map(repr, accepted))}.")
    return str(value)


def numbers_in(module: nn.Module, least_axes: int = 1) -> int:
    """How many parameters a module has; with ``least_axes=2``, its weights without biases."""
    return sum(p.numel() for p in module.parameters() if p.ndim >= least_axes)


def array(value: Any, shape: tuple[int, ...], what: str = "The result") -> torch.Tensor:
    """A tensor of this shape, as float64; an array or a list of numbers will do."""
    try:
        tensor = torch.as_tensor(value).detach()
    except (TypeError, ValueError, RuntimeError):
        raise Wrong(f"{what} is {_kind(value)}: give a tensor.") from None
    if tuple(tensor.shape) != shape:
        raise Wrong(f"{what} has the shape {tuple(tensor.shape)}, not {shape}.")
    if not bool(torch.isfinite(tensor).all()):
        raise Wrong(f"{what} holds numbers that are not finite.")
    return tensor.double()


def close(a: Any, b: Any, relative: float = 1e-4, absolute: float = 1e-6) -> bool:
    """Whether two numbers or tensors are equal up to rounding."""
    a, b = (torch.as_tensor(value, dtype=torch.float64) for value in (a, b))
    return a.shape == b.shape and torch.allclose(a, b, rtol=relative, atol=absolute)


def number(
    name: str,
    value: Any,
    right: float,
    mistakes: dict[float, str] | None = None,
    otherwise: str = "",
    relative: float = 1e-6,
    absolute: float = 0.0,
) -> Claims:
    """The claim that a value is the right number; known wrong ones have a sentence of their own."""
    found = as_number(value, name)
    holds = close(found, right, relative, absolute)
    said = otherwise or f"{found:g} is {'too small' if found < right else 'too large'}."
    for wrong, sentence in (mistakes or {}).items():
        near = min(abs(wrong) / 100, abs(right - wrong) / 10)
        if not holds and abs(found - wrong) <= max(near, 1e-9):
            said = sentence
    yield name, holds, said


def same(name: str, value: Any, right: Any, missing: str, extra: str) -> Claims:
    """The claim that a list names exactly these things, in any order."""
    found = {str(part) for part in items(value, what=name)}
    wanted = {str(part) for part in right}
    yield name, not found - wanted, extra.format(", ".join(sorted(found - wanted)))
    yield name, found == wanted, missing


def _kind(value: Any) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if callable(value):
        return "a function"
    name = type(value).__name__
    names = {"int": "a whole number", "float": "a number", "str": "a text", "dict": "a dictionary"}
    return names.get(name, f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}")
