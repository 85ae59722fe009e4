"""A node's processes in tests are forked: nobody can tell them from such as were started alone."""

import os
import signal
import subprocess

import psutil

from tests.support.commands import Command, client_environment, run_parley
from tests.support.forking import Forked
from tests.support.nodes import Node

ADDRESS = "127.0.121.1"


def test_a_forked_process_has_the_name_and_the_end_of_one_that_was_started(tmp_path):
    with Node("alpha", ADDRESS, tmp_path, ["discovery"]) as node:
        first = node.pid("discovery")
        assert isinstance(node._processes["discovery"].popen, Forked)
        assert " ".join(psutil.Process(first).cmdline()).rstrip().endswith("-m services.discovery")
        node.kill("discovery", signal.SIGTERM)
        assert node.wait_exit("discovery") == 0
        node.start("discovery")
        node.wait_ready()
        node._processes["discovery"].popen.send_signal(signal.SIGKILL)
        assert node.wait_exit("discovery") == -signal.SIGKILL
        node.start("discovery")
        node.wait_ready()
        node._processes["discovery"].popen.stdin.close()
        assert node.wait_exit("discovery") == 0


def test_a_forked_process_that_cannot_run_says_why_and_ends_with_its_code(tmp_path):
    node = Node("alpha", ADDRESS, tmp_path, ["chat"], {"PARLEY_CHAT__PORT": "none"})
    node.start("chat")
    assert node.wait_exit("chat") == 2
    assert "chat.port" in node.stderr("chat")


def test_what_an_interpreter_reads_at_its_start_is_not_forked(tmp_path):
    for settings in ({"PARLEY_PURE": "no"}, {"PYTHONHASHSEED": "1"}):
        node = Node("alpha", ADDRESS, tmp_path, ["discovery"], settings)
        with node:
            assert isinstance(node._processes["discovery"].popen, subprocess.Popen)


def test_a_forked_command_has_the_streams_the_session_and_the_end_of_one_that_was_started(tmp_path):
    environment = client_environment(ADDRESS, tmp_path)
    for _ in range(2):
        ended = run_parley("send", "--as", "ann@alpha", environment=environment, text="nobody reads this\n")
        assert (ended.returncode, ended.stdout) == (2, "")
        assert "parley send --help" in ended.stderr
    with Command("chat", "--as", "ann@alpha", environment=environment) as command:
        assert isinstance(command.popen, Forked)
        assert os.getsid(command.popen.pid) == command.popen.pid
        command.interrupt()
        assert command.wait_exit() in (130, -signal.SIGINT)
