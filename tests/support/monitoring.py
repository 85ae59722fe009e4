"""The real Prometheus (Debian's package) scraping nodes, with the rules of deploy/prometheus at a faster pace.

What takes minutes in operation takes seconds here: `faster` divides the times that stand in the rules.
"""

import contextlib
import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from tests.support.nodes import HTTP_PORTS, ROOT, wait_until

RULES = ROOT / "deploy" / "prometheus" / "rules"
UNITS = {"s": 1, "m": 60, "h": 3600}
FASTER = 60
"""A minute of operation is a second here."""
SCRAPE = 0.5
"""Seconds between two scrapes."""
PATIENCE = 120.0
"""Seconds until a wait counts as failed: long, because the machine may have much else to do."""
SHORTEST = 4
"""Seconds of a range: a rate needs several samples."""
LONGEST = 3
"""Seconds of a wait: what happens once is in a range's samples no longer than the range."""

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None,
    reason="prometheus and promtool are not installed (deploy/test-tools.sh)",
)
needs_chromium = pytest.mark.skipif(
    shutil.which("chromium") is None, reason="chromium is not installed (deploy/test-tools.sh)"
)


def faster(rules: str) -> str:
    """Rules whose waits and ranges are so much shorter, within LONGEST and SHORTEST."""

    def wait(match: re.Match[str]) -> str:
        return f"for: {min(max(1, round(_seconds(match) / FASTER)), LONGEST)}s"

    def span(match: re.Match[str]) -> str:
        return f"[{max(SHORTEST, round(_seconds(match) / FASTER))}s]"

    rules = re.sub(r"for: (\d+)([smh])\b", wait, rules)
    return re.sub(r"\[(\d+)([smh])\]", span, rules)


def _seconds(match: re.Match[str]) -> int:
    return int(match[1]) * UNITS[match[2]]


class Prometheus:
    """A running Prometheus; a context manager.

    `thresholds` replaces words of the alert rules; `token_file` has what the nodes' pages ask for.
    """

    def __init__(self, directory: Path, address: str, nodes, thresholds=None, token_file=None):
        self.url = f"http://{address}:9090"
        self._address = address
        self._nodes = nodes
        self._thresholds = thresholds or {}
        self._shows = {"authorization": {"credentials_file": str(token_file)}} if token_file else {}
        self._directory = directory / "prometheus"
        self._popen = None

    def __enter__(self):
        self._directory.mkdir()
        self._write_rules()
        config = self._directory / "prometheus.json"  # JSON is YAML
        config.write_text(json.dumps(self._config()))
        self._log = (self._directory / "log").open("wb")
        self._popen = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={self._directory / 'data'}",
                f"--web.listen-address={self._address}:9090",
            ],
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until(lambda: urllib.request.urlopen(f"{self.url}/-/ready", timeout=2).status == 200, 30)
        except TimeoutError as error:
            error.add_note((self._directory / "log").read_text()[-2000:])
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._popen.kill()
        self._popen.wait()
        self._log.close()

    def _write_rules(self):
        for path in RULES.glob("*.yml"):
            text = path.read_text()
            if path.name == "alerts.yml":
                for before, after in self._thresholds.items():
                    assert text.count(before) == 1, before
                    text = text.replace(before, after)
            (self._directory / path.name).write_text(faster(text))

    def _config(self):
        targets = [f"{node.address}:{HTTP_PORTS[service]}" for node in self._nodes for service in node.services]
        return {
            "global": {
                "scrape_interval": f"{int(SCRAPE * 1000)}ms",
                "evaluation_interval": f"{int(SCRAPE * 1000)}ms",
            },
            "rule_files": [str(self._directory / "*.yml")],
            "scrape_configs": [
                {"job_name": "parley", "static_configs": [{"targets": targets}], "scrape_timeout": "500ms"}
                | self._shows
            ],
        }

    def _get(self, path, **parameters):
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from None

    def query(self, expr):
        """The result of an instant query: [(labels, value)]. AssertionError where it is wrong."""
        found = self._get("query", query=expr)["result"]
        return [(sample["metric"], float(sample["value"][1])) for sample in found]

    def rules(self):
        """Every rule, as Prometheus has evaluated it last."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def firing(self, alert, **labels):
        """The alerts of that name that fire now, with these labels."""
        fire = [a for a in self._get("alerts")["alerts"] if a["labels"]["alertname"] == alert]
        fire = [a for a in fire if a["state"] == "firing"]
        return [a["labels"] for a in fire if labels.items() <= a["labels"].items()]

    def wait_for(self, expr, timeout=PATIENCE):
        """Wait until a query has a result."""
        return wait_until(lambda: self.query(expr), timeout, expr, every=SCRAPE / 2)

    def wait_firing(self, alert, **labels):
        """Wait until an alert fires: for what stays broken meanwhile."""
        wait_until(lambda: self.firing(alert, **labels), PATIENCE, f"{alert} {labels} fires", every=SCRAPE / 2)

    def provoke(self, step, *wanted, pause):
        """Break something again and again, by `step`, until each of these alerts, (name, labels), was seen firing.

        There are `pause` seconds between two steps, in which the alerts are looked for.
        """
        unseen = list(wanted)

        def all_seen():
            unseen[:] = [(alert, labels) for alert, labels in unseen if not self.firing(alert, **labels)]
            return not unseen

        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            step()
            with contextlib.suppress(TimeoutError):
                return wait_until(all_seen, pause, every=SCRAPE / 2)
        raise TimeoutError(f"not within {PATIENCE} s of provoking: {unseen}")

    def wait_quiet(self, alert, **labels):
        """Wait until an alert fires no longer: for what stays mended meanwhile."""
        what = f"{alert} {labels} is over"
        wait_until(lambda: not self.firing(alert, **labels), PATIENCE, what, every=SCRAPE / 2)
