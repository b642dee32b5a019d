"""Tests of what the environment says of slots and GPUs."""

from __future__ import annotations

import pytest

from aiohpo.evaluate.process.resources import (
    auto_slots,
    available_cores,
    installed_devices,
    slot_environment,
    visible_devices,
)


@pytest.mark.parametrize(
    ("given", "visible"),
    [
        ("0,1", ["0", "1"]),
        (" 3 , GPU-8f5a , MIG-1/2 ", ["3", "GPU-8f5a", "MIG-1/2"]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("2,-1,3", ["2"]),
        ("0,,1", ["0"]),
    ],
)
def test_the_variable_says_which_devices_are_visible(given, visible):
    """What CUDA would see of the list: nothing behind an invalid name."""
    assert visible_devices({"CUDA_VISIBLE_DEVICES": given}, lambda: ["7"]) == visible


def test_without_the_variable_all_installed_devices_are_visible():
    """As the driver shows them."""
    assert visible_devices({}, lambda: ["0", "1"]) == ["0", "1"]
    assert all(name.isdecimal() for name in installed_devices())


def test_devices_are_dealt_out_round_robin():
    """By the numbers of slots; where there is one device or none, nothing is changed."""
    dealt = [slot_environment(slot, ["a", "b", "c"])["CUDA_VISIBLE_DEVICES"] for slot in range(7)]
    assert dealt == ["a", "b", "c", "a", "b", "c", "a"]
    assert slot_environment(5, ["a"]) == slot_environment(5, []) == {"AIOHPO_SLOT": "5"}


def test_as_many_slots_as_devices_else_as_cores():
    """Which is what "auto" means."""
    assert auto_slots({"CUDA_VISIBLE_DEVICES": "0,1,2"}) == 3
    assert auto_slots({"CUDA_VISIBLE_DEVICES": ""}) == available_cores()
