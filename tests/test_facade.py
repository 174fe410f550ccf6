"""`import squeeze_utils as sq`: quick, complete, documented, and helpful where a name is wrong."""

from __future__ import annotations

import doctest
import inspect
import subprocess
import sys

import pytest

import squeeze_utils as sq

NAMES = sorted(sq._HOMES)


def test_the_import_is_quick_and_brings_no_torch():
    program = (
        "import sys, time; start = time.process_time(); import squeeze_utils as sq\n"
        "assert time.process_time() - start < 0.3\n"
        "assert not {'torch', 'numpy', 'pandas'} & set(sys.modules)\n"
        "assert 'Train' in dir(sq)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_there_are_about_thirty_names():
    assert 25 <= len(NAMES) <= 40
    assert set(NAMES) <= set(dir(sq))


@pytest.mark.parametrize("name", NAMES)
def test_every_name_has_a_docstring_whose_example_runs(name):
    found = getattr(sq, name)
    assert inspect.getdoc(found), f"{name} says nothing about itself"
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    runner = doctest.DocTestRunner(optionflags=flags)
    tests = [t for t in doctest.DocTestFinder().find(found, name, globs={}) if t.examples]
    assert tests, f"{name} has no example"
    for test in tests:
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0


def test_a_wrong_name_is_answered_with_the_right_ones():
    with pytest.raises(AttributeError, match=r"no name 'Prunes'; it has .*Prune, .*study"):
        _ = sq.Prunes


def test_an_unknown_study_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown study 'ds'; accepted: .*dsd"):
        sq.study("ds")
