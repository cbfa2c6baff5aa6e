"""Pages to look at: that of the samples, and the same with hostile text in every field; and a browser."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from report.page import render
from warehouse.manifest import sealed, unsealed

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
HOSTILE = (
    """ "><script>alert(1)</script><img src=x onerror=alert(2)></style></script>'{{7*7}}"""
    "<svg/onload=alert(3)>"
)
WORDS = {  # columns whose values are words of ours, which the page compares
    "convention", "indicator", "verdict", "state", "kind", "basis", "interval", "volume_unit", "price_basis",
}  # fmt: skip


@pytest.fixture(scope="session")
def sample_page(sample_data: Path) -> Path:
    """The page that the run on the samples left behind."""
    return sample_data / "report" / "index.html"


@pytest.fixture(scope="session")
def hostile_page(sample_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the samples, with a hostile tail on every text that comes from outside."""
    home = tmp_path_factory.mktemp("hostile")
    shutil.copytree(sample_data / "published", home / "published", ignore=shutil.ignore_patterns("run=*"))
    with duckdb.connect(str(home / "published" / "latest.duckdb")) as con:
        con.execute("DELETE FROM mart.indicators WHERE asset NOT IN ('ETH', 'RUT')")
        con.execute("DELETE FROM raw.bars")  # the page does not read them, and there are many
        found = con.execute(
            "SELECT schema_name || '.' || table_name, column_name FROM duckdb_columns() "
            "WHERE data_type = 'VARCHAR' AND NOT internal "
            "AND (schema_name, table_name) IN (SELECT schema_name, table_name FROM duckdb_tables())"
        ).fetchall()
        for table, column in found:
            if column not in WORDS:
                con.execute(f'UPDATE {table} SET "{column}" = "{column}" || ?', [HOSTILE])
    pointer = home / "published" / "latest.json"
    content = unsealed(pointer)
    study = {**content["study"], "target": "ETH" + HOSTILE, "benchmark": "RUT" + HOSTILE}
    pointer.write_text(sealed({**content, "study": study, "run_id": content["run_id"] + HOSTILE}))
    return render(home)


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """Debian's chromium, without a window."""
    if not CHROMIUM:
        said = "chromium is not installed; apt-get install chromium"
        if os.environ.get("COMOVE_REQUIRE_ALL"):
            pytest.fail(said)
        pytest.skip(said)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


class Visit:
    """A page in the browser, with all that it said and asked for."""

    def __init__(self, page: "Page", path: Path) -> None:
        self.page = page
        self.said: list[str] = []
        self.asked: list[str] = []
        self.dialogs: list[str] = []
        page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("dialog", self._dismiss)
        page.goto(path.as_uri())
        page.locator(".chart.drawn").first.wait_for()

    def _dismiss(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def draw_all(self) -> None:
        """What printing does: draw also the charts that are far below."""
        self.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        for _ in range(600):
            if not self.page.locator(".chart:not(.drawn)").count():
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"charts were not drawn: {self.said}")


@pytest.fixture
def visit(browser: "Browser") -> Iterator[Callable[..., Visit]]:
    """Opens a page: `visit(path, width=1280, scheme="light")`."""
    contexts = []

    def open_page(path: Path, width: int = 1280, scheme: str = "light") -> Visit:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        return Visit(context.new_page(), path)

    yield open_page
    for context in contexts:
        context.close()
