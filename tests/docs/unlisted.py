"""What the documents show and no test of them runs: a command, a query or a block's first line, and why."""

SUITE = "it is this suite"
INDEX = "it asks the package index"
LIVE = "it asks live providers; tests/flows/sources does so on loopback"
STAYS = "it runs until it is stopped; tests/flows/test_serve.py starts and stops it"
SECRET = "it sets what the reader has to choose"
FAULTS = "tests/faults is a part of this suite"
DEPLOYS = "it needs a running server; tests/flows/test_served.py has one and deploys to it"
HOURS = "it measures for many minutes; its figures are for people"
URL = "postgresql+asyncpg://prefect:SECRET@127.0.0.1/prefect"
SERVER = "it changes the machine: a database server, a service, a package"

NOT_RUN: dict[str, str] = {
    "make test": SUITE,
    "make check": SUITE,
    "make lock": INDEX,
    "make lock-check": INDEX,
    ".venv/bin/pre-commit install": "it changes the reader's own clone; test_habits.py looks at the hooks",
    "git pull && make test": SUITE,
    "make live DATA=live": LIVE,
    "make live": LIVE,
    "make serve": STAYS,
    "createdb prefect": SERVER,
    "pip install asyncpg": SERVER,
    f"export PREFECT_API_DATABASE_CONNECTION_URL={URL}": SECRET,
    "python -m prefect server database upgrade -y": SERVER,
    'export PREFECT_SERVER_API_AUTH_STRING="comove:SECRET"': SECRET,
    'export PREFECT_API_AUTH_STRING="comove:SECRET"': SECRET,
    'export PREFECT_SERVER_CORS_ALLOWED_ORIGINS="https://prefect.example.org"': SECRET,
    "python -m prefect server start --host 0.0.0.0": STAYS,
    "COMOVE_KILLS=200 COMOVE_KILLS_TO=kills.json python -m pytest tests/faults/test_random_kills.py": FAULTS,
    "python -m pytest tests/faults tests/warehouse/test_compact.py tests/warehouse/test_backup.py": FAULTS,
    "python -m pytest tests/flows/test_served.py tests/flows/test_split.py": SUITE,
    "COMOVE_WRITE_DOCS=1 .venv/bin/python -m pytest -q tests/docs/test_questions.py": SUITE,
    "from prefect.blocks.notifications import SlackWebhook": "it saves a secret in the reader's Prefect",
    # in the running text
    "make lock UPGRADE=1": INDEX,
    "make bench": HOURS,
    "python -m bench.scaling": HOURS,
    "make explore": "it runs until it is stopped; tests/report/test_explorer.py starts and stops it",
    "make picture": "it wants Chromium; tests/docs/test_spoken.py draws it where that is",
    "git apply FILE": "each diff is applied, by tests/docs/follow.py",
    "duckdb -readonly data/published/latest.duckdb": "DuckDB's own command line is no Python package",
    "SELECT * FROM read_text('/etc/passwd')": "it is refused, which tests/warehouse/test_reader.py looks at",
    "pip install duckdb-engine": INDEX,
    "pip install -e .[lake]": INDEX,
    "export FRED_API_KEY=...": SECRET,
    ".venv/bin/python -m flows.backfill --since 2019-01-01 --asset SOL": LIVE,
    ".venv/bin/python -m flows.backfill --since 2019-01-01 --asset ETH": LIVE,
    "python -m prefect deployment run backfill/backfill -p since=2024-01-01": DEPLOYS,
    ".venv/bin/python -m flows.serve deploy": DEPLOYS,
    "PREFECT_API_URL=http://127.0.0.1:4200/api .venv/bin/python -m flows.serve deploy": DEPLOYS,
    "prefect deploy": "it is what the page warns of",
    "prefect work-pool inspect comove": DEPLOYS,
    "COMOVE_NOTIFY=slack-webhook/alerts make serve": STAYS,
    "COMOVE_PORT=4201 make serve": STAYS,
    "docker build -t comove .": "it needs Docker; tests/docs/test_image.py reads the Dockerfile",
}
