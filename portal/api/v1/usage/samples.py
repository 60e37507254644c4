"""`/api/v1/samples`: what was measured of many metrics, in one request."""

from typing import Any

from portal.accounts.rules.tokens import Resource
from portal.api.v1.operations import Answer, Resources
from portal.api.v1.usage.shapes import NewSamplesOfSeveral, TakenShape, take
from portal.usage.rules import Sample

blueprint = Resources(
    Resource.SAMPLES,
    about="What was measured of several metrics at once. Those of one metric are read, and taken too, at the metric.",
)


@blueprint.does("", TakenShape, body=NewSamplesOfSeveral, of_version=False, summary="Add samples of several metrics")
def add_samples_of_several(body: dict[str, Any]) -> Answer:
    """At most 10,000, all or none. The same again changes nothing, whether its Idempotency-Key is the same or not."""
    return Answer(take([(each["metric_id"], Sample(each["at"], each["value"])) for each in body["samples"]]))
