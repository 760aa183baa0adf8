# syntax=docker/dockerfile:1
# One image for every process; the command says which (see Procfile). Two targets:
#   docker build --target app   -t exchange .
#   docker build --target proxy -t exchange-proxy .
# Pin by digest for a build that nobody can change under you, e.g.
#   --build-arg PYTHON_IMAGE=python:3.12.12-slim-bookworm@sha256:...
ARG PYTHON_IMAGE=python:3.12.12-slim-bookworm
ARG NGINX_IMAGE=nginxinc/nginx-unprivileged:1.28.0-alpine3.21-slim

# --- dependencies: everything has wheels, so no compiler is needed here either ----------------
FROM ${PYTHON_IMAGE} AS dependencies
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
RUN python -m venv /opt/venv
# requirements-mongodb.txt for an image that speaks to MongoDB too.
ARG REQUIREMENTS=requirements.txt
COPY ${REQUIREMENTS} /tmp/requirements.txt
# The pinned list is complete: nothing that it does not name may come along.
RUN /opt/venv/bin/pip install --no-deps --only-binary :all: -r /tmp/requirements.txt \
    && /opt/venv/bin/pip check \
    && /opt/venv/bin/python -m compileall -q /opt/venv/lib \
    && /opt/venv/bin/pip uninstall --yes pip

# --- static files: collected once, served by the proxy ---------------------------------------
FROM dependencies AS static
WORKDIR /app
COPY . /app
RUN ENV_FILE=/dev/null VAR_DIR=/tmp/var LOG_DIR=- STATIC_DIR=/app/static \
    /opt/venv/bin/python manage.py collectstatic --no-input --verbosity 0 \
    && /opt/venv/bin/python -m compileall -q /app

# --- the processes ----------------------------------------------------------------------------
FROM ${PYTHON_IMAGE} AS app
LABEL org.opencontainers.image.title="exchange" \
      org.opencontainers.image.description="A cryptocurrency exchange: durable before acknowledged" \
      org.opencontainers.image.licenses="MIT"
RUN groupadd --system --gid 10001 exchange \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin exchange \
    && install -d -o exchange -g exchange -m 0700 /var/lib/exchange
COPY --from=dependencies /opt/venv /opt/venv
# Owned by root: the processes can read their code and nothing more.
COPY --from=static /app /app
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NODE_ENV=production \
    HOST=0.0.0.0 \
    PORT=3000 \
    VAR_DIR=/var/lib/exchange \
    STATIC_DIR=/app/static \
    LOG_DIR=- \
    ENV_FILE=/dev/null
WORKDIR /app
USER 10001:10001
EXPOSE 3000
STOPSIGNAL SIGTERM
# Of a process that listens; the others override it with their own (tools/alive.py).
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-I", "-S", "tools/alive.py", "--port", "3000"]
CMD ["python", "manage.py", "run_wsgi"]

# --- nginx with the configuration and the static files in it ---------------------------------
FROM ${NGINX_IMAGE} AS proxy
COPY --from=static /app/static /srv/static
COPY deploy/nginx/nginx.conf /etc/nginx/nginx.conf
COPY deploy/nginx/conf.d/ /etc/nginx/exchange/
USER 101:101
EXPOSE 8080 8443
STOPSIGNAL SIGQUIT
HEALTHCHECK --interval=10s --timeout=3s --retries=3 \
    CMD ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8080/nginx-health"]
