import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from inbox.domain.errors import CircuitOpen
from inbox.kit.breaker import Breakers, Circuit
from inbox.kit.telemetry import Metrics, configure

USEFUL = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0"]
CANARY = "C4NARYc4naryC4NARYc4nary"


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    talkative = {
        name: logging.getLogger(name).level for name in ("httpx", "httpcore", "aiohttp.client", "aiohttp.access")
    }
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in talkative.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(capfd: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capfd.readouterr().err.splitlines()]


def fail(message: str) -> None:
    raise ValueError(message)


# --- logs -------------------------------------------------------------------------------------------------------------


def test_a_line_is_one_json_object_with_time_level_and_context(capfd: pytest.CaptureFixture[str]) -> None:
    configure()
    structlog.contextvars.bind_contextvars(request_id="r1")
    structlog.get_logger().info("stored", count=3)
    [line] = lines(capfd)
    assert line.pop("timestamp")
    assert line == {"event": "stored", "level": "info", "count": 3, "request_id": "r1"}


def test_the_standard_librarys_loggers_take_the_same_way(capfd: pytest.CaptureFixture[str]) -> None:
    configure()
    logging.getLogger("some.library").warning("call with access_token=%s failed", CANARY)
    [line] = lines(capfd)
    assert (line["logger"], line["level"], line["event"]) == (
        "some.library",
        "warning",
        "call with access_token=*** failed",
    )


@pytest.mark.parametrize("as_json", [True, False])
def test_no_canary_comes_out_by_any_way(capfd: pytest.CaptureFixture[str], *, as_json: bool) -> None:
    configure("DEBUG", json=as_json)
    log = structlog.get_logger()
    foreign = logging.getLogger("foreign")
    structlog.contextvars.bind_contextvars(token=CANARY)
    log.info("x", text=CANARY, headers={"Authorization": f"Bearer {CANARY}"}, request=[{"body": CANARY}])
    event = f"Bearer {CANARY}"
    log.info(event)
    foreign.info("hello %s", f"EAAG{CANARY}")
    foreign.info("hello %(text)s", {"text": f"?key={CANARY}"})
    try:
        fail(f"password={CANARY}")
    except ValueError:
        log.exception("failed")
        foreign.exception("failed")
    written = capfd.readouterr().err
    assert written.count("ValueError") >= 2
    assert CANARY not in written


@pytest.mark.parametrize("as_json", [True, False])
def test_a_name_cannot_begin_a_line_of_its_own_or_move_the_cursor(
    capfd: pytest.CaptureFixture[str], *, as_json: bool
) -> None:
    configure(json=as_json)
    structlog.get_logger().info("a\r\nb", contact='x\n{"event":"forged"}\x1b[2J\u2028')
    logging.getLogger("foreign").info("a\nb\x1b[2J")
    written = capfd.readouterr().err
    assert len(written.splitlines()) == 2
    assert "\x1b" not in written


def test_at_a_terminal_what_is_wrong_has_a_colour_and_nothing_else_does(capfd: pytest.CaptureFixture[str]) -> None:
    configure(json=False, colours=True)
    structlog.get_logger().info("fine")
    structlog.get_logger().warning("odd", contact="\x1b[2J")
    logging.getLogger("foreign").error("broken")
    fine, odd, broken = capfd.readouterr().err.splitlines()
    assert "\x1b" not in fine
    assert odd.startswith("\x1b[33m")
    assert odd.count("\x1b") == 2
    assert broken.startswith("\x1b[31m")


def test_text_that_is_no_unicode_is_still_logged(capfd: pytest.CaptureFixture[str]) -> None:
    configure()
    structlog.get_logger().info("x", name_of="\ud800", number=2**80)
    assert lines(capfd)[0]["name_of"] == "?"


def test_the_level_is_respected_and_libraries_that_log_urls_are_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    configure("INFO")
    structlog.get_logger().debug("hidden")
    logging.getLogger("anything").debug("hidden")
    for name in ("httpx", "httpcore.http11", "aiohttp.client"):
        logging.getLogger(name).info("HTTP Request: GET https://x/?hash=1")
    assert lines(capfd) == []
    logging.getLogger("httpx").warning("shown")
    assert [line["event"] for line in lines(capfd)] == ["shown"]


def test_an_unknown_level_is_an_error() -> None:
    with pytest.raises(KeyError):
        configure("LOUD")


# --- metrics ----------------------------------------------------------------------------------------------------------


def page(metrics: Metrics) -> str:
    return metrics.render()[0].decode()


def test_requests_are_counted_under_the_names_that_dashboards_use() -> None:
    metrics = Metrics()
    metrics.request("/messages/{conversation_id}", "GET", 204, 0.3, (10, 200))
    text = page(metrics)
    route = 'handler="/messages/{conversation_id}"'
    for expected in (
        f'http_requests_total{{{route},method="GET",status="2xx"}} 1.0',
        f"http_request_size_bytes_sum{{{route}}} 10.0",
        f"http_response_size_bytes_sum{{{route}}} 200.0",
        f'http_request_duration_seconds_count{{{route},method="GET"}} 1.0',
        'http_request_duration_highr_seconds_bucket{le="0.5"} 1.0',
        "python_info{",
        "process_open_fds ",
    ):
        assert expected in text
    buckets = [line for line in text.splitlines() if "request_duration_seconds_bucket{" in line]
    assert [line.split('le="')[1].split('"')[0] for line in buckets] == [*USEFUL, "+Inf"]
    counts = {line.split('le="')[1].split('"')[0]: line.rsplit(" ", 1)[1] for line in buckets}
    assert [counts[edge] for edge in ("0.1", "0.5", "1.0", "+Inf")] == ["0.0", "1.0", "1.0", "1.0"]


def test_unknown_routes_and_the_page_itself_are_not_counted() -> None:
    metrics = Metrics()
    for handler in ("", "/metrics"):
        metrics.request(handler, "GET", 404, 0.1, (0, 0))
        with metrics.in_progress(handler, "GET"):
            pass
    assert "http_requests_total{" not in page(metrics)
    assert "http_requests_inprogress{" not in page(metrics)


def test_an_invented_method_makes_no_series_of_its_own() -> None:
    metrics = Metrics()
    for place in range(100):
        metrics.request("/health", f"X{place}", 405, 0.1, (0, 0))
    assert page(metrics).count("http_requests_total{") == 1


def test_requests_in_progress_go_up_and_down_also_after_an_error() -> None:
    metrics = Metrics()
    series = 'http_requests_inprogress{handler="/health",method="GET"}'
    during: list[str] = []

    def answer() -> None:
        with metrics.in_progress("/health", "GET"):
            during.append(page(metrics))
            fail("x")

    with pytest.raises(ValueError, match="x"):
        answer()
    assert f"{series} 1.0" in during[0]
    assert f"{series} 0.0" in page(metrics)


def test_business_metrics() -> None:
    metrics = Metrics()
    metrics.upstream("graph", "WhatsAppTimeout", 1.5)
    metrics.work("ingest", "done", 0.01)
    metrics.delivery("stored", 3)
    metrics.pipeline.queue("send", 3, 4.5)
    text = page(metrics)
    assert 'inbox_upstream_calls_total{name="graph",outcome="WhatsAppTimeout"} 1.0' in text
    assert 'inbox_upstream_call_duration_seconds_count{name="graph"} 1.0' in text
    assert 'inbox_work_total{kind="ingest",outcome="done"} 1.0' in text
    assert 'inbox_deliveries_total{outcome="stored"} 3.0' in text
    assert 'inbox_queue_age_seconds{kind="send"} 4.5' in text


def test_what_an_open_circuit_refuses_is_counted_but_no_retry_and_no_fast_call() -> None:
    metrics = Metrics()
    metrics.upstream("graph", "WhatsAppTimeout", 7.0)
    metrics.upstream("graph", "CircuitOpen", 0.0, 2)
    text = page(metrics)
    assert 'inbox_upstream_calls_total{name="graph",outcome="CircuitOpen"} 1.0' in text
    assert 'inbox_upstream_retries_total{name="graph"} 0.0' in text
    assert 'inbox_upstream_call_duration_seconds_count{name="graph"} 1.0' in text


def test_circuits_report_their_changes() -> None:
    metrics = Metrics()
    breakers = Breakers([Circuit(name="gemini", threshold=1, stays_open=60)], on_change=metrics.circuit)
    metrics.gauges.circuits = breakers.inspect
    assert 'inbox_circuit_state{circuit="gemini"} 0.0' in page(metrics)
    breakers.trip("gemini")
    with pytest.raises(CircuitOpen), breakers.guard("gemini", lambda _: True):
        pass
    text = page(metrics)
    assert 'inbox_circuit_state{circuit="gemini"} 2.0' in text
    assert 'inbox_circuit_changes_total{circuit="gemini",state="open"} 1.0' in text
    assert 'inbox_circuit_rejections_total{circuit="gemini"} 1.0' in text


def test_two_processes_in_one_do_not_share_a_registry() -> None:
    first, second = Metrics(), Metrics()
    first.delivery("stored")
    assert 'inbox_deliveries_total{outcome="stored"} 1.0' in page(first)
    assert 'inbox_deliveries_total{outcome="stored"} 0.0' in page(second)
    assert first.render()[1].startswith("text/plain")
