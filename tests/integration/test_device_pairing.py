"""A further device of a user: refused, let in by a code, listed, revoked; with real processes and commands."""

import json
import re

import pytest

from parley.shared.config import host_name
from tests.support.commands import Command, client_environment, run_parley
from tests.support.nodes import Node, wait_until

ADDRESS = "127.0.78.1"
CODE = re.compile(r"[0-9A-Z]{4}-[0-9A-Z]{4}")


@pytest.fixture(scope="module")
def alpha(tmp_path_factory):
    with Node("alpha", ADDRESS, tmp_path_factory.mktemp("nodes"), ["discovery", "chat"]) as node:
        yield node


@pytest.fixture
def devices(alpha, tmp_path, request):
    """Make the environment of a device, and run a command as the test's own user."""
    user = f"u{abs(hash(request.node.name)) % 10**8}@alpha"

    class Devices:
        name = user

        @staticmethod
        def home(device, **settings):
            directory = tmp_path / device
            directory.mkdir(exist_ok=True)
            own = {"XDG_DATA_HOME": str(directory / ".local" / "share")}
            return client_environment(ADDRESS, directory, **own | settings)

        def run(self, device, *arguments):
            return run_parley(*arguments, "--as", user, environment=self.home(device))

        def listed(self, device):
            done = self.run(device, "device", "list", "--json")
            assert done.returncode == 0, done.stderr
            return [json.loads(each) for each in done.stdout.splitlines()]

        def linking(self, device, *more):
            return Command("device", "link", "--as", user, *more, environment=self.home(device))

    assert alpha is not None
    return Devices()


def shown(linking):
    """The code that a new device shows."""
    return wait_until(lambda: next((each for each in linking.lines if CODE.fullmatch(each)), ""))


def test_a_further_device_is_refused_until_a_code_lets_it_in_and_revoked_at_once(devices):
    first = devices.run("laptop", "users")
    assert first.stderr == ""
    refused = devices.run("phone", "users")
    assert (refused.returncode, refused.stdout) == (4, "")
    assert f"{devices.name} belongs to somebody already" in refused.stderr
    assert f"`parley --password-file - chat --as {devices.name}`" in refused.stderr
    with devices.linking("phone", "--name", "phone") as linking:
        code = shown(linking)
        linking.wait_error(f"`parley device add {code} --as {devices.name}`")
        added = devices.run("laptop", "device", "add", code.lower())
        assert (added.returncode, added.stderr) == (0, "")
        assert added.stdout.startswith("phone speaks for you from now on; its key is ")
        linking.wait_line(f"this device is one of {devices.name}'s now")
        assert linking.wait_exit() == 0
    assert devices.run("phone", "users").returncode == 0
    found = devices.listed("phone")
    assert [each["name"] for each in found] == [host_name(), "phone"]
    assert [(each["how"], each["this_device"]) for each in found] == [("claimed", False), ("confirmed", True)]
    with Command("listen", "--as", devices.name, environment=devices.home("phone")) as listener:
        listener.wait_error("listening as")
        revoked = devices.run("laptop", "device", "revoke", "phone")
        assert (revoked.returncode, revoked.stdout) == (0, "phone speaks for you no more\n")
        assert listener.wait_exit() == 4
        (refusal,) = listener.errors[1:]
        assert "this device was revoked" in refusal
    gone = devices.run("phone", "users")
    assert gone.returncode == 4
    assert "this device was revoked" in gone.stderr
    assert len(devices.listed("laptop")) == 1


def test_a_chat_is_told_that_a_device_asks_and_adds_it(devices):
    with Command("chat", "--as", devices.name, environment=devices.home("laptop")) as chat:
        chat.wait_error("/help tells more")
        with devices.linking("phone") as linking:
            code = shown(linking)
            chat.wait_error("asks to speak for you; if it is yours, type /device add CODE")
            chat.write(f"/device add {code}")
            chat.wait_error("speaks for you from now on")
            assert linking.wait_exit() == 0
        chat.write("/device")
        assert chat.wait_error("yours: ").count(",") == 1


def test_three_wrong_codes_end_it_and_add_nobody(devices):
    devices.run("laptop", "users")
    with devices.linking("phone") as linking:
        right = shown(linking)
        wrong = ("0000-0000" if right != "0000-0000" else "1111-1111",) * 3
        outcomes = [devices.run("laptop", "device", "add", code) for code in wrong]
        assert {done.returncode for done in outcomes} == {1}
        assert "shows another code" in outcomes[0].stderr
        linking.wait_error("three tries")
        assert linking.wait_exit() == 1
    assert "no new device shows a code" in devices.run("laptop", "device", "add", right).stderr
    assert len(devices.listed("laptop")) == 1


def test_what_is_no_code_is_told_without_a_try(devices):
    devices.run("laptop", "users")
    done = devices.run("laptop", "device", "add", "hello")
    assert done.returncode == 1
    assert "a code has 8 letters and digits" in done.stderr


def test_new_devices_come_one_after_the_other_and_an_old_one_needs_no_code(devices):
    devices.run("laptop", "users")
    with devices.linking("phone") as linking:
        shown(linking)
        second = devices.run("tablet", "device", "link")
        assert second.returncode == 4
        assert "too many tries at alpha" in second.stderr
    done = devices.run("laptop", "device", "link")
    assert (done.returncode, done.stdout) == (0, f"this device is one of {devices.name}'s already\n")
