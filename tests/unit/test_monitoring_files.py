"""What monitoring is configured with fits together: ports, dashboards, alerts and what is written about them."""

import copy
import json
import re

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.generate import BOARDS, HERE, text
from parley.shared.config import Config
from tests.support.nodes import HTTP_PORTS, ROOT
from tests.support.typed import faults

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
PROMETHEUS = ROOT / "deploy" / "prometheus"
ALERTS = [
    rule
    for group in yaml.safe_load((PROMETHEUS / "rules" / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
UNITS = {"short", "s", "ops", "pps", "bytes", "percentunit"}


def panels():
    for name in BOARDS:
        for panel in json.loads((HERE / f"{name}.json").read_text())["panels"]:
            yield pytest.param(panel, id=f"{name}: {panel['title']}")


@pytest.mark.parametrize("name", list(BOARDS))
def test_the_committed_dashboards_are_the_generated_ones(name):
    assert (HERE / f"{name}.json").read_text() == text(name), "run `make dashboards`"


@pytest.mark.parametrize("name", list(BOARDS))
def test_the_dashboards_are_what_grafanas_schema_has(name):
    assert misfits(json.loads((HERE / f"{name}.json").read_text())) == []


def misfits(written):
    """What does not fit Grafana's schema.

    Read as its types, each value must be of the type that is written there; and written again, nothing may be lost,
    as what is misplaced or misspelt would be. Defaults are added meanwhile.
    """
    register_default_plugins()
    read = Dashboard.from_json(copy.deepcopy(written))
    return faults(read) + list(lost(written, json.loads(JSONEncoder().encode(read))))


def lost(part, whole, where="$"):
    """What of `part` is not in `whole`, at its place."""
    if isinstance(part, dict) and isinstance(whole, dict):
        for key, value in part.items():
            yield from lost(value, whole[key], f"{where}.{key}") if key in whole else [f"{where}.{key}: lost"]
    elif isinstance(part, list) and isinstance(whole, list) and len(part) == len(whole):
        for number, (one, other) in enumerate(zip(part, whole, strict=True)):
            yield from lost(one, other, f"{where}.{number}")
    elif part != whole:
        yield f"{where}: {part!r} becomes {whole!r}"


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (["title"], 5),
        (["refresh"], ["5s"]),
        (["editable"], "no"),
        (["timeSettings"], "misspelt"),
        (["panels", 0, "gridPos", "w"], "4"),
        (["panels", 0, "legend"], "misplaced"),
        (["panels", 0, "fieldConfig", "defaults", "unit"], 5),
        (["panels", 0, "fieldConfig", "defaults", "thresholds", "mode"], "relative"),
        (["panels", 0, "fieldConfig", "defaults", "thresholds", "steps", 0, "color"], 0),
        (["panels", 0, "options", "graphMode"], "pie"),
        (["panels", 0, "targets", 0, "expression"], "up"),
        (["panels", 0, "targets", 0, "range"], "yes"),
        (["panels", 6, "transformations", 0, "id"], None),
        (["panels", 6, "transformations", 0, "options_"], {}),
        (["panels", 8, "options", "legend", "placement"], "left"),
        (["panels", 8, "fieldConfig", "defaults", "custom", "lineWidth"], "thin"),
        (["templating", "list", 1, "refresh"], 7),
        (["templating", "list", 1, "multi"], "all"),
    ],
    ids=lambda each: ".".join(map(str, each)) if isinstance(each, list) else "",
)
def test_what_does_not_fit_grafanas_schema_is_found(place, value):
    written = json.loads((HERE / "federation.json").read_text())
    *way, last = place
    inner = written
    for key in way:
        inner = inner[key]
    inner[last] = value
    assert misfits(written) != []


def test_the_dashboards_have_names_of_their_own():
    boards = [json.loads((HERE / f"{name}.json").read_text()) for name in BOARDS]
    assert len({board["uid"] for board in boards}) == len(boards)
    assert {path.stem for path in HERE.glob("*.json")} == set(BOARDS)
    for board in boards:
        assert {variable["name"] for variable in board["templating"]["list"]} == {"datasource", "server", "feature"}


@pytest.mark.parametrize("panel", list(panels()))
def test_each_panel_says_what_it_shows(panel):
    assert len(panel["description"]) > 10
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["unit"] in UNITS
    if panel["type"] == "timeseries":
        assert panel["options"]["legend"]["showLegend"]
        assert all(target["legendFormat"] not in ("", "__auto") for target in panel["targets"])
    if panel["type"] != "heatmap":
        assert defaults["thresholds"]["steps"][0]["color"] == "green"


@pytest.mark.parametrize("alert", ALERTS, ids=[rule["alert"] for rule in ALERTS])
def test_each_alert_says_what_to_do(alert):
    notes = alert["annotations"]
    assert len(notes["runbook"]) > 40
    assert alert["labels"]["severity"] in {"critical", "warning"}
    page, _, anchor = notes["runbook_url"].partition("#")
    headings = re.findall(r"^### (\w+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert anchor in {heading.lower() for heading in headings}
    tests = (PROMETHEUS / "tests" / "alerts.yml").read_text()
    assert alert["alert"] in tests, "it has no unit test"


def test_no_alert_is_written_about_that_there_is_not():
    headings = re.findall(r"^### (\w+)$", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE)
    assert set(headings) == {rule["alert"] for rule in ALERTS}


def test_prometheus_looks_for_every_process_of_every_node():
    jobs = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]
    (job,) = [job for job in jobs if job["job_name"] == "parley"]
    found = {name: entry["port"] for entry in job["dns_sd_configs"] for name in entry["names"]}
    config = Config()
    assert found == HTTP_PORTS == {service: getattr(config, service).http_port for service in HTTP_PORTS}
    assert {entry["type"] for entry in job["dns_sd_configs"]} == {"A"}
    assert found.keys() <= COMPOSE["services"].keys()


@pytest.mark.parametrize("service", ["prometheus", "grafana"])
def test_monitoring_is_brought_up_by_its_profile_alone(service):
    entry = COMPOSE["services"][service]
    assert entry["profiles"] == ["monitoring"]
    assert all(port.startswith("127.0.0.1:") for port in entry["ports"]), "reached from this machine alone"
    for volume in entry["volumes"]:
        source, target, *_ = volume.split(":")
        assert not source.startswith("./") or (ROOT / source).exists(), target


def provisioned(what):
    return yaml.safe_load((ROOT / "deploy" / "grafana" / "provisioning" / what / "parley.yml").read_text())


def test_grafana_needs_no_login_and_reads_what_is_mounted():
    grafana = COMPOSE["services"]["grafana"]
    assert grafana["environment"]["GF_AUTH_ANONYMOUS_ENABLED"] == "true"
    mounted = {volume.split(":")[1] for volume in grafana["volumes"]}
    provider = yaml.safe_load((ROOT / "deploy/grafana/provisioning/dashboards/parley.yml").read_text())[
        "providers"
    ][0]
    assert provider["options"]["path"] in mounted
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/federation.json"
    source = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/parley.yml").read_text())[
        "datasources"
    ][0]
    assert source["url"] == "http://prometheus:9090"


@pytest.mark.parametrize("service", list(HTTP_PORTS))
def test_the_health_checks_ask_for_readiness(service):
    assert COMPOSE["services"][service]["healthcheck"]["test"][-1] == str(HTTP_PORTS[service])
    assert "/readyz" in (ROOT / "deploy" / "ready.py").read_text()
