"""The chart over many values: valid for Kubernetes, restricted, and in step with the code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from serve.http.server import DRAIN_S
from serve.routing.router import Router
from serve.settings import PREFIX, Settings, load_settings
from serve.telemetry.metrics import LATENCY_S
from serve.telemetry.traces import is_asked_for
from taxonomy.bundled import BUNDLED_TAXONOMY
from tests.helm.conftest import CHART, Manifest, Render, of_kind, profile
from tests.support import requirements
from tests.support.apps import app_on

ALL_MONITORING = {"monitoring": {"serviceMonitor": True, "rules": True, "dashboards": True}}
MATRIX: dict[str, dict[str, Any]] = {
    "as it comes": {},
    **{name: profile(name) for name in ("laptop", "gpu", "fleet")},
    "everything watched": ALL_MONITORING | {"monitoring": {**ALL_MONITORING["monitoring"], "labels": {"release": "p"}}},
    "hpa": {"autoscaling": {"kind": "hpa", "queueSeconds": 0.25}},
    "a claim that is there": {"checkpoint": {"path": "/checkpoints/a", "claim": {"existing": "mine"}}},
    "a claim of a class": {
        "checkpoint": {"claim": {"create": True, "storageClass": "fast", "accessMode": "ReadWriteMany"}}
    },
    "a model from the hub": {"checkpoint": {"path": "org/model"}, "hub": {"enabled": True, "tokenSecret": "hub"}},
    "a taxonomy": {"taxonomy": BUNDLED_TAXONOMY.read_text()},
    "settings": {"settings": {"max_num_seqs": 7, "max_comment": 100_000, "engine": {"seed": 3, "enforce_eager": True}}},
    "two GPUs of a class": {
        "gpu": {"count": 2, "runtimeClassName": "nvidia"}, "resources": {"limits": {"memory": "1Gi"}}
    },
    "no limits": {"gpu": {"count": 1}, "resources": {"limits": None}},
    "open": {"networkPolicy": {"enabled": False}, "service": {"type": "LoadBalancer", "port": 8080}},
    "egress": {"networkPolicy": {"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]}},
    "placed": {
        "nodeSelector": {"pool": "gpu"}, "priorityClassName": "high", "imagePullSecrets": [{"name": "registry"}],
        "affinity": {"nodeAffinity": {}}, "tolerations": [{"operator": "Exists"}], "podAnnotations": {"a": "b"},
        "extraEnv": [{"name": "VLLM_CPU_KVCACHE_SPACE", "value": "4"}],
    },
    "jobs": {
        "checkpoint": {"claim": {"create": True}},
        "jobs": {
            "train": {"args": ["train", "/checkpoints/recipe.yaml", "--out", "/checkpoints/next"], "retries": 2},
            "eval": {"args": ["eval", "gate", "--candidate", "/checkpoints/next", "--baseline", "/checkpoints/now"]},
            "batch": {"args": ["route", "--file", "/checkpoints/c.jsonl"], "resources": {"limits": {"memory": "2Gi"}}},
        },
    },
    "traced": {"tracing": {"endpoint": "http://collector.tracing:4318", "share": 0.1}},
    "a registry": {
        "checkpoint": {"claim": {"existing": "mine"}}, "settings": {"registry": "/checkpoints/registry"},
        "keys": {"secret": "keys"},
    },
    "a registry behind a URL": {
        "checkpoint": {"claim": {"existing": "mine"}}, "settings": {"registry": "s3://shop/checkpoints"},
        "extraEnv": [{"name": "AWS_REGION", "value": "eu-central-1"}], "keys": {"secret": "keys"},
    },
    "keys from a store": {
        "keys": {"externalSecret": {"store": "vault", "key": "feedback"}},
        "hub": {"externalSecret": {"store": "vault", "key": "hub"}},
    },
    "long names": {"fullnameOverride": "x" * 60},
}  # fmt: skip
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown value": ({"replica": 2}, "replica"),
    "an unknown setting": ({"settings": {"max_comments": 5}}, "max_comments"),
    "a setting that the chart decides": ({"settings": {"port": 80}}, "port"),
    "no pods below zero": ({"replicas": -1}, "replicas"),
    "half a pod": ({"replicas": 1.5}, "replicas"),
    "a number in words": ({"replicas": "two"}, "replicas"),
    "latest": ({"image": {"tag": "latest"}}, "tag"),
    "an update that cannot begin": ({"strategy": {"maxSurge": 0, "maxUnavailable": 0}}, "strategy"),
    "an edge that the histogram lacks": ({"slo": {"latencySeconds": "0.7"}}, "latencySeconds"),
    "an edge as a number": ({"slo": {"latencySeconds": 2}}, "latencySeconds"),
    "an objective that no burn can break": ({"slo": {"availability": 0.9}}, "availability"),
    "an objective of everything": ({"slo": {"latency": 1}}, "latency"),
    "a scaler that nobody knows": ({"autoscaling": {"kind": "vpa"}}, "kind"),
    "two claims": ({"checkpoint": {"claim": {"create": True, "existing": "mine"}}}, "claim"),
    "an external secret without a key": ({"hub": {"externalSecret": {"store": "s"}}}, "key"),
    "a collector without a port": ({"tracing": {"endpoint": "http://collector"}}, "endpoint"),
    "keys without their place": ({"keys": {"externalSecret": {"store": "s"}}}, "key"),
    "a setting by variable": ({"extraEnv": [{"name": "ROUTE_FEEDBACK_PORT", "value": "1"}]}, "extraEnv"),
    "a port that is none": ({"service": {"port": 70_000}}, "port"),
    "a job without a call": ({"jobs": {"train": {}}}, "args"),
    "a job with a long name": ({"jobs": {"x" * 40: {"args": ["train"]}}}, "x" * 40),
    "memory in words": ({"resources": {"limits": {"memory": "much"}}}, "memory"),
}
CUSTOM = {"ServiceMonitor", "PrometheusRule", "ScaledObject", "ExternalSecret"}


@pytest.fixture(params=MATRIX)
def manifests(request: pytest.FixtureRequest, render: Render) -> Sequence[Manifest]:
    return render(MATRIX[request.param])


def pods(manifests: Sequence[Manifest]) -> Iterator[Any]:
    for manifest in manifests:
        if manifest["kind"] in {"Deployment", "Job"}:
            yield manifest["spec"]["template"]
        elif manifest["kind"] == "Pod":
            yield manifest


def schema() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
    return document


def test_helm_lints_it_without_a_word_but_that_it_has_no_icon() -> None:
    helm = requirements.module("helm_python", "helm-python-sdk")
    linted = helm.lint(str(CHART), strict=True)
    assert [message["error"] for message in linted["messages"]] == ["icon is recommended"]


@pytest.mark.parametrize("version", ["1.29.0", "1.33.0", "1.37.0"])
def test_every_manifest_is_valid_for_kubernetes(manifests: Sequence[Manifest], version: str) -> None:
    kubernetes = requirements.module("kubernetes_validate", "kubernetes-validate")
    for manifest in manifests:
        if manifest["kind"] not in CUSTOM:
            kubernetes.validate(manifest, version, strict=True)


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_values_are_refused_by_name(render: Render, name: str) -> None:
    helm = requirements.module("helm_python", "helm-python-sdk")
    values, named = REFUSED[name]
    with pytest.raises(helm.HelmError, match=named):
        render(values)


def test_every_value_is_described_and_every_described_value_is_there() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    def check(described: Mapping[str, Any], value: Any, where: str) -> None:
        assert described.get("description"), where
        if "properties" in described and (value or where == "values"):
            assert set(value) == set(described["properties"]) - {"global"}, where
        for name, below in described.get("properties", {}).items():
            check(below, (value or {}).get(name), f"{where}.{name}")
        for below in ("items", "additionalProperties"):
            if isinstance(described.get(below), dict) and where != "values":
                assert described[below].get("description") or described[below] == {"type": "string"}, where

    check(schema(), values, "values")


def test_no_more_values_are_set_than_are_described() -> None:
    for name in ("laptop", "gpu", "fleet"):
        assert set(profile(name)) <= set(schema()["properties"])


def test_names_are_unique_and_no_longer_than_kubernetes_allows(manifests: Sequence[Manifest]) -> None:
    named = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests]
    assert len(set(named)) == len(named)
    assert all(len(name) <= 63 for _, name in named)


def test_selectors_find_their_pods_and_the_monitor_its_service(manifests: Sequence[Manifest]) -> None:
    service, deployment = of_kind(manifests, "Service"), of_kind(manifests, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    selectors = [service["spec"]["selector"], deployment["spec"]["selector"]["matchLabels"]]
    for manifest in manifests:
        if manifest["kind"] == "PodDisruptionBudget":
            selectors.append(manifest["spec"]["selector"]["matchLabels"])
        elif manifest["kind"] == "NetworkPolicy":
            selectors.append(manifest["spec"]["podSelector"]["matchLabels"])
        elif manifest["kind"] == "ServiceMonitor":
            assert manifest["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    others = [
        pod["metadata"]["labels"].items() for pod in pods(manifests) if pod["metadata"]["labels"].items() != labels
    ]
    for selector in selectors:
        assert selector.items() <= labels
        assert not any(selector.items() <= other for other in others)


def test_ports_and_paths_are_those_of_the_service(manifests: Sequence[Manifest], scripted_router: Router) -> None:
    paths = {getattr(route, "path", "") for route in app_on(scripted_router).routes}
    deployment, service = of_kind(manifests, "Deployment"), of_kind(manifests, "Service")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    (port,) = container["ports"]
    assert port["containerPort"] == settings_of(manifests).port
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] == port["name"]
        assert container[probe]["httpGet"]["path"] in paths
    for manifest in manifests:
        if manifest["kind"] == "ServiceMonitor":
            (endpoint,) = manifest["spec"]["endpoints"]
            assert endpoint["path"] in paths
            assert endpoint["port"] == service["spec"]["ports"][0]["name"]


def settings_of(manifests: Sequence[Manifest]) -> Settings:
    """The rendered settings file, read as the service reads it."""
    text = next(m for m in manifests if "settings.yaml" in m.get("data", {}))["data"]["settings.yaml"]
    return load_settings({}, None, **yaml.safe_load(text))


def test_the_service_can_read_its_settings_and_write_where_they_say(manifests: Sequence[Manifest]) -> None:
    settings = settings_of(manifests)
    pod = of_kind(manifests, "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    empty = {volume["name"] for volume in pod["volumes"] if "emptyDir" in volume}
    assert any(settings.cache.is_relative_to(path) and name in empty for path, name in mounts.items())
    assert (settings.host, settings.log) == ("0.0.0.0", "json")  # noqa: S104
    assert container["args"] == ["serve", "--settings", "/etc/route-feedback/settings.yaml"]


def test_given_settings_arrive_and_a_taxonomy_arrives_whole(render: Render) -> None:
    settings = settings_of(render(MATRIX["settings"]))
    assert (settings.max_num_seqs, settings.max_comment) == (7, 100_000)
    assert settings.engine == {"seed": 3, "enforce_eager": True}
    manifests = render(MATRIX["a taxonomy"])
    data = next(m for m in manifests if "taxonomy.yaml" in m.get("data", {}))["data"]
    assert yaml.safe_load(data["taxonomy.yaml"]) == yaml.safe_load(BUNDLED_TAXONOMY.read_text())
    assert settings_of(manifests).taxonomy == Path("/etc/route-feedback/taxonomy.yaml")


def test_the_schema_has_every_setting_that_the_chart_does_not_decide() -> None:
    decided = {"host", "port", "log", "cache", "checkpoint", "taxonomy"}
    decided |= {"admin_key", "gate_key"}  # no place for keys: they come from a Secret, through `keys`
    assert set(schema()["properties"]["settings"]["properties"]) == set(Settings.model_fields) - decided


def test_no_variable_is_one_that_the_settings_would_refuse(manifests: Sequence[Manifest]) -> None:
    for pod in pods(manifests):
        # With service links Kubernetes itself would set ROUTE_FEEDBACK_PORT.
        assert pod["spec"]["enableServiceLinks"] is False
        names = {variable["name"] for variable in pod["spec"]["containers"][0]["env"]}
        ours = {name.removeprefix(PREFIX).lower() for name in names if name.startswith(PREFIX)}
        assert ours <= set(Settings.model_fields)


def test_a_drain_has_the_time_that_it_takes(manifests: Sequence[Manifest]) -> None:
    pod = of_kind(manifests, "Deployment")["spec"]["template"]["spec"]
    _, stopping = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    assert pod["terminationGracePeriodSeconds"] >= int(stopping) + DRAIN_S + 10


@pytest.mark.parametrize("seconds", [30, 61, 900, 3600])
def test_a_long_load_is_waited_for(render: Render, seconds: int) -> None:
    deployment = of_kind(render({"startupSeconds": seconds}), "Deployment")
    probe = deployment["spec"]["template"]["spec"]["containers"][0]["startupProbe"]
    assert seconds <= probe["periodSeconds"] * probe["failureThreshold"] < seconds + 5
    assert deployment["spec"]["progressDeadlineSeconds"] > seconds


def test_every_pod_keeps_to_the_restricted_standard(manifests: Sequence[Manifest]) -> None:
    for pod in pods(manifests):
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        for container in spec["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["readOnlyRootFilesystem"] is True
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert not container["image"].endswith((":latest", ":"))
        assert {next(iter(set(v) - {"name"})) for v in spec["volumes"]} <= {
            "configMap", "emptyDir", "persistentVolumeClaim"
        }  # fmt: skip


def test_a_pod_has_the_gpus_that_it_asks_for(render: Render) -> None:
    pod = of_kind(render(MATRIX["two GPUs of a class"]), "Deployment")["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"]["limits"] == {"memory": "1Gi", "nvidia.com/gpu": 2}
    assert pod["runtimeClassName"] == "nvidia"
    on_cpu = of_kind(render(), "Deployment")["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert not any("gpu" in name for name in on_cpu["limits"])


def test_what_scales_the_pods_is_alone_in_counting_them(render: Render) -> None:
    for kind, manifest in (("hpa", "HorizontalPodAutoscaler"), ("keda", "ScaledObject")):
        manifests = render({"autoscaling": {"kind": kind}})
        deployment = of_kind(manifests, "Deployment")
        assert "replicas" not in deployment["spec"]
        assert of_kind(manifests, manifest)["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    hpa = of_kind(render(MATRIX["hpa"]), "HorizontalPodAutoscaler")
    assert hpa["spec"]["metrics"][0]["pods"]["target"]["averageValue"] == "250m"


def test_without_the_hub_nothing_goes_out_and_with_it_names_can_be_resolved(render: Render) -> None:
    assert of_kind(render(), "NetworkPolicy")["spec"]["egress"] == []
    for name in ("a model from the hub", "a registry behind a URL"):
        out = of_kind(render(MATRIX[name]), "NetworkPolicy")["spec"]["egress"]
        assert {port["port"] for rule in out for port in rule["ports"]} == {53, 443}
    out = of_kind(render(MATRIX["a model from the hub"]), "NetworkPolicy")["spec"]["egress"]
    assert {port["port"] for rule in out for port in rule["ports"]} == {53, 443}


def test_the_hubs_token_is_taken_from_a_secret_that_is_there(render: Render) -> None:
    for name in ("fleet", "a model from the hub"):
        manifests = render(MATRIX[name])
        env = of_kind(manifests, "Deployment")["spec"]["template"]["spec"]["containers"][0]["env"]
        (secret,) = [e["valueFrom"]["secretKeyRef"]["name"] for e in env if e["name"] == "HF_TOKEN"]
        made = [m["spec"]["target"]["name"] for m in manifests if m["kind"] == "ExternalSecret"]
        assert secret in (made or ["hub"])
        assert "HF_HUB_OFFLINE" not in {e["name"] for e in env}


def test_who_may_change_checkpoints_is_taken_from_a_secret(render: Render) -> None:
    for name, secret in (("a registry", "keys"), ("keys from a store", "demo-route-feedback-keys")):
        manifests = render(MATRIX[name])
        env = {e["name"]: e.get("valueFrom", {}).get("secretKeyRef") for e in env_of(manifests)}
        assert env[f"{PREFIX}ADMIN_KEY"] == {"name": secret, "key": "admin"}
        assert env[f"{PREFIX}GATE_KEY"] == {"name": secret, "key": "gate", "optional": True}
        made = {m["spec"]["target"]["name"] for m in manifests if m["kind"] == "ExternalSecret"}
        assert not made or {secret, "demo-route-feedback-hub"} == made
    assert not [e for e in env_of(render()) if e["name"].startswith(PREFIX)]


def env_of(manifests: Sequence[Manifest]) -> list[dict[str, Any]]:
    (container,) = of_kind(manifests, "Deployment")["spec"]["template"]["spec"]["containers"]
    env: list[dict[str, Any]] = container["env"]
    return env


def test_checkpoints_are_read_only_unless_a_registry_stands_among_them(render: Render) -> None:
    for name, read_only in (("a claim that is there", True), ("a registry", False), ("a registry behind a URL", True)):
        (container,) = of_kind(render(MATRIX[name]), "Deployment")["spec"]["template"]["spec"]["containers"]
        (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == "checkpoints"]
        assert mount["readOnly"] is read_only


def test_spans_go_out_where_a_collector_is_named_and_the_network_lets_them(render: Render) -> None:
    manifests = render(MATRIX["traced"])
    env = {e["name"]: e.get("value", "") for e in env_of(manifests)}
    assert is_asked_for(env)
    assert (env["OTEL_TRACES_SAMPLER"], env["OTEL_TRACES_SAMPLER_ARG"]) == ("parentbased_traceidratio", "0.1")
    assert list(env).index("POD") < list(env).index("OTEL_RESOURCE_ATTRIBUTES")  # or $(POD) would stay as it is
    out = of_kind(manifests, "NetworkPolicy")["spec"]["egress"]
    assert {port["port"] for rule in out for port in rule["ports"]} == {53, 4318}
    assert not is_asked_for({e["name"]: e.get("value", "") for e in env_of(render())})


def test_a_changed_setting_starts_new_pods(render: Render) -> None:
    def checksum(values: dict[str, Any]) -> str:
        annotations = of_kind(render(values), "Deployment")["spec"]["template"]["metadata"]["annotations"]
        return str(annotations["checksum/settings"])

    assert checksum({}) == checksum({})
    assert checksum({}) != checksum({"settings": {"max_waiting": 3}})


def test_a_changed_job_gets_another_name(render: Render) -> None:
    def name(out: str) -> str:
        job = of_kind(render({"jobs": {"train": {"args": ["train", "r.yaml", "--out", out]}}}), "Job")
        return str(job["metadata"]["name"])

    assert name("/a") != name("/b")
    assert re.fullmatch(r"demo-route-feedback-train-[0-9a-f]{8}", name("/a"))


def test_the_latency_objective_is_an_edge_of_the_histogram() -> None:
    assert schema()["properties"]["slo"]["properties"]["latencySeconds"]["enum"] == [*map(str, LATENCY_S)]
