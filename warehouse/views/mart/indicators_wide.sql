-- One row per asset, convention and session with one column an indicator, on the asset's own bars; null until warm
SELECT
    asset,
    convention,
    session,
    max(value) FILTER (indicator = 'rsi_14') AS rsi_14,
    max(value) FILTER (indicator = 'macd') AS macd,
    max(value) FILTER (indicator = 'macd_signal') AS macd_signal,
    max(value) FILTER (indicator = 'macd_hist') AS macd_hist,
    max(value) FILTER (indicator = 'bb_lower') AS bb_lower,
    max(value) FILTER (indicator = 'bb_upper') AS bb_upper,
    max(value) FILTER (indicator = 'bb_bandwidth') AS bb_bandwidth,
    max(value) FILTER (indicator = 'atr_14') AS atr_14,
    max(value) FILTER (indicator = 'donchian_high_20') AS donchian_high_20,
    max(value) FILTER (indicator = 'donchian_low_20') AS donchian_low_20,
    max(value) FILTER (indicator = 'sma_20') AS sma_20,
    max(value) FILTER (indicator = 'sma_50') AS sma_50,
    max(value) FILTER (indicator = 'sma_200') AS sma_200,
    max(value) FILTER (indicator = 'volume_median_20') AS volume_median_20
FROM mart.indicators
GROUP BY asset, convention, session
