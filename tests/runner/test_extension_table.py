"""The rules of the extension table."""

from __future__ import annotations

from dora.runner.extension_table import MOST_ENTRIES, MOST_NOTICES, ExtensionTable


def stored(*keys: str) -> ExtensionTable[int]:
    """A table in which node `a` has stored these keys of `ns`."""
    table = ExtensionTable[int]()
    for value, key in enumerate(keys):
        assert table.store("a", "ns", key, value) == ""
    return table


def test_value_is_found_by_namespace_and_key() -> None:
    table = stored("k")
    assert table.load("b", "ns", "k") == 0
    assert table.load("b", "other", "k") is None


def test_only_the_storing_node_may_overwrite() -> None:
    table = stored("k")
    assert table.store("b", "ns", "k", 7) == "'k' in 'ns' was stored by node `a`: only that node may overwrite it"
    assert table.store("a", "ns", "k", 8) == ""
    assert table.load("b", "ns", "k") == 8


def test_drop_is_told_once_to_those_who_stored_or_read_the_key() -> None:
    table = stored("k")
    table.load("b", "ns", "k")
    table.drop("ns", "k")
    assert [table.take_dropped(node, "ns") for node in "abcb"] == [["k"], ["k"], [], []]


def test_drop_of_an_absent_key_is_harmless() -> None:
    table = stored()
    table.drop("ns", "k")
    assert table.take_dropped("a", "ns") == []


def test_drops_of_other_namespaces_stay_to_be_told() -> None:
    table = stored("k")
    table.drop("ns", "k")
    assert table.take_dropped("a", "other") == []
    assert table.take_dropped("a", "ns") == ["k"]


def test_entries_of_a_node_that_is_gone_vanish_and_its_readers_hear_of_it() -> None:
    table = stored("k")
    table.load("b", "ns", "k")
    table.forget_node("a")
    assert table.load("b", "ns", "k") is None
    assert table.take_dropped("b", "ns") == ["k"]


def test_full_table_refuses_new_keys_but_not_new_values() -> None:
    table = stored(*map(str, range(MOST_ENTRIES)))
    assert "is full (8192 entries)" in table.store("a", "ns", "more", 1)
    assert table.store("a", "ns", "0", 5) == ""


def test_oldest_notices_go_when_a_node_never_asks() -> None:
    keys = [str(number) for number in range(MOST_NOTICES + 1)]
    table = stored(*keys)
    for key in keys:
        table.drop("ns", key)
    assert table.take_dropped("a", "ns") == keys[1:]
