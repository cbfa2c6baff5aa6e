"""A recorded provider and a policy that reaches it: short patience, no real waiting between attempts."""

import ipaddress
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from clock import HOSTS, Clock
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from server import Provider, Said, serve
from world import START, World

from flows.sources import policy as policies
from flows.sources.exchange import opened
from flows.sources.policy import Policy
from flows.sources.yahoo import client

HANDSHAKE = {
    "/getcrumb": Said("a.Crumb/1", content_type="text/plain"),
    "/v1/test": Said("a.Crumb/1", content_type="text/plain"),
}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FRED_API_KEY", raising=False)


@pytest.fixture
def make_policy(clock: Clock) -> Callable[..., Policy]:
    def make(url: str, **settings: object) -> Policy:
        usual = {"attempts": 3, "idle_seconds": 5.0, "total_seconds": 10.0, "rate": 1e6, "rates": {}}
        shared = {"gateways": dict.fromkeys(HOSTS, url), "sleep": clock.sleep, "clock": clock}
        return Policy(**{**usual, **shared, **settings})  # type: ignore[arg-type]

    return make


@pytest.fixture
def provider(make_policy: Callable[..., Policy]) -> Iterator[Provider]:
    opened.cache_clear()
    shake_hands("a.Crumb/1")
    with serve() as found, policies.use(make_policy(found.url)):
        found.routes |= HANDSHAKE
        yield found


def shake_hands(crumb: str | None) -> None:
    """Let Yahoo's client have a cookie and a crumb, or not yet."""
    known = client()
    known._crumb, known._cookie, known._cookie_strategy = crumb, crumb and True, "basic"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody trusts, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def secure_provider(certificate: Path) -> Iterator[Provider]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    opened.cache_clear()
    with serve(context) as found:
        found.routes |= HANDSHAKE
        yield found


@pytest.fixture
def world(provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A universe on disk whose providers answer; candles begin with the recorded ones."""
    monkeypatch.setattr("flows.sources.exchange.FIRST_DAY", START.date())
    return World(provider, tmp_path)
