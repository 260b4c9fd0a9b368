"""The Flask skin: where the check at the start of a request stands."""

import pytest
from flask import Flask

from receiver import Insecure, SecretCache, refresh_blueprint
from receiver.testing import InMemorySource, push


@pytest.mark.promise("acked means done")
def test_the_check_comes_before_anything_of_the_application(tmp_path):
    """Also what the application registered before the blueprint to run at the start of requests reads the new value."""
    source = InMemorySource({"API_KEY": "one"})
    told, here = (SecretCache("any-project", source=source, run_dir=str(tmp_path)) for _ in range(2))
    told.secret("API_KEY")
    key, seen = here.secret("API_KEY"), []
    app = Flask(__name__)
    app.before_request(lambda: seen.append(key.version))
    app.register_blueprint(refresh_blueprint(here, auth=Insecure("a test")))
    for cache in (told, here):
        cache.load()
    here._worker.membership.container._siblings.leave()  # as if it were stopped: nobody can tell it anything

    source.add("API_KEY", "two")
    push(source, told)
    assert 404 == app.test_client().get("/").status_code

    assert [2] == seen
    for cache in (told, here):
        cache.close()
