# Both stages need the same Python; any image with Python 3.11 or newer, its venv module and useradd will do.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
WORKDIR /src
COPY requirements/dev.lock requirements/dev.lock
COPY pyproject.toml README.md LICENSE ./
COPY exporter exporter
# The lock also names what the tests use; as constraints it only pins what the exporter itself needs.
RUN python3 -m venv /opt/exporter \
    && /opt/exporter/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
       --constraint requirements/dev.lock . \
    && /opt/exporter/bin/python -m pip uninstall --yes --disable-pip-version-check pip

FROM ${BASE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="openstack-migration-exporter" \
      org.opencontainers.image.description="Prometheus exporter for the migrations of OpenStack Nova" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN useradd --uid 10001 --user-group --no-log-init --create-home --shell /usr/sbin/nologin exporter
COPY --from=build /opt/exporter /opt/exporter
ENV OPENSTACK_MIGRATION_EXPORTER_REVISION="${REVISION}" \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# A number, so that an orchestrator can see that it is not root.
USER 10001:10001
WORKDIR /home/exporter
EXPOSE 19180
# No urllib: it would ask the proxy of the environment.
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s --retries=3 \
    CMD ["/opt/exporter/bin/python", "-c", "import http.client, sys; connection = http.client.HTTPConnection('127.0.0.1', 19180, timeout=4); connection.request('GET', '/-/healthy'); sys.exit(connection.getresponse().status != 200)"]
# In the entry point, not in CMD: further flags and subcommands are added to it. A later flag wins over an earlier one.
ENTRYPOINT ["/opt/exporter/bin/openstack-migration-exporter", "--web.listen-address=0.0.0.0:19180"]
