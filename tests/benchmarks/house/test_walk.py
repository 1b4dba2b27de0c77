import dataclasses
import sys
from types import ModuleType
from typing import NamedTuple

import pytest

from benchmarks.house.checkout import Checkout
from benchmarks.house.walk import Walk, measure_walk, summarize


def toy_module(name, text, **names):
    module = ModuleType(name)
    vars(module).update(names)
    exec(compile(text, f"{name}.py", "exec"), vars(module))
    return module


RECORDS = """
class RateRNN:
    @property
    def n(self):
        return size_of(1)

def size_of(number):
    return number

def copy(net):
    return net
"""
SECOND = """
def shown(net):
    return net.n, copy(net), inner(net)

def inner(net):
    return [part(k) for k in range(2)], (lambda net: net)(net)

def part(number, *others, **more):
    return number

class Module:
    def __init__(self, net):
        self.net = net
"""
FIRST = """
def run(networks):
    shown(networks[0])
    Module(networks[0])
    part(1, networks[0])
    part(1)
    part(1, net=networks[0])
    return size_of(2)
"""


@pytest.fixture
def toy():
    records = toy_module("toy.records", RECORDS)
    second = toy_module("toy.second", SECOND, copy=records.copy)
    names = {name: vars(second)[name] for name in ("shown", "Module", "part")}
    first = toy_module("toy.first", FIRST, size_of=records.size_of, **names)
    return records, first


def walk_of(call, *arguments):
    walk = Walk("toy")
    sys.setprofile(walk)
    try:
        call(*arguments)
    finally:
        sys.setprofile(None)
    return walk.entries


def test_a_walk_is_the_files_that_are_given_the_network(toy):
    records, first = toy
    entries = walk_of(first.run, [records.RateRNN()])
    assert entries == ["toy.first", "toy.second", "toy.records", "toy.second"]
    assert summarize(entries) == {
        "rooms": 3,
        "stays": 4,
        "returns": 1,
        "walk": entries,
    }


def test_calls_without_the_network_are_no_part_of_it(toy):
    records, _ = toy
    assert walk_of(records.size_of, 1) == []


def test_other_packages_are_not_followed(toy):
    records, first = toy
    walk = Walk("other")
    sys.setprofile(walk)
    try:
        first.run([records.RateRNN()])
    finally:
        sys.setprofile(None)
    assert walk.entries == []


def test_records_that_hold_a_network_count_as_it(toy):
    records, _ = toy
    net = records.RateRNN()

    class Pair(NamedTuple):
        net: object

    @dataclasses.dataclass
    class Result:
        parts: dict

    @dataclasses.dataclass
    class Foreign:
        net: object

    Result.__module__ = "toy.records"
    walk = Walk("toy")
    assert walk.holds_network(net)
    assert walk.holds_network(Pair(net)) and walk.holds_network([1, (net,)])
    assert walk.holds_network(Result({"a": Pair(net)}))
    assert not walk.holds_network(Result({"a": Pair(1)}))
    assert not walk.holds_network(Foreign(net))
    assert not walk.holds_network([[[[[net]]]]])


@pytest.mark.long
@pytest.mark.lava
def test_a_network_walks_through_isotau_run():
    measures = measure_walk(Checkout())
    assert measures["stays"] == measures["rooms"] + measures["returns"]
    rooms = {name.split(".")[1] for name in measures["walk"]}
    assert {"convert", "sim", "targets"} <= rooms
