from __future__ import annotations

import pytest

from squeeze_utils.deploy.on_chip import CHIPS, Chip, Need, chips_table, verdict

SMALL = Chip("microcontroller", ram=100, flash=1000)
FPGA = Chip("FPGA", ram=1000)


@pytest.mark.parametrize(
    ("need", "controller", "fpga"),
    [
        (Need(1000, 100), "fits", "sum"),
        (Need(900, 100), "fits", "fits"),
        (Need(1001, 100), "weights", "sum"),
        (Need(500, 101), "activations", "fits"),
        (Need(1001, 101), "both", "sum"),
    ],
)
def test_weights_and_activations_have_to_fit(need, controller, fpga):
    assert (verdict(need, SMALL), verdict(need, FPGA)) == (controller, fpga)


def test_sizes_are_those_of_the_data_sheets():
    sizes = {chip.name: (chip.ram, chip.flash) for chip in CHIPS}
    assert sizes["STM32F746"] == (327_680, 1_048_576)
    assert sizes["Zynq-7020"] == (645_120, None)  # 4.9 Mb
    assert 68 < 8 * sizes["Virtex-7 1140T"][0] / 1e6 < 70  # "68 Mbits" in the SqueezeNet paper


def test_the_table_has_a_column_for_each_chip():
    table = chips_table({"a file": Need(900_000, 50)}, (SMALL, FPGA))
    assert table.loc["a file"].tolist() == ["900", "0", "weights", "sum"]
    assert table.columns[2:].tolist() == ["microcontroller", "FPGA"]


def test_negative_bytes_are_refused():
    with pytest.raises(ValueError, match="negative"):
        verdict(Need(-1, 0), FPGA)
