"""What the documents show and no test of them runs: the command, or a block's first line, and why."""

SUITE = "it is this suite"
INDEX = "it asks the package index; the public CI runs it"
LIVE = "it asks live providers; tests/flows/sources does so on loopback"
STAYS = "it runs until it is stopped; tests/flows/test_serve.py starts and stops it"
SECRET = "it sets what the reader has to choose"
FAULTS = "tests/faults is a part of this suite"
URL = "postgresql+asyncpg://prefect:SECRET@127.0.0.1/prefect"
SERVER = "it changes the machine: a database server, a service, a package"

NOT_RUN: dict[str, str] = {
    "make test": SUITE,
    "make check": SUITE,
    "make lock": INDEX,
    "make lock-check": INDEX,
    ".venv/bin/pre-commit install": "it changes the reader's own clone; test_habits.py looks at the hooks",
    "git pull && make test": SUITE,
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
}
