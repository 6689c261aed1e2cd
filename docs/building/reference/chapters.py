"""What the reference shows, and on which page. A room's `__all__` is taken as it is."""

from typing import NamedTuple


class Chapter(NamedTuple):
    """A page of the reference."""

    name: str
    """Of the file."""
    title: str
    line: str
    """What one finds there, for the list of pages."""
    symbols: tuple[str, ...]
    """`module:name name`, or a module alone for all in its `__all__`."""


CHAPTERS = (
    Chapter(
        "pixelwise",
        "import pixelwise",
        "the doors: what most programs need.",
        ("pixelwise",),
    ),
    Chapter(
        "layers",
        "Layers",
        "what every layer and upsampler has, and how layers are found by name.",
        (
            "pixelwise.layers.base:Layer AttentionLayer FusionLayer Maps Heads Limits",
            "pixelwise.layers.registry:available resolve options create",
            "pixelwise.layers.upsampling.base:Upsampler Both",
            "pixelwise.layers.reference:ReferenceWeights",
            "pixelwise.layers.placement:Placement parse",
        ),
    ),
    Chapter(
        "networks",
        "Networks",
        "a network, its configuration, and what a decoder is.",
        (
            "pixelwise.networks.segmenter:Segmenter",
            "pixelwise.networks.model:Model",
            "pixelwise.networks.base:Outputs Decoder",
            "pixelwise.networks.config:ModelConfig",
            "pixelwise.networks.registry:available resolve",
            "pixelwise.networks.zoo:Published",
        ),
    ),
    Chapter(
        "insertion",
        "Insertion",
        "the report of `insert`, and places where layers may go.",
        (
            "pixelwise.insertion.inserted:Inserted Line",
            "pixelwise.insertion.verifying:Verified State",
            "pixelwise.insertion.suggesting:suggest",
            "pixelwise.insertion.suggestions:Suggestions Suggestion",
        ),
    ),
    Chapter(
        "explanation",
        "Explanation",
        "what `explain` finds.",
        (
            "pixelwise.explanation.explain:Explanation",
            "pixelwise.explanation.result:Findings LayerMap Deletion ClassMap Reach ReceptiveField",
        ),
    ),
    Chapter(
        "export",
        "Export",
        "exported files, and running them.",
        (
            "pixelwise.export.report:Report",
            "pixelwise.export.exported:open_exported ExportedFile",
        ),
    ),
    Chapter(
        "losses",
        "Losses",
        "losses that leave ignored pixels out.",
        ("pixelwise.losses", "pixelwise.losses.kinds:Kind", "pixelwise.losses.terms:Term"),
    ),
    Chapter("metrics", "Metrics", "scores from counts that add up.", ("pixelwise.metrics",)),
    Chapter(
        "data",
        "Data",
        "opening a data set, and its pictures, masks and streams.",
        (
            "pixelwise.data.opening:open_data",
            "pixelwise.data.source:Source Split Sample LabelledPictures",
            "pixelwise.data.classes:Classes",
            "pixelwise.data.stream:TrainingStream",
            "pixelwise.data.evaluation:EvaluationSet Preparation",
        ),
    ),
    Chapter(
        "predict",
        "Prediction",
        "pictures, rasters and clips in; masks, polygons and points out.",
        (
            "pixelwise.predict",
            "pixelwise.predict.windows:predict_logits",
            "pixelwise.predict.views:Views",
        ),
    ),
    Chapter(
        "train",
        "Training and comparing",
        "`train` and `compare` from Python.",
        (
            "pixelwise.train.run:train Finished",
            "pixelwise.compare.comparison:compare",
            "pixelwise.compare.results:results",
            "pixelwise.train.watching:Watcher",
        ),
    ),
    Chapter(
        "cost",
        "Cost",
        "operations, memory and receptive fields.",
        (
            "pixelwise.cost",
            "pixelwise.receptive:gradient_energy Energy disturbed",
        ),
    ),
    Chapter(
        "checkpoints",
        "Checkpoints",
        "weights of other code bases.",
        (
            "pixelwise.interop.convert:recognise import_checkpoint Imported",
            "pixelwise.interop.checkpoint:Checkpoint",
        ),
    ),
    Chapter(
        "errors",
        "Errors",
        "the one kind of error that users see.",
        ("pixelwise.errors:InputError",),
    ),
)
