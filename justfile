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
    uv export --no-emit-project --no-dev --no-header --no-annotate > requirements.lock

# How many sends and webhooks the emulators carry (one JSON line).
bench-emulators *args:
    uv run python -m tests.bench.emulators {{ args }}

# Start-up time and idle memory of `inbox serve` (one JSON line).
bench-idle *args:
    uv run python -m tests.bench.idle {{ args }}

# Kill the service at every failpoint and count what is lost or doubled (one JSON line; `--long 150` for a long run).
crash-sweep *args:
    uv run python -m tests.crash.sweep {{ args }}
