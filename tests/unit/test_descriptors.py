"""Standard streams as they are found: descriptors.py, the command line's output and lines, the log."""

import asyncio
import errno
import os
import pty
import socket
import sys
import threading
from contextlib import suppress

import pytest

from parley.cli.output import Output, OutputError
from parley.cli.people.lines import InputLines, LineRefused, Splitter
from parley.cli.people.printer import Held, Printer
from parley.shared.errors import ConfigError
from parley.shared.sockets import descriptors
from parley.shared.telemetry import logs
from tests.support.simulated import SimulatedLoop


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    yield reading, writing
    for each in (reading, writing):
        try:
            os.close(each)
        except OSError:
            continue


def fill(descriptor):
    """Leave a pipe without room, and blocking."""
    os.set_blocking(descriptor, False)
    with suppress(BlockingIOError):
        while True:
            os.write(descriptor, b"x" * 4096)
    os.set_blocking(descriptor, True)


def read_all(descriptor):
    data = b""
    while piece := os.read(descriptor, 1 << 16):
        data += piece
    return data


# Writing ------------------------------------------------------------------------------------------------


def test_a_pipe_that_was_left_non_blocking_gets_all_of_it_and_stays_as_it_was(pipe):
    reading, writing = pipe
    os.set_blocking(writing, False)
    got = []
    reader = threading.Thread(target=lambda: got.append(read_all(reading)))
    reader.start()
    data = bytes(range(256)) * 4096
    descriptors.write_all(writing, data)
    assert not os.get_blocking(writing)
    os.close(writing)
    reader.join(10.0)
    assert got == [data]


def test_what_a_full_file_took_of_a_line_is_cut_off_again(tmp_path, monkeypatch):
    file = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    os.write(file, b"before\n")
    write = os.write

    def short(descriptor, data):
        if len(data) < 6:
            raise OSError(errno.ENOSPC, "full")
        return write(descriptor, data[:2])

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(OSError, match="full"):
        descriptors.write_all(file, b"a line\n")
    monkeypatch.undo()
    assert (tmp_path / "file").read_bytes() == b"before\n"
    descriptors.write_all(file, b"after\n")
    os.close(file)
    assert (tmp_path / "file").read_bytes() == b"before\nafter\n"


def test_nothing_waits_for_a_pipe_that_nobody_reads(pipe):
    reading, writing = pipe
    fill(writing)
    assert descriptors.write_ready(writing, b"more") == 0
    assert not descriptors.write_within(writing, b"more", 0.01)
    os.read(reading, 8192)
    assert 0 < descriptors.write_ready(writing, b"y" * 100_000) <= 8192


@pytest.mark.parametrize(("where", "part"), [("/dev/full", "no space left"), ("closed", "it is closed")])
def test_a_stream_that_takes_nothing_is_told_in_one_sentence(where, part):
    descriptor = os.open("/dev/full", os.O_WRONLY)
    output = Output(descriptor, is_closed=where == "closed")
    with pytest.raises(OutputError, match=part) as told:
        output.write("a line\n")
    assert output.fault is told.value
    assert not told.value.is_gone
    os.close(descriptor)


def test_a_reader_that_has_gone_is_no_fault_to_speak_of(pipe):
    reading, writing = pipe
    os.close(reading)
    with pytest.raises(OutputError) as told:
        Output(writing).write("a line\n")
    assert told.value.is_gone


@pytest.mark.parametrize(("encoding", "shown"), [("latin-1", b"gr\xfc\xdfe ?\n"), ("ascii", b"gr??e ?\n")])
def test_what_an_encoding_cannot_hold_is_replaced(pipe, encoding, shown):
    reading, writing = pipe
    output = Output(writing, encoding)
    output.write("grüße 🎉\n")
    assert os.read(reading, 100) == shown
    assert not output.is_unicode


# Messages, one after another ------------------------------------------------------------------------------


def test_a_message_counts_as_printed_once_it_is_and_the_next_waits_for_it(pipe):
    reading, writing = pipe
    fill(writing)

    async def story():
        printer = Printer(Output(writing))
        first, second = printer.say("first " + "x" * 100_000), printer.say("second")
        await asyncio.sleep(0)
        assert not first.done()
        data = b""
        os.set_blocking(reading, False)
        while not second.done():
            with suppress(BlockingIOError):
                data += os.read(reading, 1 << 16)
            await asyncio.sleep(0.001)
        assert first.done()
        assert printer.say("third") is None
        return data.lstrip(b"x") + os.read(reading, 1 << 20)

    assert asyncio.run(story()) == b"first " + b"x" * 100_000 + b"\nsecond\nthird\n"


def test_a_long_line_goes_out_as_fast_as_it_is_read(pipe):
    """A pipe holds 64 KiB. Only what none is taken of is tried later each time."""
    reading, writing = pipe
    os.set_blocking(reading, False)
    loop = SimulatedLoop()

    async def story():
        printed = Printer(Output(writing)).say("x" * 1_500_000)
        while not printed.done():
            await asyncio.sleep(0.01)  # simulated
            with suppress(BlockingIOError):
                os.read(reading, 1 << 20)

    loop.run_until_complete(story())
    loop.close()
    assert loop.now < 1.0


def test_what_can_neither_be_printed_nor_kept_is_refused(pipe, monkeypatch):
    monkeypatch.setattr("parley.cli.people.printer.MOST", 1000)
    fill(pipe[1])

    async def story():
        printer = Printer(Output(pipe[1]))
        assert printer.say("x" * 1001) is not None
        with pytest.raises(Held):
            printer.say("more")

    asyncio.run(story())


def test_a_full_disk_is_told_once_and_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr("parley.cli.people.printer.LATE", 0.01)
    file = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    write, room, refused, said = os.write, [3], [], []

    async def story():
        several = asyncio.Event()

        def scarce(descriptor, data):
            taken = data[: room[0]]
            if not taken:
                refused.append(len(data))
                if len(refused) == 4:
                    several.set()
                raise OSError(errno.ENOSPC, "no space left")
            room[0] -= len(taken)
            return write(descriptor, taken)

        monkeypatch.setattr("parley.cli.people.printer.note", said.append)
        printer = Printer(Output(file))
        monkeypatch.setattr(os, "write", scarce)
        waiting = [printer.say(text) for text in ("a line", "another")]
        await asyncio.wait_for(several.wait(), 5.0)
        assert os.fstat(file).st_size == 0
        room[0] = 1000
        await asyncio.wait_for(asyncio.gather(*waiting), 5.0)

    asyncio.run(story())
    os.close(file)
    [told] = said
    assert told.startswith("parley: nothing can be written to the output: no space left; what comes is not ack")
    assert (tmp_path / "file").read_bytes() == b"a line\nanother\n"


def test_a_reader_that_has_gone_acknowledges_nothing(pipe):
    os.close(pipe[0])

    async def story():
        with pytest.raises(OutputError):
            Printer(Output(pipe[1])).say("nobody reads it")

    asyncio.run(story())


# Reading ------------------------------------------------------------------------------------------------


def lines_of(descriptor, longest=100, encoding="utf-8"):
    async def story():
        lines, found = InputLines(descriptor, longest, encoding), []
        while True:
            try:
                line = await lines.next()
            except LineRefused as refused:
                line = f"refused: {refused}"
            if line is None:
                return found
            found.append(line)

    return asyncio.run(asyncio.wait_for(story(), 10.0))


def test_lines_come_from_pipes_files_and_terminals_alike(pipe, tmp_path):
    data = b"one\n\ntwo \xc3\xa9\nthe last"
    os.set_blocking(pipe[0], False)
    os.write(pipe[1], data)
    os.close(pipe[1])
    (tmp_path / "file").write_bytes(data)
    file = os.open(tmp_path / "file", os.O_RDONLY)
    assert lines_of(pipe[0]) == lines_of(file) == ["one", "", "two é", "the last"]
    os.close(file)


def test_a_terminal_is_left_as_it_was_found():
    ours, theirs = pty.openpty()
    os.write(ours, b"typed\n\x04")
    assert lines_of(theirs) == ["typed"]
    assert os.get_blocking(theirs)
    os.close(ours)
    os.close(theirs)


def test_a_line_that_is_too_long_is_refused_whole_and_the_next_is_not():
    splitter = Splitter(10)
    found = []
    for piece in (b"short\n12345", b"6789", b"012345\nnext\n", b"x" * 11, b"\n1234567890\n", b"y" * 11):
        found += splitter.feed(piece)
    found += splitter.end()
    assert [each if isinstance(each, bytes) else "refused" for each in found] == [
        b"short", "refused", b"next", "refused", b"1234567890", "refused",
    ]  # fmt: skip
    assert str(found[1]).startswith("line 2 is too long for a message: 15 bytes, and at most 10 can be")


def test_a_line_is_read_as_utf8_then_as_the_terminal_has_it_or_refused(pipe):
    os.write(pipe[1], b"gr\xc3\xbc\xc3\x9fe\ngr\xfc\xdfe\n")
    os.close(pipe[1])
    duplicate = os.dup(pipe[0])
    found = lines_of(pipe[0], encoding="latin-1")
    assert found == ["grüße", "grüße"]
    os.close(duplicate)


def test_a_line_that_is_no_text_is_refused(pipe):
    os.write(pipe[1], b"gr\xfc\xdfe\nplain\n")
    os.close(pipe[1])
    assert lines_of(pipe[0]) == [
        "refused: line 1 is no text in UTF-8, and was not sent; send it as a file",
        "plain",
    ]


def test_what_cannot_be_read_is_told():
    directory = os.open("/", os.O_RDONLY)
    with pytest.raises(ConfigError, match="standard input cannot be read: is a directory"):
        lines_of(directory)
    os.close(directory)


# The log ------------------------------------------------------------------------------------------------


class Real:
    """Standard error, as far as the log looks."""

    encoding = "utf-8"

    def __init__(self, descriptor):
        self._descriptor = descriptor

    def fileno(self):
        return self._descriptor


def test_a_log_that_nobody_reads_holds_nobody_up_and_tells_what_was_lost(monkeypatch):
    ours, theirs = socket.socketpair()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    monkeypatch.setattr(logs, "STANDARD_ERROR", theirs.fileno())
    monkeypatch.setattr(sys, "stderr", Real(theirs.fileno()))
    log = logs.StandardError()
    for number in range(200):
        log.write(f"{number} " + "x" * 1000 + "\n")
    ours.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            ours.recv(1 << 16)
    log.write("and on\n")
    told = ours.recv(1 << 16).decode()
    assert '"event": "log_lines_lost"' in told
    assert told.endswith("and on\n")
    ours.close()
    log.write("to nobody\n")  # no error
    theirs.close()


def test_on_a_terminal_others_words_in_the_log_steer_nothing():
    event = {"event": "frame_rejected", "detail": "\x1b[2J\nforged", "exception": "Traceback\n  at\x07", "n": 1}
    assert logs._make_printable(None, "", event) == {
        "event": "frame_rejected", "detail": "\ufffd[2J forged", "exception": "Traceback\n  at\ufffd", "n": 1,
    }  # fmt: skip
