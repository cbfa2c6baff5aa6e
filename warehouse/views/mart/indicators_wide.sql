-- One row per asset, convention and session with one column an indicator, on the asset's own bars; null until warm
-- rsi_14: Relative strength index of 14 bars, Wilder's [0..100]
-- macd: Moving average of 12 bars less that of 26, exponential [price]
-- macd_signal: Exponential average of 9 bars of macd [price]
-- macd_hist: macd less its signal [price]
-- bb_lower: Lower Bollinger band: 2 standard deviations below the mean of 20 bars [price]
-- bb_upper: Upper Bollinger band [price]
-- bb_bandwidth: Width of the bands as a part of their middle [ratio]
-- atr_14: Average true range of 14 bars, Wilder's [price]
-- donchian_high_20: Highest high of the 20 bars before [price]
-- donchian_low_20: Lowest low of the 20 bars before [price]
-- sma_20: Mean close of 20 bars [price]
-- sma_50: Mean close of 50 bars [price]
-- sma_200: Mean close of 200 bars [price]
-- volume_median_20: Median volume of 20 bars [by asset]
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
