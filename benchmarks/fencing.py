"""What every request pays for the check at its start."""

from place import local_cloud, new_app, new_cache, push_auth, request
from timing import Rounds, Row, compare, often, once

from receiver import refresh_blueprint


def empty() -> None:
    pass


def rows(rounds: Rounds) -> list[Row]:
    times = rounds(2_000)
    bare, fenced = new_app(), new_app()
    with local_cloud() as cloud, new_cache() as cache:
        cloud.create_secret("READ", b"value")
        cache.secret("READ")
        cache.load()
        fenced.register_blueprint(refresh_blueprint(cache, auth=push_auth()))
        return [
            *compare(
                {
                    "the check, nothing new": often("fence()", times=times, fence=cache.fence),
                    "an empty call": often("empty()", times=times, empty=empty),
                },
                [("the check, nothing new", "an empty call")],
                rounds=rounds(400),
            ),
            *compare(
                {
                    "a request, with the blueprint": once(request(fenced, "GET", "/", status=200)),
                    "a request, without": once(request(bare, "GET", "/", status=200)),
                },
                [("a request, with the blueprint", "a request, without")],
                rounds=rounds(10_000),
            ),
        ]
