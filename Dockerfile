# Both stages need the same Python: any Debian or Ubuntu with Python 3.11 or newer, its venv module and useradd will do.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
WORKDIR /src
COPY requirements/dev.lock requirements/dev.lock
COPY pyproject.toml README.md LICENSE ./
COPY exporter exporter
# The lock also names what the tests use; as constraints it only pins what the exporter itself needs. Its modules are compiled
# here, for nobody can do so later. Out goes what runs in no container: installers, and the tests of libraries.
RUN python3 -m venv /opt/exporter \
    && /opt/exporter/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
       --constraint requirements/dev.lock . \
    && /opt/exporter/bin/python -m pip uninstall --yes --disable-pip-version-check setuptools pip \
    && find /opt/exporter/lib -depth -type d -name tests -exec rm -r {} +
COPY deploy/image/healthcheck.py /opt/exporter/healthcheck.py

FROM ${BASE}
ARG BASE
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="openstack-migration-exporter" \
      org.opencontainers.image.description="Prometheus exporter for the migrations of OpenStack Nova" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}"
# The group 0 is for platforms that choose a user of their own, who is in it. The installers of the base go as well.
RUN useradd --uid 10001 --user-group --no-log-init --create-home --shell /usr/sbin/nologin exporter \
    && install --directory --owner=10001 --group=0 --mode=0770 /var/lib/openstack-migration-exporter \
    && find /usr -xdev -depth \( -path '*/bin/pip*' -o -path '*-packages/pip' -o -path '*-packages/pip-*' \
       -o -name ensurepip -o -name 'pip-*.whl' -o -name 'setuptools-*.whl' \) -exec rm -r {} +
COPY --from=build /opt/exporter /opt/exporter
ENV OPENSTACK_MIGRATION_EXPORTER_REVISION="${REVISION}" \
    STATE_DIRECTORY=/var/lib/openstack-migration-exporter \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# A number, so that an orchestrator can see that it is not root.
USER 10001:10001
WORKDIR /home/exporter
# The only place that is written to: all else may be read-only.
VOLUME /var/lib/openstack-migration-exporter
EXPOSE 19180
# It finds out port and TLS by itself.
HEALTHCHECK --interval=30s --timeout=10s --start-period=15s --retries=3 \
    CMD ["/opt/exporter/bin/python", "/opt/exporter/healthcheck.py"]
# In the entry point, not in CMD: further flags and subcommands are added to it. A later flag wins over an earlier one.
ENTRYPOINT ["/opt/exporter/bin/openstack-migration-exporter", "--web.listen-address=0.0.0.0:19180"]
