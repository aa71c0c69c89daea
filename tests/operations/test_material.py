"""The configurations that .deploy ships are ones that the gateway takes."""
import subprocess

import yaml
from harness import ROOT, binary, clean_environment

SECRETS = {
    "admin_token": "an-admin-token-of-length", "anthropic_key": "sk-provider", "caller_key": "sk-caller",
    "redis_url": "redis://:pass@redis:6379/0", "ledger_url": "postgres://tierway:pass@postgres/tierway",
}


def checked(text, folder, secrets):
    for name, secret in SECRETS.items():
        (folder / name).write_text(secret)
    file = folder / "tierway.toml"
    file.write_text(text.replace(secrets, str(folder)))
    told = subprocess.run([binary(), "check", "--config", str(file)], env=clean_environment(HOME=str(folder)), capture_output=True, text=True, timeout=30)
    assert told.returncode == 0, told.stderr
    assert not any(secret in told.stdout for secret in SECRETS.values())


def test_the_compose_file_and_its_configuration(tmp_path):
    checked((ROOT / ".deploy/tierway.toml").read_text(), tmp_path, "/run/secrets")
    compose = yaml.safe_load((ROOT / ".deploy/compose.yaml").read_text())
    assert set(SECRETS) <= set(compose["secrets"])
    for name, service in compose["services"].items():
        assert service["read_only"] and service["cap_drop"] == ["ALL"], name
        assert set(service.get("secrets", [])) <= set(compose["secrets"]), name


def test_the_manifests_and_their_configuration(tmp_path):
    kinds = {each["kind"]: each for each in yaml.safe_load_all((ROOT / ".deploy/kubernetes/tierway.yaml").read_text())}
    checked(kinds["ConfigMap"]["data"]["tierway.toml"], tmp_path, "/run/secrets/tierway")
    assert {"Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy"} <= set(kinds)
    labels = kinds["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for kind in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
        spec = kinds[kind]["spec"]
        chosen = spec.get("podSelector", spec.get("selector"))
        chosen = chosen.get("matchLabels", chosen)
        assert chosen.items() <= labels.items(), kind
    [container] = kinds["Deployment"]["spec"]["template"]["spec"]["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] == "admin"
