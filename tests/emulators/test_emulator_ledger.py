"""The ledger: complete, bounded, and readable after a crash."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbox.emulators.ledger import Entry, Ledger, read_ledger

NOON = datetime(2026, 9, 21, 12, tzinfo=UTC)


def test_entries_are_numbered_without_gaps_and_found_by_kind_serial_and_limit() -> None:
    ledger = Ledger(now=lambda: NOON)
    for number in range(6):
        ledger.add("send" if number % 2 else "webhook", number=number)

    assert [entry.serial for entry in ledger.entries()] == [1, 2, 3, 4, 5, 6]
    assert [entry.data["number"] for entry in ledger.entries("send", after=2)] == [3, 5]
    assert [entry.serial for entry in ledger.entries(after=1, limit=2)] == [2, 3]
    assert ledger.entries()[0] == Entry(1, NOON, "webhook", {"number": 0})


@given(written=st.integers(0, 60), capacity=st.integers(1, 20), after=st.integers(0, 70))
def test_memory_keeps_the_newest_and_counts_the_rest(written: int, capacity: int, after: int) -> None:
    ledger = Ledger(capacity=capacity)
    for number in range(written):
        ledger.add("send", number=number)
    kept = range(max(1, written - capacity + 1), written + 1)

    assert [entry.serial for entry in ledger.entries(after=after)] == [serial for serial in kept if serial > after]
    assert ledger.spilled == written - len(kept)
    assert ledger.counts().get("send", 0) == written


def test_the_file_keeps_what_memory_forgot(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl", capacity=2, fsync=True)
    for number in range(5):
        ledger.add("send", number=number, text="Grüße\n")
    ledger.clear()
    ledger.add("send", number=5, text="")

    entries = read_ledger(tmp_path / "ledger.jsonl")
    ledger.close()
    assert [(entry.serial, entry.data["number"]) for entry in entries] == [(n + 1, n) for n in range(6)]
    assert entries[0].data["text"] == "Grüße\n"


def test_every_entry_is_in_the_file_before_add_returns(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    ledger.add("send", wamid="wamid.A")

    assert [entry.data for entry in read_ledger(path)] == [{"wamid": "wamid.A"}]
    ledger.close()


@pytest.mark.parametrize("torn", [b"", b'{"serial":3,"ti', b'{"serial":3,"time":"2026-09-21T12:00:00Z","kind":"x"'])
def test_a_file_is_continued_after_a_crash_without_its_torn_line(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "ledger.jsonl"
    before = Ledger(path)
    before.add("send", number=1)
    before.add("send", number=2)
    before.close()
    path.write_bytes(path.read_bytes() + torn)

    after = Ledger(path)
    after.add("send", number=3)
    after.close()

    assert [entry.serial for entry in read_ledger(path)] == [1, 2, 3]


def test_an_empty_file_starts_at_one(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.touch()
    ledger = Ledger(path)

    assert ledger.add("send").serial == 1
    ledger.close()


def test_reading_leaves_out_a_torn_last_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    ledger.add("send")
    ledger.close()
    path.write_bytes(path.read_bytes() + b'{"serial":2')

    assert len(read_ledger(path)) == 1
