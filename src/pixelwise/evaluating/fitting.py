"""Whether networks and data belong together."""

from pixelwise.data.source import Source
from pixelwise.errors import InputError
from pixelwise.networks.model import Model
from pixelwise.tasks.base import NOUNS


def check_fit(model: Model, source: Source, run: str) -> None:
    """Raise an InputError where a network is not for such data."""
    model.task.check_source(source)
    config, noun = model.config, NOUNS[source.kind]
    if config.num_classes != model.task.num_classes(source):
        raise InputError(
            f"{run}: predicts {len(config.names) or config.num_classes} {noun}, but {source.name}"
            f" has {len(source.classes)} ({', '.join(source.classes.names)}); evaluate on data with"
            f" the same {noun}"
        )
    if config.names and tuple(config.names) != tuple(source.classes.names):
        raise InputError(
            f"{run}: predicts {', '.join(config.names)} in this order, but {source.name} has"
            f" {', '.join(source.classes.names)}; make the names and their order agree"
        )
    if source.bands != config.in_channels:
        raise InputError(
            f"{run}: takes {config.in_channels} bands, but {source.name} has {source.bands};"
            f" select them with 'bands' in data.yaml"
        )
