"""The file with the ports of links that existing servers may keep when they are dead."""

import asyncio
import json

import pytest

from parley.shared.peering.source_ports import LARGEST, MOST, MOST_PORTS, Ends, SourcePorts

HERE, THERE = "10.0.0.1", "10.0.0.2"


def ends(number):
    return Ends((HERE, number), (THERE, 6666))


class Log:
    def __init__(self):
        self.lines = []

    def warning(self, event, **fields):
        self.lines.append((event, fields))


class File:
    """The ports of a process, in a loop of their own: what one writes the next reads."""

    def __init__(self, path):
        self.path = path
        self.log = Log()
        self.limited = 0

    def _limit(self):
        self.limited += 1

    def after(self, *steps):
        """A process that knows the file, does these steps, and ends in order: its ports."""

        async def run():
            ports = SourcePorts(lambda: self.log, self._limit)
            ports.open(self.path)
            for step in steps:
                step(ports)
            ports.close()
            return ports

        return asyncio.run(run())

    def read(self):
        return json.loads(self.path.read_text())


@pytest.fixture
def file(tmp_path):
    return File(tmp_path / "alpha" / "chat.links")


def test_what_stood_is_known_to_the_next_process_and_what_ended_is_not(file):
    file.after(lambda p: p.stood("One", ends(1)), lambda p: p.stood("two", ends(2)), lambda p: p.stood("three"))
    ports = file.after(lambda p: p.ended("ONE", ends(1)))
    assert ports.servers == ["One", "two", "three"]
    again = file.after()
    assert [again.of(name) for name in ("one", "two", "three", "four")] == [(), (ends(2),), (), ()]
    assert file.path.stat().st_mode & 0o077 == 0
    assert file.log.lines == []


def test_nothing_is_written_where_nothing_happened(file):
    file.after(lambda p: p.ended("one", ends(1)))
    assert not file.path.exists()
    file.after(lambda p: p.stood("one", ends(1)))
    before = file.path.stat().st_mtime_ns
    file.after(lambda p: p.stood("one", ends(1)), lambda p: p.ended("one", ends(2)))
    assert file.path.stat().st_mtime_ns == before


def test_it_is_written_soon_and_not_at_each_change(file):
    """A process that is killed says nothing afterwards."""

    async def run():
        ports = SourcePorts(lambda: file.log)
        ports.open(file.path)
        ports.stood("one", ends(1))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert file.read()["servers"] == [{"server_id": "one", "ports": [[HERE, 1, THERE, 6666]]}]
        for number in range(2, 50):
            ports.stood("two", ends(number))
            await asyncio.sleep(0)
        assert len(file.read()["servers"]) == 1
        ports.close(write=False)

    asyncio.run(run())
    assert len(file.read()["servers"]) == 1, "another process has it now"


def test_servers_and_their_ports_are_bounded_and_those_with_a_port_stay(file):
    ports = file.after(
        *(lambda p, n=n: p.stood("many", ends(n)) for n in range(1, MOST_PORTS + 3)),
        *(lambda p, n=n: p.stood(f"s{n}") for n in range(MOST + 10)),
    )
    assert ports.of("many") == tuple(ends(n) for n in range(3, MOST_PORTS + 3))
    assert len(ports.servers) == MOST
    assert "s10" not in ports.servers
    assert {"many", "s11"} < set(ports.servers)
    assert file.limited == 11
    with_ports = file.after(*(lambda p, n=n: p.stood(f"t{n}", ends(n)) for n in range(1, MOST + 1)))
    assert with_ports.servers == [f"t{n}" for n in range(1, MOST + 1)]
    assert file.after().servers == with_ports.servers


def entry(server_id="one", port=1, host=HERE):
    return {"server_id": server_id, "ports": [[host, port, THERE, 6666]]}


DAMAGED = {
    "empty": b"",
    "cut": b'{"servers": [{"serv',
    "no object": b"7",
    "no servers": b"{}",
    "no name": json.dumps({"servers": [entry("")]}).encode(),
    "a long name": json.dumps({"servers": [entry("x" * 256)]}).encode(),
    "no port": json.dumps({"servers": [entry(port=0)]}).encode(),
    "a host's name": json.dumps({"servers": [entry(host="example.org")]}).encode(),
    "half an address": json.dumps({"servers": [entry(host="10.1")]}).encode(),
    "too many servers": json.dumps({"servers": [entry(f"s{n}") for n in range(MOST + 1)]}).encode(),
    "too long": b" " * LARGEST + json.dumps({"servers": []}).encode(),
    "deep": b"[" * 100_000,
    "no text": b"\xff\xfe",
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_file_is_ignored_with_a_line_and_written_again(file, damage):
    file.path.parent.mkdir()
    file.path.write_bytes(damage)
    assert file.after().servers == []
    [(event, fields)] = file.log.lines
    assert (event, fields["path"]) == ("source_ports_ignored", str(file.path))
    file.after(lambda p: p.stood("two", ends(2)))
    assert file.after().servers == ["two"]


def test_where_it_cannot_be_written_that_is_said_once(file):
    file.path.parent.write_text("no directory")
    file.after(*(lambda p, n=n: (p.stood("one", ends(n)), p._write()) for n in range(1, 4)))
    assert [event for event, _ in file.log.lines] == ["source_ports_ignored", "source_ports_not_written"]


def test_a_link_to_another_file_is_not_followed(file, tmp_path):
    file.after(lambda p: p.stood("one", ends(1)))
    file.path.rename(tmp_path / "elsewhere")
    file.path.symlink_to(tmp_path / "elsewhere")
    assert file.after().servers == []
