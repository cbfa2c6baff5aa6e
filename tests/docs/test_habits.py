"""The workflows, templates and hooks name what is there, and agree with what the project says elsewhere."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from documents import ROOT, tracked

MAKE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", MAKE, re.MULTILINE))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WORKFLOWS = [name for name in tracked() if name.startswith(".github/workflows/")]
TEMPLATES = [
    name for name in tracked() if name.startswith(".github/ISSUE_TEMPLATE/") and "config" not in name
]
CI: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
HOOKS: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0][
    "hooks"
]
PIN = next(one for one in PROJECT["project"]["dependencies"] if one.startswith("duckdb=="))


def jobs(path: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / path).read_text())["jobs"]
    return found


def steps(path: str) -> list[dict[str, Any]]:
    return [step for job in jobs(path).values() for step in job["steps"]]


def recipe(target: str) -> list[str]:
    """The commands of a make target, without the variables of its environment."""
    body = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", MAKE, re.MULTILINE)
    assert body, target
    return [line.strip("\t@").replace("$(BIN)/", "") for line in body[1].splitlines()]


@pytest.mark.parametrize("path", WORKFLOWS)
def test_a_workflow_runs_what_is_there(path: str) -> None:
    for command in (line for step in steps(path) for line in step.get("run", "").splitlines()):
        for target in re.findall(r"\bmake ([a-z-]+)", command):
            assert target in TARGETS, command
        for file in re.findall(r"[\w.-]+\.lock\b", command):
            assert (ROOT / file).exists(), command
        if words := re.search(r"\bmake (\.venv/\S+)", command):
            assert f"{words[1]}:".replace(".venv", "$(VENV)") in MAKE, command


@pytest.mark.parametrize("path", WORKFLOWS)
def test_a_workflow_is_pinned_limited_in_time_and_has_few_rights(path: str) -> None:
    text = (ROOT / path).read_text()
    assert "\npermissions:\n" in text
    assert all("timeout-minutes" in job for job in jobs(path).values())
    for action in (step["uses"] for step in steps(path) if "uses" in step):
        assert re.fullmatch(r"actions/[\w-]+@v\d+", action), action


def test_the_matrix_begins_with_the_oldest_python_that_is_supported() -> None:
    versions = CI["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert versions == ["3.11", "3.12", "3.13"]
    assert PROJECT["project"]["requires-python"] == f">={versions[0]}"
    assert PROJECT["tool"]["ruff"]["target-version"] == "py" + versions[0].replace(".", "")
    assert f"({versions[0].replace('.', ', ')})" in MAKE
    assert f"FROM python:{versions[0]}-slim" in (ROOT / "Dockerfile").read_text()


def test_ci_misses_no_test() -> None:
    (whole,) = [step for step in CI["jobs"]["test"]["steps"] if step.get("run") == "make test"]
    assert whole["env"] == {"COMOVE_REQUIRE_ALL": "1"}
    local = (ROOT / ".ci" / "run").read_text()
    assert "COMOVE_REQUIRE_ALL=1" in local
    for package in CI["env"]["APT"].split("--no-install-recommends ")[1].split():
        assert f"missing+=({package})" in local


def test_duckdb_2_is_tried_in_place_of_the_pin_and_no_job_may_fail() -> None:
    assert PIN.startswith("duckdb==1.5.")
    (override,) = [
        step["run"] for step in CI["jobs"]["duckdb-2"]["steps"] if "pip install" in step.get("run", "")
    ]
    assert '"duckdb>=2.0,<2.1"' in override
    for path in WORKFLOWS:
        assert "continue-on-error" not in (ROOT / path).read_text(), path


def test_every_lock_is_audited_and_made_by_make_lock() -> None:
    locks = {name for name in tracked() if name.endswith(".lock")}
    audited = " ".join(step.get("run", "") for step in CI["jobs"]["audit"]["steps"])
    assert set(re.findall(r"-r (\S+)", audited)) == locks
    assert set(re.findall(r"-o (\S+\.lock)", "\n".join(recipe("lock")))) == locks


def test_no_file_of_the_public_ci_names_a_package_index() -> None:
    for path in [*WORKFLOWS, ".github/dependabot.yml"]:
        text = (ROOT / path).read_text()
        assert not re.search(r"index-url|extra-index|https?://", text), path


def test_what_dependabot_looks_after_is_there() -> None:
    config = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())
    assert config["version"] == 2
    watched = {update["package-ecosystem"]: update["directory"] for update in config["updates"]}
    assert watched == {"github-actions": "/", "docker": "/"}
    assert (ROOT / "Dockerfile").exists()


@pytest.mark.parametrize("path", TEMPLATES)
def test_an_issue_template_is_a_form_that_github_takes(path: str) -> None:
    form = yaml.safe_load((ROOT / path).read_text())
    assert {"name", "description", "body"} <= set(form)
    ids = [field["id"] for field in form["body"]]
    assert len(ids) == len(set(ids)) > 0
    for field in form["body"]:
        assert field["type"] in {"textarea", "input", "dropdown"}
        assert field["attributes"]["label"]
        assert field["type"] != "dropdown" or field["attributes"]["options"]
        for named in re.findall(r"docs/[\w./-]*\w", field["attributes"].get("description", "")):
            assert (ROOT / named).exists(), named


def test_hooks_run_what_make_check_runs() -> None:
    entries = {hook["entry"].removeprefix(".venv/bin/") for hook in HOOKS}
    checks = {command.removesuffix(" .") for command in recipe("check")}
    whole = next(check for check in checks if check.startswith("python -m pytest"))
    assert '"not slow"' in whole
    assert checks - entries == {whole}  # all but the tests, of which the hooks run those of the documents


def test_hooks_name_what_is_there() -> None:
    for hook in HOOKS:
        for file in re.findall(r"tests/[\w/]+\.py", hook["entry"]):
            assert (ROOT / file).exists(), file
        for target in re.findall(r"^make ([a-z-]+)", hook["entry"]):
            assert target in TARGETS


def test_every_target_says_what_it_is_for() -> None:
    described = set(re.findall(r"^([a-z-]+):.*## \w", MAKE, re.MULTILINE))
    assert described == TARGETS
    phony = re.search(r"^\.PHONY: (.*)$", MAKE, re.MULTILINE)
    assert phony
    assert set(phony[1].split()) == TARGETS


def test_the_changelog_begins_with_the_version_of_the_project() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert text.split("## ")[1].startswith(PROJECT["project"]["version"])
    assert Path(ROOT / "LICENSE").read_text().startswith(f"{PROJECT['project']['license']} License")
