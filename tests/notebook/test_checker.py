"""The mechanism of the checks: every wrong form of an answer becomes a sentence."""

from __future__ import annotations

import random
import socket

import numpy as np
import pytest
import torch

import squeeze_utils as sq
from squeeze_utils.notebook.exercises import answers
from squeeze_utils.notebook.exercises.answers import array, ask, items, named, number, same
from squeeze_utils.notebook.exercises.checker import Checker
from squeeze_utils.notebook.exercises.exercise import Essay, Exercise, Wrong


def double(answer):
    for value in (1, 2.5):
        yield from number("doubles", ask(answer, value), 2 * value, {value**2: "this is a square."})


def parts(answer):
    given = named(answer, "a", "b")
    yield from number("a", given["a"], 1)
    yield from same("b", given["b"], ["x", "y"], "one is missing.", "{} does not belong here.")


def three(answer):
    found = array(answer, (3,))
    yield "order", found.tolist() == sorted(found.tolist()), "they are not in order."
    yield "length", len(items(answer, 3)) == 3, ""


def broken(answer):
    yield "nothing", 1 / 0 > 0, ""


def chance(answer):
    yield "same draw", (torch.rand(1).item(), random.random(), np.random.rand()) == answer, ""


@pytest.fixture
def check():
    return Checker(
        "99",
        {
            1: Exercise("Double", double, "Add it to itself."),
            2: Exercise("Parts", parts, "Two of them."),
            3: Exercise("Three", three, "Sort them."),
            4: Exercise("Broken", broken, "None."),
            5: Essay("Say why"),
        },
    )


def open_function(x):
    """What the reader has to write."""
    ...


def nothing(x):
    x + 1


@pytest.mark.parametrize(
    "answer",
    [..., None, open_function, (..., ...), {"a": ..., "b": open_function}, lambda x: None],
    ids=["open", "nothing", "open function", "open pair", "open parts", "function of nothing"],
)
def test_an_untouched_answer_is_not_answered(check, answer, capsys):
    assert not check(1, answer)
    assert capsys.readouterr().out == "Exercise 1: not answered yet. 0 of 4 done.\n"


@pytest.mark.parametrize(
    ("number", "answer", "outcome", "message"),
    [
        (1, 3, "not yet", "Give the function itself, not a whole number"),
        (1, nothing, "not answered", "nothing returned nothing: end it with return."),
        (1, lambda x: 1 / 0, "not yet", "raised ZeroDivisionError: division by zero"),
        (1, lambda: 1, "not yet", "raised TypeError"),
        (1, lambda x: "2", "not yet", "doubles is a text: give a number."),
        (1, lambda x: True, "not yet", "doubles is a bool: give a number."),
        (1, lambda x: float("nan"), "not yet", "give a finite number"),
        (1, lambda x: x**2, "not yet", "this is a square."),
        (1, lambda x: x, "not yet", "this is a square."),
        (1, lambda x: x + 1, "not yet", "3.5 is too small."),
        (2, [1, "x"], "not yet", "is a list: give a dictionary with the keys 'a', 'b'."),
        (2, {"a": 1}, "not yet", "has no key 'b': give the keys 'a', 'b'."),
        (2, {"a": 1, "b": ...}, "not answered", "b is still open."),
        (2, {"a": [1], "b": ["x"]}, "not yet", "a is a list: give a number."),
        (2, {"a": 1, "b": "xy"}, "not yet", "b is a text: give a list."),
        (2, {"a": 1, "b": ["x"]}, "not yet", "one is missing."),
        (2, {"a": 1, "b": ["x", "z"]}, "not yet", "z does not belong here."),
        (3, torch.zeros(2, 3), "not yet", "has the shape (2, 3), not (3,)."),
        (3, "abc", "not yet", "is a text: give a tensor."),
        (3, [1.0, float("inf"), 2.0], "not yet", "not finite"),
        (3, [2, 1, 3], "not yet", "not in order"),
        (4, 1, "not yet", "The check cannot use this answer (ZeroDivisionError"),
        (5, "Because.", "essay", ""),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(check, number, answer, outcome, message, capsys):
    verdict = check(number, answer)
    assert not verdict
    assert verdict.outcome == outcome
    assert message in verdict.message
    assert "Traceback" not in capsys.readouterr().out


def test_true_and_false_may_come_from_numpy_or_torch():
    for value in (True, np.bool_(True), np.array(True), np.array([True]), torch.tensor([True])):
        assert answers.yes_or_no(value, "fits") is True
    assert answers.yes_or_no(np.array([1.0, 2.0]).sum() > 5, "fits") is False
    for value, kind in ((1, "a whole number"), ("True", "a text"), (np.zeros(2) > 1, "a ndarray")):
        with pytest.raises(Wrong, match=f"fits is {kind}.*: give True or False"):
            answers.yes_or_no(value, "fits")


def test_a_word_is_one_of_those_accepted():
    assert answers.one_of(np.str_("left"), "side", "left", "right") == "left"
    for value in ("up", 3, ["left"]):
        with pytest.raises(Wrong, match="accepted: 'left', 'right'"):
            answers.one_of(value, "side", "left", "right")


def test_a_part_may_be_a_dictionary_with_numbers_as_keys():
    assert answers.named({1: 5, 0.5: 6, "x": 7}, 0.5, 1, what="bits") == {0.5: 6, 1: 5}
    with pytest.raises(Wrong, match="bits has no key 2: give the keys 1, 2"):
        answers.named({1: 5}, 1, 2, what="bits")


def test_the_numbers_in_a_module_are_counted_with_and_without_biases():
    layer = torch.nn.Conv2d(3, 4, 1)
    assert (answers.numbers_in(layer), answers.numbers_in(layer, 2)) == (16, 12)


def test_right_answers_are_counted_once_and_stay(check, capsys):
    for answer in (lambda x: 2 * x, lambda x: 2 * torch.tensor(x), lambda x: np.float32(x) * 2):
        assert check(1, answer)
    assert check(2, {"a": 1.0, "b": {"y", "x"}})
    assert not check(1, 3)
    assert "2 of 4 done" in capsys.readouterr().out.splitlines()[-1]
    check.progress()
    last = [line.split()[-1] for line in capsys.readouterr().out.splitlines()]
    assert last == ["done.", "right", "right", "answered", "answered", "essay"]


def test_what_already_holds_is_said(check, capsys):
    check(2, {"a": 1, "b": ["x"]})
    assert "b: one is missing.\nAlready right: a.\n" in capsys.readouterr().out


def test_a_hint_comes_on_request_only(check, capsys):
    check(1, 3)
    assert "Add it" not in capsys.readouterr().out
    check.hint(1)
    assert capsys.readouterr().out == "Exercise 1, hint: Add it to itself.\n"


@pytest.mark.parametrize("number", [0, 6, "1", True, None])
def test_an_unknown_exercise_is_answered_with_the_known_ones(check, number):
    with pytest.raises(ValueError, match=r"chapter 99 has no exercise .*; it has 1, 2, 3, 4, 5"):
        check(number, 1)


def test_a_check_leaves_the_readers_random_numbers_alone_and_repeats_its_own(capsys):
    torch.manual_seed(0), random.seed(0), np.random.seed(0)
    first = (torch.rand(1).item(), random.random(), np.random.rand())
    state = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    check = Checker("99", {1: Exercise("Chance", chance, "")})
    assert check(1, first) and check(1, first)
    after = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    assert torch.equal(after[0], state[0]) and after[1:] == state[1:]


def test_a_function_cannot_change_what_it_is_compared_with():
    given = torch.ones(2)
    ask(lambda x: x.zero_(), given)
    assert given.tolist() == [1, 1]


def test_nothing_leaves_the_machine(check, monkeypatch, capsys):
    monkeypatch.setattr(socket, "socket", None)
    assert check(1, lambda x: 2 * x)
    check.progress()


def test_an_open_part_is_named_with_what_it_is_a_part_of():
    with pytest.raises(answers.NotAnswered, match=r"bits\[2\] is still open"):
        answers.named({2: ..., 4: 6}, 2, 4, what="bits")
    with pytest.raises(answers.NotAnswered, match="entry 1 of widths is still open"):
        answers.items([..., 0.2], what="widths")
    with pytest.raises(answers.NotAnswered, match=r"^a is still open"):
        answers.named({"a": ...}, "a")


def test_what_is_asked_without_a_copy_is_the_very_object_and_no_lambda_is_named():
    given = []
    assert ask(lambda x: x, given, copied=False) is given
    with pytest.raises(Wrong, match="Give the function itself"):
        ask(5, given, copied=False)

    def says_nothing(x):
        return None

    with pytest.raises(answers.NotAnswered, match=r"^says_nothing returned nothing"):
        ask(says_nothing, given, copied=False)


def test_the_count_lasts_as_long_as_the_kernel(capsys):
    assert sq.exercises("01") is sq.exercises("01")


def test_an_unknown_chapter_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown chapter '1'; accepted: .*'01'"):
        sq.exercises("1")
