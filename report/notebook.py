"""A notebook on the newest publication: `make explore`. Its data folder is COMOVE_DATA, or `data`."""

import marimo

app = marimo.App(width="medium", app_title="comove")


@app.cell
def _():
    import os
    from html import escape
    from pathlib import Path

    import marimo as mo

    from report import words
    from report.explorer import choices, pair_of, shown
    from warehouse.manifest import unsealed
    from warehouse.publish import POINTER
    from warehouse.reader import connect

    data = Path(os.environ.get("COMOVE_DATA", "data"))
    con = connect(data)
    pointer = unsealed(data / "published" / POINTER)
    known = choices(con)
    return con, escape, known, mo, pair_of, pointer, shown, words


@app.cell
def _(known, mo, pointer):
    study = pointer["study"]
    pairs = {
        f"{asset} and {benchmark}": (asset, benchmark)
        for asset, benchmark in known.select("asset", "benchmark").unique(maintain_order=True).rows()
    }
    own = f"{study['target']} and {study['benchmark']}"
    pair = mo.ui.dropdown(pairs, value=own if own in pairs else next(iter(pairs), None), label="pair")
    mo.md(f"# comove\n\nWhat run `{pointer['run_id']}` published, for any pair.")
    return pair, study


@app.cell
def _(known, mo, pair, study, words):
    asset, benchmark = pair.value or (study["target"], study["benchmark"])
    _of_pair = known.filter(asset=asset, benchmark=benchmark)
    _windows = [str(window) for window in _of_pair["window_sessions"].unique().sort()]
    _clocks = words.clocks(study["calendar"])
    _conventions = {word: name for name, word in _clocks.items() if name in _of_pair["convention"]}
    _usual = min(_windows, key=lambda window: abs(int(window) - 60), default=None)
    window = mo.ui.radio(_windows, value=_usual, label="window, in sessions", inline=True)
    convention = mo.ui.radio(
        _conventions, value=next(iter(_conventions), None), label="priced at", inline=True
    )
    mo.hstack([pair, window, convention], justify="start", gap=2)
    return asset, benchmark, convention, window


@app.cell
def _(asset, benchmark, con, convention, mo, pair_of, shown, study, window):
    mo.stop(window.value is None or convention.value is None, mo.md("No correlation has been published yet."))
    picked = pair_of(con, asset, benchmark, int(window.value), convention.value, study)
    panels = list(shown(con, picked))
    return (panels,)


@app.cell
def _(escape, mo, panels):
    def drawn(panel, charts):
        caption, rows = panel.table
        behind = {
            f"The figures. {caption}": mo.ui.table(rows, selection=None, page_size=12, show_download=False),
            "The SQL behind this": mo.plain_text(panel.sql),
        }
        parts = [mo.md(f"<h2>{escape(panel.title)}</h2>\n<p>{escape(panel.note)}</p>")]
        return mo.vstack([*parts, *(charts or [mo.md("No figures yet.")]), mo.accordion(behind)])

    mo.vstack([drawn(panel, charts) for panel, charts in panels], gap=3)


if __name__ == "__main__":
    app.run()
