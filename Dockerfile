# syntax=docker/dockerfile:1
# The product, and for --target stand-ins also the local stand-ins for Stripe and a carrier.
# Python's version is the one that the tests run on.
FROM python:3.11.16-slim-trixie AS base

FROM base AS build
WORKDIR /build
COPY requirements.lock ./
RUN python -m venv /venv && \
    /venv/bin/pip install --disable-pip-version-check --no-cache-dir \
        --only-binary :all: --require-hashes --requirement requirements.lock && \
    /venv/bin/pip uninstall --yes pip setuptools

FROM base AS product
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1
COPY --from=build /venv /venv
WORKDIR /app
COPY connection.py ending.py logs.py settings.py tracing.py worker.py ./
COPY domain ./domain
COPY workflows ./workflows
COPY activities ./activities
COPY adapters ./adapters
COPY database ./database
COPY emails ./emails
COPY api ./api
COPY commands ./commands
COPY deploy/image/fulfillment deploy/image/is-polling /usr/local/bin/
# The files stay root's: what runs here cannot change its own code.
RUN python -m compileall -q . && \
    useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin fulfillment
USER 10001:10001
EXPOSE 4242 9090
CMD ["fulfillment", "--help"]

FROM product AS stand-ins
USER 0
COPY local ./local
COPY stripe_emulator ./stripe_emulator
RUN install --directory --owner 10001 --group 10001 /data
USER 10001:10001

# What `docker build .` makes.
FROM product
