"""A model as an app: one page in which the whole network computes."""

from __future__ import annotations

from gridcnn.model import Model
from gridcnn.report.assembly import assemble
from gridcnn.report.live import live_data, scripts_of

_DEFAULT = "A network that sees grids"


def app_page(model: Model) -> str:
    """Return a page as HTML: draw, type, record or choose an item, and see what the network does.

    Raises:
        SpecError: a stage, the head or the adapter cannot compute in a page; each is named.
    """
    name = model.spec.name
    return assemble(
        "app.html",
        title=name or _DEFAULT,
        data={"live": live_data(model)},
        scripts=scripts_of(model),
        heading=name or _DEFAULT,
        description=model.spec.description or "",
        stages=len(model.network.ops),
        parameters=f"{model.network.parameters:,}",
    )
