"""google.cloud.location.Locations, as the Secret Manager's clients offer it."""

from collections.abc import Mapping
from typing import Any

import grpc
from google.cloud.location import locations_pb2  # type: ignore[import-untyped]

from .names import Parent
from .pages import page
from .rpc import Caller, Method, Refusal
from .secret_refusals import invalid


# Some regions of production's [documented]; secrets may be placed in others too.
_REGIONS = (
    "asia-east1",
    "asia-northeast1",
    "asia-southeast1",
    "australia-southeast1",
    "europe-north1",
    "europe-west1",
    "europe-west3",
    "europe-west4",
    "northamerica-northeast1",
    "southamerica-east1",
    "us-central1",
    "us-east1",
    "us-east4",
    "us-west1",
)


class Places:
    """The two methods of Locations."""

    def methods(self) -> Mapping[str, Method]:
        """The methods by their name on the wire."""
        return {
            "ListLocations": Method(locations_pb2.ListLocationsRequest, self.list_locations),
            "GetLocation": Method(locations_pb2.GetLocationRequest, self.get_location),
        }

    def list_locations(self, request: Any, _caller: Caller) -> Any:
        """The regions that are known here."""
        project = Parent.parse(request.name).project
        shown, token = page(_REGIONS, request.page_size, request.page_token)
        return locations_pb2.ListLocationsResponse(
            locations=[_location(project, region) for region in shown], next_page_token=token
        )

    def get_location(self, request: Any, _caller: Caller) -> Any:
        """One region."""
        parent = Parent.parse(request.name)
        if not parent.location:
            raise invalid(f"The resource name [{request.name}] is not valid.")
        if parent.location not in _REGIONS:
            raise Refusal(grpc.StatusCode.NOT_FOUND, f"Location [{request.name}] not found.")
        return _location(parent.project, parent.location)


def _location(project: str, region: str) -> Any:
    return locations_pb2.Location(name=f"projects/{project}/locations/{region}", location_id=region)
