# syntax=docker/dockerfile:1

FROM python:3.13-slim AS build
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
RUN pip install --no-cache-dir uv
WORKDIR /src
COPY requirements.lock ./
RUN uv venv /opt/inbox && VIRTUAL_ENV=/opt/inbox uv pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE alembic.ini ./
COPY alembic ./alembic
COPY src ./src
RUN VIRTUAL_ENV=/opt/inbox uv pip install --no-deps .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home inbox && install -d -o inbox -g inbox /data
COPY --from=build /opt/inbox /opt/inbox
ENV PATH=/opt/inbox/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 INBOX_DATA_DIR=/data
VOLUME /data
USER 10001
WORKDIR /tmp
EXPOSE 8000
ENTRYPOINT ["inbox"]
CMD ["serve"]
