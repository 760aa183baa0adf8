"""Compose, systemd and Kubernetes run the commands of the Procfile, and nothing else."""

from __future__ import annotations

import configparser
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from simulation.procfile import procfile
from tests.support.deployment import words_of
from tests.support.platform import ROOT
from tools import production_env
from tradingplatform.configuration import Environment

# What runs another one's command: service or unit -> process of the Procfile.
OTHER_NAMES = {"standby": "exchange", "migrate": "release", "exchange-core@": "exchange"}
SYSTEMD = ROOT / "deploy" / "systemd"
# Jobs of a server are run by hand, once.
NO_UNIT = {"seed"}


@cache
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.load(
        (ROOT / "docker-compose.yml").read_text(encoding="utf-8"), yaml.CSafeLoader
    )
    return found


@cache
def manifests() -> list[dict[str, Any]]:
    return [
        document
        for path in sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
        for document in yaml.load_all(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
    ]


def services_of_ours() -> dict[str, dict[str, Any]]:
    return {
        name: service
        for name, service in compose()["services"].items()
        if service["image"].startswith("exchange:")
    }


def pod_specs() -> dict[str, dict[str, Any]]:
    return {
        document["metadata"]["name"]: document["spec"]["template"]["spec"]
        for document in manifests()
        if document["kind"] in {"Deployment", "StatefulSet", "Job"}
    }


def unit(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(path.read_text(encoding="utf-8"))
    return parser


def units() -> dict[str, configparser.ConfigParser]:
    return {path.stem: unit(path) for path in SYSTEMD.glob("exchange-*.service")}


def test_compose_runs_every_process_of_the_procfile() -> None:
    expected = procfile()
    services = services_of_ours()

    assert {OTHER_NAMES.get(name, name) for name in services} == set(expected)
    for name, service in services.items():
        assert service["command"] == expected[OTHER_NAMES.get(name, name)], name


def test_kubernetes_runs_every_process_of_the_procfile() -> None:
    expected = procfile()
    specs = pod_specs()

    assert {OTHER_NAMES.get(name, name) for name in specs} == set(expected)
    for name, spec in specs.items():
        assert spec["containers"][0]["command"] == expected[OTHER_NAMES.get(name, name)], name


def test_systemd_runs_every_process_of_the_procfile() -> None:
    expected = procfile()
    seen = set()
    for name, parsed in units().items():
        process = OTHER_NAMES.get(name) or name.removeprefix("exchange-").rstrip("@")
        process = OTHER_NAMES.get(process, process)
        seen.add(process)

        assert words_of(parsed["Service"]["ExecStart"]) == expected[process], name

    assert seen == set(expected) - NO_UNIT


def test_every_process_has_a_name_under_which_it_logs_and_counts() -> None:
    for name, service in services_of_ours().items():
        assert service["environment"]["PROCESS_NAME"] == name
    for name, spec in pod_specs().items():
        assert {"name": "PROCESS_NAME", "value": name} in spec["containers"][0]["env"]
    for name, parsed in units().items():
        assert "PROCESS_NAME=" in parsed["Service"]["Environment"], name


@pytest.mark.parametrize("name", ["exchange", "standby", "projector", "worker", "beat", "feed"])
def test_health_of_a_process_without_a_port_is_asked_under_its_name(name: str) -> None:
    test = compose()["services"][name]["healthcheck"]["test"]

    assert test[:5] == ["CMD", "python", "-I", "-S", "tools/alive.py"]
    assert test[5] == name
    kubernetes = pod_specs().get(name)
    if kubernetes is not None:
        probe = kubernetes["containers"][0]["livenessProbe"]["exec"]["command"]
        assert probe == test[1:]


def test_compose_gives_no_container_more_than_it_needs() -> None:
    for name, service in compose()["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name
        assert "mem_limit" in service or service["restart"] == "on-failure", name
        # The images of others run as a user of theirs only when told so; ours say it themselves.
        assert service["image"].startswith("exchange") or "user" in service, name
        image = service["image"].rpartition(":")[2]
        assert image != "latest", name


def test_compose_shows_the_world_nothing_but_the_proxy() -> None:
    published = {
        name: service["ports"]
        for name, service in compose()["services"].items()
        if "ports" in service
    }

    assert set(published) == {"nginx", "grafana"}
    assert published["grafana"][0].startswith("127.0.0.1:")
    assert compose()["networks"]["inside"] == {"internal": True}


def test_compose_waits_for_what_a_service_needs() -> None:
    services = compose()["services"]
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            other = services[needed]
            if how["condition"] == "service_healthy":
                assert not other.get("healthcheck", {}).get("disable"), (name, needed)
                assert "healthcheck" in other, (name, needed)
            else:
                assert how["condition"] == "service_completed_successfully"
                assert other["restart"] == "on-failure", (name, needed)
    for name in ("exchange", "projector", "web", "ws", "worker", "beat"):
        assert services[name]["depends_on"]["migrate"]["condition"] == (
            "service_completed_successfully"
        )


def test_redis_that_carries_commands_persists_and_evicts_nothing() -> None:
    command = compose()["services"]["redis"]["command"]

    assert command[command.index("--appendonly") + 1] == "yes"
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"
    environment = compose()["services"]["web"]["environment"]
    assert environment["REDIS_URL"].endswith("@redis:6379/0")
    assert environment["CACHE_REDIS_URL"].endswith("@redis-cache:6379/0")


def test_postgresql_syncs_what_it_acknowledges() -> None:
    command = compose()["services"]["postgres"]["command"]

    assert {"fsync=on", "synchronous_commit=on", "full_page_writes=on"} <= set(command)


@pytest.mark.parametrize("database", ["postgres", "mongo"])
def test_variables_of_a_new_installation_are_accepted(database: str) -> None:
    found = production_env.variables("exchange.example", database)

    Environment(found).validate()

    assert found["COMPOSE_PROFILES"] in compose()["services"][database]["profiles"]
    assert (ROOT / found.get("REQUIREMENTS", "requirements.txt")).exists()
    again = production_env.variables("exchange.example", database)
    for name in ("SESSION_SECRET", "SECRETS_KEYS", "METRICS_TOKEN", "ADMIN_PASSWORD"):
        assert found[name] != again[name], name


class TestDockerfile:
    """The rules of a linter that matter here."""

    @pytest.fixture
    def instructions(self) -> list[tuple[str, str]]:
        text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
        lines = [line.strip() for line in text.splitlines()]
        return [
            (line.split(None, 1)[0], line.split(None, 1)[1])
            for line in lines
            if line and not line.startswith("#")
        ]

    def stages(self, instructions: list[tuple[str, str]]) -> dict[str, list[tuple[str, str]]]:
        found: dict[str, list[tuple[str, str]]] = {}
        for name, rest in instructions:
            if name == "FROM":
                current = found.setdefault(rest.split(" AS ")[1], [])
            elif name != "ARG" or found:
                current.append((name, rest))
        return found

    def test_every_base_image_is_pinned_to_a_version(
        self, instructions: list[tuple[str, str]]
    ) -> None:
        arguments = dict(rest.split("=", 1) for name, rest in instructions if name == "ARG")
        requirements = arguments.pop("REQUIREMENTS")
        images = list(arguments.values())

        assert (ROOT / requirements).exists()
        assert len(images) == 2
        for image in images:
            tag = image.rpartition(":")[2]
            assert tag.count(".") >= 2, image
            assert "latest" not in tag

    def test_final_stages_run_as_somebody_who_may_nothing(
        self, instructions: list[tuple[str, str]]
    ) -> None:
        stages = self.stages(instructions)
        for name in ("app", "proxy"):
            users = [rest for instruction, rest in stages[name] if instruction == "USER"]
            assert users, name
            assert not users[-1].startswith(("0", "root")), name
            assert [i for i, _ in stages[name]].count("HEALTHCHECK") == 1

    def test_final_stages_install_and_fetch_nothing(
        self, instructions: list[tuple[str, str]]
    ) -> None:
        stages = self.stages(instructions)
        for name in ("app", "proxy"):
            for instruction, rest in stages[name]:
                assert instruction != "ADD"
                if instruction == "RUN":
                    assert not {"pip", "apt-get", "apk", "curl", "gcc"} & set(shlex.split(rest))

    def test_dependencies_are_those_of_the_pinned_list(
        self, instructions: list[tuple[str, str]]
    ) -> None:
        runs = " ".join(rest for name, rest in instructions if name == "RUN")

        assert "--no-deps --only-binary :all: -r /tmp/requirements.txt" in runs

    def test_commands_are_lists(self, instructions: list[tuple[str, str]]) -> None:
        for name, rest in instructions:
            if name in {"CMD", "ENTRYPOINT"}:
                assert rest.startswith("["), rest

    def test_image_holds_nothing_that_is_not_named(self) -> None:
        lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        named = [line for line in lines if line and not line.startswith("#")]

        assert named[0] == "*"
        for line in named[1:]:
            if line.startswith("!"):
                assert (ROOT / line[1:]).exists(), line
        assert "**/.env*" in named
        assert not any("env" in line or "tls" in line for line in named if line.startswith("!"))


class TestKubernetes:
    def test_manifests_are_valid(self) -> None:
        kubernetes_validate = pytest.importorskip("kubernetes_validate")
        for document in manifests():
            if document["kind"] != "Kustomization":
                kubernetes_validate.validate(document, "1.31", strict=True)

    def test_kustomization_names_every_manifest_but_the_example(self) -> None:
        directory = ROOT / "deploy" / "kubernetes"
        parsed = yaml.safe_load((directory / "kustomization.yaml").read_text())

        files = {path.name for path in directory.glob("*.yaml")}
        assert set(parsed["resources"]) == files - {"kustomization.yaml", "secret.example.yaml"}

    def test_every_pod_is_restricted_probed_and_bounded(self) -> None:
        for name, spec in pod_specs().items():
            container = spec["containers"][0]
            assert spec["securityContext"]["runAsNonRoot"] is True, name
            assert spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
            assert spec["automountServiceAccountToken"] is False
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert "memory" in container["resources"]["limits"], name
            if name not in {"migrate", "seed"}:
                assert {"startupProbe", "livenessProbe"} <= set(container), name

    def test_two_exchanges_on_two_nodes_lose_one_at_a_time(self) -> None:
        found = {(d["kind"], d["metadata"]["name"]): d for d in manifests() if "metadata" in d}

        workload = found["StatefulSet", "exchange"]["spec"]
        spread = workload["template"]["spec"]["topologySpreadConstraints"][0]
        assert workload["replicas"] == 2
        assert spread["whenUnsatisfiable"] == "DoNotSchedule"
        assert found["PodDisruptionBudget", "exchange"]["spec"]["maxUnavailable"] == 1
        for name in ("web", "ws"):
            assert found["HorizontalPodAutoscaler", name]["spec"]["minReplicas"] == 2
            assert found["PodDisruptionBudget", name]["spec"]["minAvailable"] == 1
