"""The few `gcloud` commands of the runbook, by the official clients: the real one takes seconds to start.

What it does is held against the real `gcloud` by `KEYTURN_GCLOUD=1`, where that is installed.
"""

import click
from google.protobuf import field_mask_pb2


@click.group()
@click.pass_obj
def gcloud(_cloud):
    """A stand-in."""


def _full(cloud, name):
    return cloud.secret(name)


@gcloud.group()
def secrets():
    """Secrets."""


@secrets.command()
@click.argument("name")
@click.option("--replication-policy", type=click.Choice(["automatic"]), required=True)
@click.option("--topics", required=True)
@click.pass_obj
def create(cloud, name, replication_policy, topics):
    cloud.secret_manager_client().create_secret(
        parent=f"projects/{cloud.project}",
        secret_id=name,
        secret={"replication": {replication_policy: {}}, "topics": [{"name": topics}]},
    )


@secrets.command()
@click.argument("name")
@click.pass_obj
def describe(cloud, name):
    click.echo(cloud.secret_manager_client().get_secret(name=_full(cloud, name)))


@secrets.command()
@click.argument("name")
@click.option("--quiet", is_flag=True, required=True)
@click.pass_obj
def delete(cloud, name, quiet):
    assert quiet
    cloud.secret_manager_client().delete_secret(name=_full(cloud, name))


@secrets.command()
@click.argument("name")
@click.option("--update-version-aliases", required=True)
@click.pass_obj
def update(cloud, name, update_version_aliases):
    alias, _, number = update_version_aliases.partition("=")
    client = cloud.secret_manager_client()
    secret = client.get_secret(name=_full(cloud, name))
    secret.version_aliases[alias] = int(number)
    client.update_secret(secret=secret, update_mask=field_mask_pb2.FieldMask(paths=["version_aliases"]))


@secrets.command("add-iam-policy-binding")
@click.argument("name")
@click.option("--member", required=True)
@click.option("--role", required=True)
@click.pass_obj
def bind(cloud, name, member, role):
    client, resource = cloud.secret_manager_client(), _full(cloud, name)
    policy = client.get_iam_policy(request={"resource": resource})
    policy.bindings.add(role=role, members=[member])
    client.set_iam_policy(request={"resource": resource, "policy": policy})


@secrets.group()
def versions():
    """Versions."""


@versions.command()
@click.argument("name")
@click.option("--data-file", type=click.File("rb"), required=True)
@click.pass_obj
def add(cloud, name, data_file):
    data = {"data": data_file.read()}
    cloud.secret_manager_client().add_secret_version(parent=_full(cloud, name), payload=data)


def _ending(verb):
    @versions.command(verb)
    @click.argument("number", type=int)
    @click.option("--secret", required=True)
    @click.pass_obj
    def command(cloud, number, secret):
        call = getattr(cloud.secret_manager_client(), f"{verb}_secret_version")
        call(name=f"{_full(cloud, secret)}/versions/{number}")

    return command


_ending("enable")
_ending("disable")


@gcloud.group()
def pubsub():
    """Pub/Sub."""


@pubsub.group()
def topics():
    """Topics."""


@topics.command("describe")
@click.argument("name")
@click.pass_obj
def describe_topic(cloud, name):
    click.echo(cloud.publisher().get_topic(topic=cloud.topic(name)))


@pubsub.group()
def subscriptions():
    """Subscriptions."""


@subscriptions.command("describe")
@click.argument("name")
@click.pass_obj
def describe_subscription(cloud, name):
    click.echo(cloud.subscriber().get_subscription(subscription=cloud.subscription(name)))


@subscriptions.command("create")
@click.argument("name")
@click.option("--topic", required=True)
@click.option("--push-endpoint", required=True)
@click.option("--push-auth-service-account", required=True)
@click.option("--push-auth-token-audience", required=True)
@click.option("--ack-deadline", type=int, required=True)
@click.option("--min-retry-delay", required=True)
@click.option("--max-retry-delay", required=True)
@click.pass_obj
def create_subscription(cloud, name, topic, **push):
    token = {
        "service_account_email": push["push_auth_service_account"],
        "audience": push["push_auth_token_audience"],
    }
    cloud.subscriber().create_subscription(
        request={
            "name": cloud.subscription(name),
            "topic": cloud.topic(topic),
            "push_config": {"push_endpoint": push["push_endpoint"], "oidc_token": token},
            "ack_deadline_seconds": push["ack_deadline"],
            "retry_policy": {
                "minimum_backoff": {"seconds": int(push["min_retry_delay"].rstrip("s"))},
                "maximum_backoff": {"seconds": int(push["max_retry_delay"].rstrip("s"))},
            },
        }
    )


@subscriptions.command()
@click.argument("name")
@click.option("--limit", type=int, required=True)
@click.option("--auto-ack", is_flag=True, required=True)
@click.pass_obj
def pull(cloud, name, limit, auto_ack):
    assert auto_ack
    subscriber, subscription = cloud.subscriber(), cloud.subscription(name)
    found = subscriber.pull(subscription=subscription, max_messages=limit, timeout=5)
    ids = [one.ack_id for one in found.received_messages]
    subscriber.acknowledge(subscription=subscription, ack_ids=ids, timeout=5)
