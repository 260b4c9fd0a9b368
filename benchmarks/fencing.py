"""What every request pays for the check at its start."""

from place import local_cloud, new_app, new_cache, push_auth, request
from timing import Pair, Plan, Reach, Row, compare, often, once

from receiver import refresh_blueprint


def empty() -> None:
    pass


def rows(plan: Plan) -> list[Row]:
    times = plan.rounds(2_000)
    bare, fenced = new_app(), new_app()
    with local_cloud() as cloud, new_cache() as cache:
        cloud.create_secret("READ", b"value")
        cache.secret("READ")
        cache.load()
        fenced.register_blueprint(refresh_blueprint(cache, auth=push_auth()))
        return [
            *compare(
                plan,
                {
                    "the check, nothing new": often("fence()", times=times, fence=cache.fence),
                    "an empty call": often("empty()", times=times, empty=empty),
                },
                [Pair("the check, nothing new", "an empty call", Reach(1_000, "difference"))],
                rounds=400,
            ),
            *compare(
                plan,
                {
                    "a request, with the blueprint": once(request(fenced, "GET", "/", status=200)),
                    "a request, without": once(request(bare, "GET", "/", status=200)),
                },
                [Pair("a request, with the blueprint", "a request, without", Reach(1_000, "difference"))],
                rounds=10_000,
            ),
        ]
