"""The real Prometheus on a federation of three nodes under traffic: every panel shows something."""

import json
import math
import re
import subprocess

import pytest
import yaml

from tests.support.monitoring import ROOT, Prometheus, needs_prometheus
from tests.support.nodes import Node, wait_linked, wait_until
from tests.support.traffic import Traffic

pytestmark = [needs_prometheus, pytest.mark.timed]

NETWORK = "127.0.91"
DASHBOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
OF_ALL = {"Open files": "the least limit there is", "Processes not ready": "what does not answer has no name"}
"""Panels of which a part is of all servers, whichever is chosen, and why."""
VARIABLES = {"$server": ".*", "$feature": ".*", "$__rate_interval": "10s", "$__range": "1m"}


@pytest.fixture(scope="module")
def federation(tmp_path_factory):
    directory = tmp_path_factory.mktemp("monitoring")
    settings = {"PARLEY_LINK__PEER_PING_TIMEOUT": "1"}
    nodes = [Node(name, f"{NETWORK}.{n}", directory, settings=settings) for n, name in enumerate("abc", 1)]
    with nodes[0], nodes[1], nodes[2], Prometheus(directory, f"{NETWORK}.200", nodes) as prometheus:
        wait_linked(nodes)
        with Traffic(nodes, NETWORK) as traffic:
            wait_until(lambda: traffic.delivered > 100, what="messages are delivered")
            wait_until(lambda: steady(prometheus), 30, "samples of 10 s")
            yield prometheus


def steady(prometheus):
    found = prometheus.query('count_over_time(up{job="parley"}[10s])')
    return len(found) == 12 and all(value >= 15 for _, value in found)


def filled(expr, **chosen):
    for name, value in (VARIABLES | {f"${key}": value for key, value in chosen.items()}).items():
        expr = expr.replace(name, value)
    return expr


def panels():
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                name = f"{path.stem}: {panel['title']} {target['refId']}"
                yield pytest.param(panel["title"], target["expr"], id=name)


@pytest.mark.parametrize("expr", [pytest.param(each.values[1], id=each.id) for each in panels()])
def test_every_panel_shows_something(federation, expr):
    """None is empty by nature: what has not happened yet is counted as 0."""
    expr = filled(expr)
    assert "$" not in re.sub(r'"\$\d"', "", expr), "a variable that this test does not know"
    found = federation.query(expr)
    assert found, expr
    assert any(not math.isnan(value) for _, value in found), f"not a number: {found}"


@pytest.mark.parametrize(("title", "expr"), list(panels()))
def test_what_is_chosen_is_shown_alone(federation, title, expr):
    of_b = federation.query(filled(expr, server="b"))
    assert of_b
    assert {labels.get("server_id", "b") for labels, _ in of_b} == {"b"}
    of_nobody = federation.query(filled(expr, server="nobody"))
    assert title in OF_ALL or all(value == 0 for _, value in of_nobody), of_nobody
    of_chat = federation.query(filled(expr, feature="MESSAGES"))
    assert {labels.get("feature", "MESSAGES") for labels, _ in of_chat} <= {"MESSAGES", "DISCOVERY"}


def test_every_recording_rule_records(federation):
    recording = [rule for rule in federation.rules() if rule["type"] == "recording"]
    assert len(recording) >= 9
    for rule in recording:
        assert rule["health"] == "ok", rule
        assert wait_until(lambda rule=rule: federation.query(rule["name"]), what=rule["name"])


def test_no_alert_fires_while_all_is_well(federation):
    alerts = [rule for rule in federation.rules() if rule["type"] == "alerting"]
    assert len(alerts) >= 14
    assert {rule["health"] for rule in alerts} == {"ok"}
    firing = [rule["name"] for rule in alerts if rule["state"] == "firing"]
    assert firing == []


def test_the_variables_of_the_dashboards_have_values(federation):
    assert {labels["server_id"] for labels, _ in federation.query("parley_build_info")} == {"a", "b", "c"}


def test_the_alerts_do_what_their_unit_tests_say():
    test = ROOT / "deploy" / "prometheus" / "tests" / "alerts.yml"
    done = subprocess.run(["promtool", "test", "rules", test], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["recording", "alerts"])
def test_the_rules_are_valid(name):
    rules = ROOT / "deploy" / "prometheus" / "rules" / f"{name}.yml"
    done = subprocess.run(["promtool", "check", "rules", rules], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_configuration_is_valid():
    assert_valid(ROOT / "deploy" / "prometheus" / "prometheus.yml")


def test_the_configuration_for_other_nodes_that_is_told_of_is_valid(tmp_path):
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "operations.md").read_text(), re.DOTALL)
    told, strict = [block for block in blocks if "scrape_configs:" in block]
    (addition,) = [block for block in blocks if "alertmanagers:" in block]
    config = tmp_path / "prometheus.yml"
    for text in (told, told + addition, strict):
        config.write_text(text)
        assert_valid(config)
    parsed = yaml.safe_load(told)
    assert [job["job_name"] for job in parsed["scrape_configs"]] == ["parley"]
    assert [sorted(path.name for path in ROOT.glob(rules)) for rules in parsed["rule_files"]] == [
        ["alerts.yml", "recording.yml"]
    ]


def assert_valid(config):
    command = ["promtool", "check", "config", "--syntax-only", config]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
