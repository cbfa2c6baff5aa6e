"""What the transforms need to know of the study, and nothing of where the data come from."""

from dataclasses import dataclass
from datetime import date

ARTICLE_DAY = date(2025, 10, 8)  # when the article that started this was published


@dataclass(frozen=True, slots=True)
class Study:
    """The question that a run answers: which assets, on which calendar, in which windows.

    Attributes:
        target: Id of the asset whose link is measured, e.g. `ETH`.
        benchmark: Id of the asset that it is measured against, e.g. `RUT`; never the target.
        controls: Ids of the assets held constant in partial correlations; neither target nor benchmark.
        calendar: `exchange_calendars` name of the sessions that every return is taken over.
        windows: Lengths of the rolling windows, in joint sessions; each at least 20, none twice.
        threshold: Correlation above which a link counts as strong; strictly between 0 and 1.
        pairs: (asset, benchmark) ids whose correlation is published; holds (target, benchmark).
    """

    target: str
    benchmark: str
    controls: tuple[str, ...]
    calendar: str
    windows: tuple[int, ...]
    threshold: float
    pairs: tuple[tuple[str, str], ...]
