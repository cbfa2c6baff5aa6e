# docker build -t comove .
# docker run -v comove:/data comove python -m flows.refresh --universe samples/universe.toml --data /data
# `make serve` binds to loopback and so is of no use inside a container without --network host; to run on
# Prefect's schedule, give deployments and worker the address of a server (see docs/operations.md):
# docker run -e PREFECT_API_URL=http://prefect:4200/api comove python -m flows.serve deploy
# docker run -v comove:/data -e PREFECT_API_URL=http://prefect:4200/api comove \
#   python -m prefect worker start --pool comove --type process
FROM python:3.11-slim
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 DO_NOT_TRACK=1 PREFECT_SERVER_ANALYTICS_ENABLED=false \
    PREFECT_HOME=/data/prefect COMOVE_DATA=/data PREFECT_FLOWS_HEARTBEAT_FREQUENCY=30
WORKDIR /comove
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements.lock
# the deployments write to `data`, which is the volume
RUN useradd --create-home --uid 10001 comove && mkdir /data && chown comove /data && ln -s /data data
COPY --chown=comove . .
USER comove
VOLUME /data
CMD ["python", "-m", "flows.refresh", "--universe", "universe.toml", "--data", "/data"]
