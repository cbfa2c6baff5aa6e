"""What can be said of the image without building it, for which there is no daemon here."""

import json
import re
import tomllib
from fnmatch import fnmatch

import yaml
from documents import ROOT, tracked

TEXT = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
IGNORED = (ROOT / ".dockerignore").read_text().split()


def lines(word: str) -> list[str]:
    """What follows an instruction, each time that it is there."""
    return re.findall(rf"^{word} (.*)$", TEXT, re.MULTILINE)


def is_in_image(path: str) -> bool:
    top = path.split("/", maxsplit=1)[0]
    return path in tracked() and not any(fnmatch(top, pattern) for pattern in IGNORED)


def test_what_it_copies_and_starts_is_there() -> None:
    assert lines("COPY") == ["requirements.lock ./", "--chown=comove . ."]
    assert is_in_image("requirements.lock")
    (command,) = lines("CMD")
    words = json.loads(command)
    assert words[:2] == ["python", "-m"]
    assert is_in_image(words[2].replace(".", "/") + ".py")
    assert is_in_image(words[words.index("--universe") + 1])
    for path in re.findall(r"[\w/]+\.toml", TEXT):
        assert is_in_image(path), path
    for one in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]:
        assert is_in_image(one["entrypoint"].split(":")[0])


def test_it_runs_as_a_user_of_its_own_who_writes_to_the_volume_alone() -> None:
    assert (lines("USER"), lines("VOLUME")) == (["comove"], ["/data"])
    assert TEXT.index("\nUSER ") > TEXT.index("\nRUN ")
    (user,) = (line for line in lines("RUN") if "useradd" in line)
    assert "chown comove /data" in user
    assert user.endswith("ln -s /data data")
    assert not is_in_image("data/x")  # the link would be in the way
    told = dict(word.split("=", 1) for word in " ".join(lines("ENV")).split())
    assert told["COMOVE_DATA"] == "/data"
    assert told["PREFECT_HOME"].startswith("/data/")
    assert told["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["prefect"]
    assert int(told["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"]) == settings["flows"]["heartbeat_frequency"]


def test_packages_are_held_to_their_hashes() -> None:
    (install,) = (line for line in lines("RUN") if "pip install" in line)
    assert "--require-hashes -r requirements.lock" in install
