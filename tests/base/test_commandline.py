"""How commands end: with a line and a number for what users and machines do wrong."""

from __future__ import annotations

import pytest

from squeeze_utils.base.commandline import exit_code


def raising(error: BaseException):
    def work() -> None:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError("two\n  lines"), 2),
        (ImportError("two lines"), 2),
        (FileNotFoundError("two lines"), 2),
        (NotADirectoryError("two lines"), 2),
        (PermissionError("two lines"), 1),
        (RuntimeError("two lines"), 1),
    ],
)
def test_what_went_wrong_decides_the_number(error, code, capsys):
    assert exit_code(raising(error), "") == code
    assert capsys.readouterr().err == "error: two lines\n"


def test_an_interruption_says_what_is_kept(capsys):
    assert exit_code(raising(KeyboardInterrupt()), "records are kept") == 130
    assert capsys.readouterr().err == "interrupted; records are kept\n"


def test_work_that_ends_well_says_nothing(capsys):
    assert exit_code(lambda: None, "") == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("fault", [TypeError, KeyError, AssertionError, ZeroDivisionError])
def test_faults_of_the_program_keep_their_trace(fault):
    with pytest.raises(fault):
        exit_code(raising(fault("x")), "")
