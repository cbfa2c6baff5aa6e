"""The queries behind the claims: DuckDB SQL on the published tables, for {asset}, {benchmark} and {day}.

A series query gives `session`, `value` and, where two groups are compared, `is_in`. Nothing after {day} is
used: what looks ahead (forward returns) is null where it would have to.
"""

ROLLING = """
SELECT r AS figure, lo95, hi95 FROM mart.correlations
WHERE asset = '{asset}' AND benchmark = '{benchmark}' AND convention = 'session_close'
  AND window_sessions = {window} AND session <= DATE '{day}' AND r IS NOT NULL
ORDER BY session DESC LIMIT 1
"""

LINK_60 = """link AS (
  SELECT session, r FROM mart.correlations
  WHERE asset = '{asset}' AND benchmark = '{benchmark}' AND convention = 'session_close'
    AND window_sessions = 60 AND session <= DATE '{day}' AND r IS NOT NULL
)"""

# Risk-on is defined apart from the link: VIX below its yearly median, benchmark above its 200-session mean.
RISK_ON = """vix AS (
  SELECT session, close < median(close) OVER year AS is_calm, count(*) OVER year AS known
  FROM core.closes
  WHERE asset = (SELECT min(asset) FROM mart.assets WHERE kind = 'volatility')
    AND convention = 'session_close'
  WINDOW year AS (ORDER BY session ROWS BETWEEN 251 PRECEDING AND CURRENT ROW)
), phase AS (
  SELECT session, is_calm AND close > value AS is_risk_on
  FROM vix JOIN core.closes c USING (session) JOIN mart.indicators i USING (asset, convention, session)
  WHERE known = 252 AND c.asset = '{benchmark}' AND c.convention = 'session_close'
    AND indicator = 'sma_200' AND value IS NOT NULL
)"""

FORWARD = """ahead AS (
  SELECT session,
    CASE WHEN count(log_return) OVER next = {horizon} THEN sum(log_return) OVER next END AS value
  FROM core.returns
  WHERE asset = '{asset}' AND convention = 'session_close' AND session <= DATE '{day}'
  WINDOW next AS (ORDER BY session ROWS BETWEEN 1 FOLLOWING AND {horizon} FOLLOWING)
)"""

ABOVE_060_IN_RISK_ON = f"""
WITH {LINK_60}, {RISK_ON}
SELECT session, (r > 0.6)::DOUBLE AS value FROM link JOIN phase USING (session) WHERE is_risk_on
"""

SINCE_2021 = f"""
WITH {LINK_60}
SELECT session, (r > 0.5)::DOUBLE AS value FROM link WHERE session >= DATE '2021-01-01'
"""

STRONGER_IN_RISK_ON = f"""
WITH {LINK_60}, {RISK_ON}
SELECT session, r AS value, is_risk_on AS is_in FROM link JOIN phase USING (session)
"""

# A shock of its own: the asset's move is among its largest 2.5 %, the benchmark's below its median. Alone it
# lowers any correlation that it is inside of, so it is left out: r is that of the other sessions of the 30.
LOOSER_AFTER_SHOCKS = """
WITH moves AS (
  SELECT session, a.log_return AS own, b.log_return AS other
  FROM core.returns a JOIN core.returns b USING (convention, session)
  WHERE a.asset = '{asset}' AND b.asset = '{benchmark}' AND convention = 'session_close'
    AND session <= DATE '{day}' AND a.log_return IS NOT NULL AND b.log_return IS NOT NULL
), shocks AS (
  SELECT *, abs(own) > quantile_cont(abs(own), 0.975) OVER ()
    AND abs(other) < median(abs(other)) OVER () AS is_shock
  FROM moves
), months AS (
  SELECT session, corr(own, other) FILTER (NOT is_shock) OVER month AS r,
    bool_or(is_shock) OVER before AS is_after,
    count(*) OVER month AS sessions, count(*) FILTER (NOT is_shock) OVER month AS kept
  FROM shocks
  WINDOW month AS (ORDER BY session ROWS BETWEEN 29 PRECEDING AND CURRENT ROW),
    before AS (ORDER BY session ROWS BETWEEN 30 PRECEDING AND 1 PRECEDING)
)
SELECT session, r AS value, NOT is_after AS is_in FROM months
WHERE sessions = 30 AND kept >= 20 AND isfinite(r)
"""

MOMENTUM_AGREES = """
WITH wide AS (
  SELECT asset, session, macd_hist,
    rsi_14 - lag(rsi_14, 5) OVER (PARTITION BY asset ORDER BY session) AS rsi_change
  FROM mart.indicators_wide
  WHERE asset IN ('{asset}', '{benchmark}') AND convention = 'session_close' AND session <= DATE '{day}'
)
SELECT session, (sign(a.macd_hist) = sign(b.macd_hist))::DOUBLE / 2
  + (sign(a.rsi_change) = sign(b.rsi_change))::DOUBLE / 2 AS value
FROM wide a JOIN wide b USING (session)
WHERE a.asset = '{asset}' AND b.asset = '{benchmark}'
"""

CONFIRMED_BY_VOLUME_AND_BREADTH = f"""
WITH {FORWARD.replace("{horizon}", "10")}
SELECT session, value, volume AND breadth AS is_in
FROM mart.signals JOIN ahead USING (session)
WHERE asset = '{{asset}}' AND benchmark = '{{benchmark}}'
"""

# On any random walk a high is near after a quiet stretch, and so is a low: one is weighed with the other.
BREAKOUT_AFTER_QUIET = """
WITH bars AS (
  SELECT session, rsi_14, bb_bandwidth,
    close > donchian_high_20 AS is_high, close < donchian_low_20 AS is_low,
    quantile_cont(bb_bandwidth, 0.2) OVER year AS quiet, count(bb_bandwidth) OVER year AS known
  FROM core.closes JOIN mart.indicators_wide USING (asset, convention, session)
  WHERE asset = '{asset}' AND convention = 'session_close' AND session <= DATE '{day}'
  WINDOW year AS (ORDER BY session ROWS BETWEEN 251 PRECEDING AND CURRENT ROW)
), ahead AS (
  SELECT *, count(is_high) OVER next AS days,
    max(is_high::INTEGER) OVER next - max(is_low::INTEGER) OVER next AS value
  FROM bars
  WINDOW next AS (ORDER BY session ROWS BETWEEN 1 FOLLOWING AND 20 FOLLOWING)
)
SELECT session, value::DOUBLE AS value, bb_bandwidth <= quiet AND rsi_14 BETWEEN 40 AND 60 AS is_in
FROM ahead WHERE days = 20 AND known = 252
"""

LIQUIDITY = f"""
WITH {FORWARD.replace("{horizon}", "20")}
SELECT session, value, composite > 0 AS is_in FROM mart.liquidity JOIN ahead USING (session)
"""

# The band is what the largest of all lags reaches by chance: r minus band above 0 is r above the band.
LARGEST_LAGGED = """
SELECT r AS figure, r - band95 AS lo95, r + band95 AS hi95 FROM mart.lead_lag
WHERE asset = '{asset}' AND benchmark = '{benchmark}' AND convention = 'session_close'
  AND lag_sessions BETWEEN 1 AND 20 AND as_of_session = DATE '{day}'
ORDER BY r DESC LIMIT 1
"""

OVERLAY = """
WITH held AS (
  SELECT session, net_log_return, hold_log_return, avg(exposure) OVER () AS mean_exposure
  FROM mart.exposure
  WHERE asset = '{asset}' AND benchmark = '{benchmark}' AND session <= DATE '{day}'
    AND hold_log_return IS NOT NULL
)
SELECT session, 252 * (net_log_return - ln(1 + mean_exposure * (exp(hold_log_return) - 1))) AS value FROM held
"""

COINS = """
SELECT active_coins::DOUBLE AS figure, NULL::DOUBLE AS lo95, NULL::DOUBLE AS hi95
FROM mart.market_snapshot WHERE captured_on = DATE '2025-10-08'
"""

BITCOIN_SHARE = """
SELECT btc_dominance_pct AS figure, NULL::DOUBLE AS lo95, NULL::DOUBLE AS hi95
FROM mart.market_snapshot WHERE captured_on = DATE '2025-10-08'
"""
