"""Dashboards and alerts ask only for metrics and labels that the running service shows."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from api.flow import flowing
from inbox.domain.errors import Overloaded
from inbox.kit.breaker import Breakers
from inbox.main.upstreams import Upstreams
from inbox.ports.cache import Cache

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
SCRAPED = {"job", "instance", "process"}
"""Labels that Prometheus adds; `process` is in `prometheus.yml`."""
ITS_OWN = {"up": {"job", "instance", "process"}}
"""What Prometheus itself knows of a target."""
WORDS = {"sum", "max", "rate", "increase", "histogram_quantile", "time", "by", "and", "or", "absent"}
_SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)(\{[^}]*\})?")
_GROUPING = re.compile(r"\bby\s*\(([^)]*)\)")


def queries() -> list[tuple[str, str]]:
    """Every query, with where it stands."""
    found = []
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            found += [(f"{path.stem}: {panel['title']}", target["expr"]) for target in panel["targets"]]
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        found += [(rule["alert"], rule["expr"]) for rule in group["rules"]]
    return found


def parsed(query: str) -> tuple[dict[str, set[str]], set[str]]:
    """The metrics that a query names, each with the labels it is asked for, and the labels it groups by."""
    grouped = {label.strip() for labels in _GROUPING.findall(query) for label in labels.split(",")}
    rest = re.sub(r"\[[^\]]*\]", "", _GROUPING.sub("", query))
    named: dict[str, set[str]] = {}
    for name, selector in _SELECTOR.findall(rest):
        if name not in WORDS:
            named.setdefault(name, set()).update(re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', selector))
    return named, grouped


async def _call(outcome: str) -> str:
    if outcome != "ok":
        raise Overloaded("full")
    return outcome


@pytest.fixture
async def shown(applications, settings, database_url, engine, tmp_path) -> dict[str, set[str]]:
    """The names on the page after some traffic, each with its labels."""
    async with flowing(applications, settings, database_url, engine, tmp_path) as flow:
        upstreams = await flow.container.get(Upstreams)
        client, guard = upstreams.gemini_client(), upstreams.gemini_guard()
        await guard.call(lambda: _call("ok"), on_timeout=Overloaded)
        with pytest.raises(Overloaded):
            await guard.call(lambda: _call("full"), on_timeout=Overloaded)
        (await flow.container.get(Breakers)).trip("gemini")
        await flow.customer_writes("Bonjour")
        await flow.until("select 1 from outbox where state = 'accepted'")
        await flow.client.get("/webhook/whatsapp?hub.mode=subscribe&hub.verify_token=x")
        await (await flow.container.get(Cache)).fetch("user:1", lambda: _call("ok"), tags=[], ttl=60.0)
        text = await flow.page()
        await client.aclose()
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


async def test_every_query_names_metrics_and_labels_that_are_there(shown):
    asked = queries()
    assert len(asked) > 60
    for where, query in asked:
        named, grouped = parsed(query)
        assert named, where
        known = {name: labels | SCRAPED for name, labels in shown.items()} | ITS_OWN
        for name, labels in named.items():
            assert name in known, f"{where}: {name} is not on the page"
            assert labels <= known[name], f"{where}: {name} has no {labels - known[name]}"
        assert grouped <= set().union(*(known[name] for name in named)), f"{where}: {grouped}"


def test_a_query_that_names_something_else_would_be_found():
    named, grouped = parsed('sum by (le, kind) (rate(inbox_x_bucket{a="1", b!~"c"}[5m])) / time() > 0.5')
    assert named == {"inbox_x_bucket": {"a", "b"}}
    assert grouped == {"le", "kind"}


def test_gauges_of_the_shared_database_are_never_added_up_over_processes():
    shared = ("inbox_queue_", "inbox_queues_", "inbox_backlog", "inbox_silent_")
    for where, query in queries():
        for name in parsed(query)[0]:
            if name.startswith(shared):
                assert re.search(rf"max(?: by \([^)]*\))? ?\({name}", query), where


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_have_ids_of_their_own_and_ask_the_provisioned_source(path):
    dashboard = json.loads(path.read_text())
    sources = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids)) > 0
    asked = {target["datasource"]["uid"] for panel in dashboard["panels"] for target in panel["targets"]}
    assert asked == {source["uid"] for source in sources}


def promtool(*arguments: str) -> None:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed (Debian: package prometheus)")
    done = subprocess.run([program, *arguments], cwd=DEPLOY / "prometheus", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("command", [["rules", "alerts.yml"], ["config", "prometheus.yml"]], ids=lambda c: c[0])
def test_promtool_has_nothing_to_say_against_it(command):
    promtool("check", *command)


HANGS = {'inbox_circuit_state{circuit="gemini"}': "2 2 1 2 2 2 2 1 " * 10}
"""60 s open, then a trial that times out, scraped each 15 s."""


def calls(**outcomes: str) -> dict[str, str]:
    """Calls to WhatsApp, some of them successful."""
    name = 'inbox_upstream_calls_total{{name="whatsapp",outcome="{}"}}'
    return {name.format(outcome): values for outcome, values in {"ok": "0+1x80", **outcomes}.items()}


@pytest.mark.parametrize(
    ("alert", "series", "labels"),
    [
        ("InboxCircuitOpen", HANGS | {'inbox_circuit_rejections_total{circuit="gemini"}': "0+1x80"}, ["gemini"]),
        ("InboxCircuitOpen", HANGS | {'inbox_circuit_rejections_total{circuit="gemini"}': "7+0x80"}, []),
        ("InboxProcessDown", {'up{job="backend",process="web"}': "1+0x80"}, ["worker"]),
        ("InboxProcessDown", {f'up{{job="backend",process="{name}"}}': "1+0x80" for name in ("web", "worker")}, []),
        ("InboxUpstreamErrors", calls(Refused="0+9x80"), []),
        ("InboxUpstreamErrors", calls(AccountProblem="0+9x80"), ["whatsapp"]),
    ],
    ids=["hangs", "nobody calls", "a process is gone", "all is well", "recipients are refused", "a token is dead"],
)
def test_an_alert_tells_what_happened_and_nothing_else(tmp_path, alert, series, labels):
    rule = next(
        rule for g in yaml.safe_load(ALERTS.read_text())["groups"] for rule in g["rules"] if rule["alert"] == alert
    )
    promtool("test", "rules", str(write_alert_test(tmp_path / "test.yml", rule, series, labels)))


def write_alert_test(path: Path, rule: dict, series: dict[str, str], labels: list[str]) -> Path:
    """Does the alert fire after 20 minutes for these values, and no other, of the label that its summary names?"""
    (label,) = re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])
    fired = []
    for value in labels:
        summary = re.sub(r"\{\{.*?\}\}", value, rule["annotations"]["summary"])
        of_target = {"job": "backend"} if label == "process" else {}
        fired.append(
            {"exp_labels": {label: value} | of_target | rule["labels"], "exp_annotations": {"summary": summary}}
        )
    case = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values.strip()} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": "20m", "alertname": rule["alert"], "exp_alerts": fired}],
    }
    path.write_text(json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": "15s", "tests": [case]}))
    return path
