"""The Secret Manager by HTTP, as Terraform's provider calls it and as nobody should."""

import pytest
import requests


class Terraform:
    """The requests that Terraform's google provider sends: JSON in camel case, `alt=json`."""

    def __init__(self, cloud):
        self.url = cloud.secret_manager.rest_url + "/v1/"

    def __call__(self, verb, path, body=None):
        answer = requests.request(verb, f"{self.url}{path}", json=body, timeout=5)
        return answer.status_code, answer.json()


def test_terraform(cloud):
    """A secret, its versions and its policy live and end as the provider's resources do."""
    ask = Terraform(cloud)
    secret = {"replication": {"automatic": {}}, "labels": {"a": "b"}, "ttl": "3600s"}
    status, made = ask("POST", "projects/demo/secrets?alt=json&secretId=db", secret)
    assert (200, {"automatic": {}}) == (status, made["replication"])
    assert "ttl" not in made
    at = "projects/demo/secrets/db"

    body = {"annotations": {"x": "y"}, "versionDestroyTtl": "86400s"}
    _, updated = ask("PATCH", f"{at}?alt=json&updateMask=annotations%2CversionDestroyTtl%2Clabels", body)
    assert ({"x": "y"}, "86400s") == (updated["annotations"], updated["versionDestroyTtl"])
    assert "labels" not in updated
    _, again = ask("PATCH", f"{at}?alt=json&updateMask=version_destroy_ttl", {"versionDestroyTtl": "90000s"})
    assert ({"x": "y"}, "90000s") == (again["annotations"], again["versionDestroyTtl"])

    _, added = ask("POST", f"{at}:addVersion?alt=json", {"payload": {"data": "b25l"}})
    assert "ENABLED" == added["state"]
    assert "b25l" == ask("GET", f"{at}/versions/1:access")[1]["payload"]["data"]
    assert "DISABLED" == ask("POST", f"{at}/versions/1:disable", {})[1]["state"]
    assert "ENABLED" == ask("POST", f"{at}/versions/1:enable")[1]["state"]
    _, doomed = ask("POST", f"{at}/versions/1:destroy", {})
    assert ("DISABLED", True) == (doomed["state"], "scheduledDestroyTime" in doomed)
    _, policy = ask("GET", f"{at}:getIamPolicy?alt=json&options.requestedPolicyVersion=3")
    assert {"etag": "ACAB"} == policy
    wanted = {"policy": {**policy, "bindings": [{"role": "roles/viewer", "members": ["user:a@b.c"]}]}}
    assert 200 == ask("POST", f"{at}:setIamPolicy?alt=json", wanted)[0]
    assert 409 == ask("POST", f"{at}:setIamPolicy?alt=json", wanted)[0]
    assert (200, {}) == ask("DELETE", f"{at}?alt=json")
    status, gone = ask("GET", at)
    assert (404, "NOT_FOUND", 404) == (status, gone["error"]["status"], gone["error"]["code"])


@pytest.mark.parametrize(
    ("verb", "path", "more", "status"),
    [
        ("GET", "projects/demo/nothing", {}, 404),
        ("PUT", "projects/demo/secrets/db", {}, 404),
        ("POST", "projects/demo/secrets?secretId=x", {"data": b"{"}, 400),
        ("POST", "projects/demo/secrets?secretId=x", {"data": b'{"unknown": 1}'}, 400),
        ("GET", "projects/demo/secrets?nothing=1", {}, 400),
        ("GET", "projects/demo/secrets?pageSize=x", {}, 400),
        ("GET", "projects/demo/secrets?pageSize.x=1", {}, 400),
        ("GET", f"projects/demo/secrets?filter={'(' * 5000}", {}, 400),
        ("GET", "projects/demo/secrets", {"headers": {"Content-Length": "9" * 5000}}, 413),
        ("POST", "projects/demo/secrets?secretId=x", {"data": b'{"labels":' + b"[" * 100_000}, 400),
        ("GET", "projects/demo/secrets", {"headers": {"Host": "evil.example:80"}}, 403),
        ("GET", "projects/demo/secrets", {"headers": {"Origin": "http://evil.example"}}, 403),
        ("POST", "projects/demo/secrets/db:addVersion", {"data": b"x" * 1024 * 1024 * 2}, 413),
    ],
)
def test_http_that_cannot_be_answered(cloud, verb, path, more, status):
    """What is no request of the API, or comes from a browser's page, is refused and changes nothing."""
    try:
        answer = requests.request(verb, f"{cloud.secret_manager.rest_url}/v1/{path}", timeout=5, **more)
    except requests.ConnectionError:
        assert 413 == status  # the server hung up while the client was still sending
    else:
        assert status == answer.status_code

    assert [] == list(cloud.secret_manager_client().list_secrets(parent="projects/demo"))
