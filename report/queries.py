"""The question behind each panel of the page, in SQL on the published tables; the page shows it as it ran.

Parameters: $asset and $benchmark (the study's pair), $window (its main window), $convention (when prices are
taken), $since (first session shown).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

import polars as pl

from warehouse.place import literal

PAIR = "asset = $asset AND benchmark = $benchmark"

HEADLINE = f"""
SELECT headline, session, window_sessions, r, lo95, hi95, verdict, regime, regime_since,
  state, reason, conditions_met, link, momentum, volume, breadth, liquidity, breakout
FROM mart.page_as_of
WHERE {PAIR} AND r IS NOT NULL
ORDER BY session DESC LIMIT 1
"""

NAMES = "SELECT DISTINCT asset, name, kind FROM core.listings ORDER BY asset"  # mart.assets have prices

TODAY = f"""
SELECT convention, window_sessions, session, r, lo95, hi95, verdict, spearman, beta, partial_r, controls
FROM mart.link_today
WHERE {PAIR}
ORDER BY convention, window_sessions
"""

CHANGES = f"""
SELECT what, session_before, session, before, after
FROM mart.changed_since_yesterday
WHERE {PAIR}
ORDER BY what
"""

LINK = f"""
SELECT session, r, lo95, hi95, verdict
FROM mart.correlations
WHERE {PAIR} AND convention = $convention AND window_sessions = $window AND session >= $since
ORDER BY session
"""

REGIMES = f"""
SELECT since, coalesce(until, (SELECT max(session) FROM mart.correlations)) AS until, state, sessions
FROM mart.regimes
WHERE {PAIR} AND window_sessions = $window AND coalesce(until, $since) >= $since
  AND $convention = 'session_close'
ORDER BY since
"""

WINDOWS = f"""
SELECT window_sessions, session, r, lo95, hi95
FROM mart.correlations
WHERE {PAIR} AND convention = $convention AND window_sessions <> $window AND session >= $since
ORDER BY window_sessions, session
"""

CONVENTIONS = f"""
SELECT session,
  max(r) FILTER (convention = 'session_close') AS session_close,
  max(r) FILTER (convention = 'utc_day') AS utc_day,
  max(lo95) FILTER (convention = 'session_close') AS session_close_lo95,
  max(hi95) FILTER (convention = 'session_close') AS session_close_hi95,
  max(lo95) FILTER (convention = 'utc_day') AS utc_day_lo95,
  max(hi95) FILTER (convention = 'utc_day') AS utc_day_hi95
FROM mart.correlations
WHERE {PAIR} AND window_sessions = $window
GROUP BY session
HAVING count(r) = 2
ORDER BY session DESC LIMIT 500
"""

OVERLAY = """
WITH pair AS (
  SELECT session, a.rebased AS target, b.rebased AS benchmark
  FROM mart.normalized a JOIN mart.normalized b USING (convention, session)
  WHERE a.asset = $asset AND b.asset = $benchmark AND convention = $convention AND session >= $since
    AND a.rebased IS NOT NULL AND b.rebased IS NOT NULL
)
SELECT session,
  100 * target / first_value(target) OVER in_time AS target,
  100 * benchmark / first_value(benchmark) OVER in_time AS benchmark
FROM pair WINDOW in_time AS (ORDER BY session) ORDER BY session
"""

MOMENTUM = """
SELECT session, asset, rsi_14, 100 * macd_hist / close AS macd_hist_pct
FROM mart.indicators_wide JOIN core.closes USING (asset, convention, session)
WHERE asset IN ($asset, $benchmark) AND convention = $convention AND rsi_14 IS NOT NULL
  AND session > (SELECT max(session) - 365 FROM mart.signals)
ORDER BY session, asset
"""

BREADTH = """
SELECT session, basis, members, share_above_50, share_above_200
FROM mart.breadth
WHERE index_id = $benchmark AND session >= $since AND basis = (
  SELECT basis FROM mart.breadth WHERE index_id = $benchmark
  GROUP BY basis ORDER BY count(share_above_50) DESC, basis LIMIT 1
)
ORDER BY session
"""

LIQUIDITY = """
SELECT session, composite, net_liquidity_z, nfci_z, hy_spread_z, rate_expectation_z, dollar_z
FROM mart.liquidity
WHERE composite IS NOT NULL AND session >= $since
ORDER BY session
"""

LEAD_LAG = f"""
SELECT lag_sessions, r, band95, p_value, n
FROM mart.lead_lag
WHERE {PAIR} AND convention = $convention AND r IS NOT NULL
QUALIFY as_of_session = max(as_of_session) OVER ()
ORDER BY lag_sessions
"""

ALL_PAIRS = """
SELECT asset, benchmark, session, r, lo95, hi95, verdict
FROM mart.link_today
WHERE convention = $convention AND window_sessions = $window
ORDER BY asset, r DESC
"""

EVIDENCE = """
WITH figures AS (
  SELECT asset, session, rsi_14, lag(rsi_14, 5) OVER in_time AS rsi_before, macd_hist, close, donchian_high_20
  FROM mart.indicators_wide JOIN core.closes USING (asset, convention, session)
  WHERE convention = 'session_close' AND asset IN ($asset, $benchmark)
  WINDOW in_time AS (PARTITION BY asset ORDER BY session)
), traded AS (
  SELECT l.asset, session, avg(volume) OVER week / nullif(avg(volume) OVER month, 0) AS swell
  FROM (SELECT DISTINCT asset, coalesce(volume_from, asset) AS lender FROM core.listings) l
  JOIN core.closes c ON c.asset = l.lender
  WHERE convention = 'session_close' AND l.asset IN ($asset, $benchmark)
  WINDOW week AS (PARTITION BY l.asset ORDER BY session ROWS 4 PRECEDING),
    month AS (PARTITION BY l.asset ORDER BY session ROWS 19 PRECEDING)
), part AS (
  SELECT session, lag(share_above_50, 10) OVER (ORDER BY session) AS share_before, share_above_50
  FROM (
    SELECT session, coalesce(
      max(share_above_50) FILTER (basis = 'constituents'), max(share_above_50) FILTER (basis = 'panel')
    ) AS share_above_50
    FROM mart.breadth WHERE index_id = $benchmark GROUP BY session
  )
)
SELECT p.session, p.r, a.rsi_14, a.rsi_before, a.macd_hist, b.rsi_14 AS benchmark_rsi_14,
  b.rsi_before AS benchmark_rsi_before, b.macd_hist AS benchmark_macd_hist, v.swell,
  w.swell AS benchmark_swell, share_above_50, share_before, composite, a.close, a.donchian_high_20
FROM mart.page_as_of p
LEFT JOIN figures a ON a.asset = p.asset AND a.session = p.session
LEFT JOIN figures b ON b.asset = p.benchmark AND b.session = p.session
LEFT JOIN traded v ON v.asset = p.asset AND v.session = p.session
LEFT JOIN traded w ON w.asset = p.benchmark AND w.session = p.session
LEFT JOIN part ON part.session = p.session
LEFT JOIN mart.liquidity m ON m.session = p.session
WHERE p.asset = $asset AND p.benchmark = $benchmark AND p.r IS NOT NULL
ORDER BY p.session DESC LIMIT 1
"""

CLAIMS = """
SELECT as_of_session, claim_id, claim, figure, unit, lo95, hi95, verdict, explanation, question_sql
FROM mart.claims
ORDER BY as_of_session
"""

FRESHNESS = """
SELECT asset, source, symbol, interval, last_session, expected_session, sessions_behind, is_stale, last_load,
  last_error, quarantined
FROM mart.data_freshness
"""

QUARANTINE = """
SELECT source, table_name, check_name, count(*) AS refused, min(item) AS example
FROM ops.quarantine
GROUP BY ALL
ORDER BY refused DESC, source, check_name
"""


class Connection(Protocol):
    """What the report needs of `warehouse.reader.connect`."""

    def sql(self, query: str, *, params: Any = None) -> Any:
        """A relation."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows that a question gave, and the question as text that gives them again."""

    rows: pl.DataFrame
    sql: str


def ask(con: Connection, query: str, values: Mapping[str, Any]) -> Answer:
    """Run a question; values travel as parameters, and are written out only in the text for people."""
    used = {name: values[name] for name in dict.fromkeys(re.findall(r"\$(\w+)", query))}
    rows: pl.DataFrame = con.sql(query, params=used or None).pl()
    return Answer(rows, re.sub(r"\$(\w+)", lambda found: as_sql(used[found[1]]), query).strip())


def as_sql(value: Any) -> str:
    """A date, number or text as SQL."""
    if isinstance(value, date):
        return f"DATE '{value}'"
    return str(value) if isinstance(value, int | float) else literal(str(value))
