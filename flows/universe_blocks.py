"""The blocks of a universe file, each an immutable model that knows which keys belong together."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    model_validator,
)

from flows.universe_values import (
    Calendar,
    File,
    Id,
    Instant,
    Pair,
    Symbol,
    Text,
    Window,
    distinct,
    pattern,
    refusal,
)
from warehouse.unknown import shown, unknown


class Block(BaseModel):
    """One block of the file: immutable, and a key that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _know_keys(cls, data: Any) -> Any:
        for key in data if isinstance(data, dict) else ():
            if key not in cls.model_fields:
                raise refusal(unknown("key", key, cls.model_fields), key)
        return data

    def _reserve(self, key: str, owner: str, *, is_owner: bool, is_required: bool = True) -> None:
        """Only a block that is `owner` has `key`, and has it where it is required."""
        is_given = getattr(self, key) is not None
        if is_owner and is_required and not is_given:
            raise refusal(f"missing; {owner} needs it", key)
        if is_given and not is_owner:
            raise refusal(f"is for {owner} only; remove it", key)


class StudyBlock(Block):
    """What is measured; `windows` count sessions, a pair is (asset, benchmark)."""

    target: Id
    benchmark: Id
    controls: Annotated[tuple[Id, ...], AfterValidator(distinct)] = ()
    calendar: Calendar = "XNYS"
    windows: Annotated[tuple[Window, ...], Field(min_length=1), AfterValidator(distinct)] = (30, 60, 90)
    threshold: float = Field(default=0.5, strict=True, gt=0, lt=1)
    pairs: Annotated[tuple[Pair, ...], AfterValidator(distinct)] | None = None

    @model_validator(mode="after")
    def _separate_roles(self) -> Self:
        if self.target == self.benchmark:
            raise refusal(f"{shown(self.target)} is the target; name another asset", "benchmark")
        if own := {self.target, self.benchmark}.intersection(self.controls):
            raise refusal(f"{shown(min(own))} is the target or the benchmark; leave it out", "controls")
        return self


class Feed(Block):
    """Where rows come from; for files, `recorded_at` is the instant that counts as now."""

    provider: str
    path: File | None = None
    recorded_at: Instant | None = None

    @property
    def source(self) -> str:
        """The name that every row of this feed carries; a path is as the file writes it."""
        return f"files:{self.path}" if self.provider == "files" else self.provider

    @model_validator(mode="after")
    def _match_file_keys(self) -> Self:
        is_files = self.provider == "files"
        self._reserve("path", 'provider "files"', is_owner=is_files)
        self._reserve("recorded_at", 'provider "files"', is_owner=is_files, is_required=False)
        return self


Basis = Literal["raw", "split_adjusted", "adjusted"]


def _usual_basis(source: dict[str, Any]) -> Basis:
    return "split_adjusted" if source.get("provider") == "yahoo" else "raw"  # Yahoo divides by later splits


class AssetSource(Feed):
    """One provider of an asset's bars under the provider's symbol.

    `settle_minutes` pass from a daily close until the bar is final. `price_basis` is "adjusted" where
    adjusted prices come as raw, "split_adjusted" where history is divided by later splits, as Yahoo's is. A
    fallback's closes may lie `tolerance_pct` per cent off the first source's.
    """

    provider: Literal["yahoo", "ccxt", "fred", "files"]
    exchange: Annotated[str, pattern("[a-z][a-z0-9]{0,31}")] | None = None
    symbol: Symbol
    interval: Literal["1h", "1d"]
    settle_minutes: int = Field(default=30, strict=True, ge=0, le=1440)
    price_basis: Basis = Field(default_factory=_usual_basis)
    volume_unit: Literal["shares", "base", "quote", "contracts"] = (
        "shares"  # "base" where the asset is crypto
    )
    tolerance_pct: float = Field(default=1.0, strict=True, gt=0, le=100)

    @property
    def source(self) -> str:
        """As for every feed, but each exchange is a source of its own."""
        return f"ccxt:{self.exchange}" if self.provider == "ccxt" else super().source

    @model_validator(mode="after")
    def _match_exchange(self) -> Self:
        self._reserve("exchange", 'provider "ccxt"', is_owner=self.provider == "ccxt")
        return self


def _never_closed(calendar: str, info: ValidationInfo) -> str:
    if info.data.get("kind") == "crypto" and calendar != "24/7":
        raise refusal(f'{shown(calendar)} has closing hours, crypto has none; use "24/7"')
    return calendar


def _fit_kind(sources: tuple[AssetSource, ...], info: ValidationInfo) -> tuple[AssetSource, ...]:
    """An exchange-traded asset is priced by daily bars; the volume of crypto is in coins unless declared."""
    is_crypto = info.data.get("kind") == "crypto"
    if not is_crypto and all(source.interval != "1d" for source in sources):
        raise refusal('none has interval = "1d"; every asset but crypto needs one')
    if not is_crypto and any(s.provider == "yahoo" and s.interval == "1h" for s in sources):
        raise refusal('Yahoo\'s hours of an exchange open at half past; use interval = "1d"')
    distinct(tuple(f"{source.source} {source.symbol} {source.interval}" for source in sources))
    unit = {"volume_unit": "base"} if is_crypto else {}
    return tuple(s if "volume_unit" in s.model_fields_set else s.model_copy(update=unit) for s in sources)


class Asset(Block):
    """A series of prices; an omitted calendar is 24/7 for crypto and the study's for every other kind."""

    id: Id
    name: Text
    kind: Literal["crypto", "index", "etf", "stock", "volatility"]
    calendar: Annotated[Calendar, AfterValidator(_never_closed)] = Field(
        default_factory=lambda asset: "24/7" if asset["kind"] == "crypto" else ""
    )
    currency: Annotated[str, pattern("[A-Z]{3,5}")] = "USD"
    volume_from: Id = Field(default_factory=lambda asset: asset["id"])
    sources: Annotated[tuple[AssetSource, ...], Field(min_length=1), AfterValidator(_fit_kind)]


class Macro(Feed):
    """A macro series; `sign` is 1 where more is looser liquidity and -1 where it is tighter.

    Where the source dates no release, a figure is public `release_lag_days` days after the day it is about.
    """

    id: Id
    provider: Literal["fred", "files"]
    symbol: Symbol = Field(default_factory=lambda macro: macro["id"])
    unit: Text
    sign: Literal[1, -1]
    release_lag_days: int = Field(default=1, strict=True, ge=0, le=366)


class Breadth(Feed):
    """The members of an index: every symbol of a file, the dated membership in `constituents`, or both."""

    index: Id
    provider: Literal["yahoo", "files"]
    members: Literal["file"] | None = None
    constituents: File | None = None
    calendar: Calendar = ""  # the study's, which the universe fills in

    @model_validator(mode="after")
    def _match_members(self) -> Self:
        is_files = self.provider == "files"
        self._reserve("members", 'provider "files"', is_owner=is_files, is_required=False)
        if self.members is None and self.constituents is None:
            raise refusal('missing; breadth without members = "file" needs it', "constituents")
        return self


class Events(Feed):
    """Announcements of monetary policy."""

    provider: Literal["fed", "files"]


class Snapshot(Feed):
    """Figures of the whole crypto market."""

    provider: Literal["coingecko", "files"]
