"""One of several classes per pixel: one logit per class, the largest wins."""

from jaxtyping import Float, Int
from torch import Tensor

from pixelwise.errors import InputError
from pixelwise.tasks.class_masks import ClassMasks
from pixelwise.tasks.demonstration import Demonstration

SCENES = Demonstration(
    data="scenes",
    noun="scene",
    size=160,
    pictures={"train": 600, "val": 40, "test": 80},
    training={"flip_vertical": True, "rotate": True, "class_weights": "auto"},
    remark=", rare classes weigh more",
    title="What attention adds on made-up scenes",
    story=(
        "In these scenes a car and a boat look alike, and so do a road and a canal; whether the"
        " dark ways end in a harbour or in a car park tells them apart."
    ),
    heading="IoU on test, %",
    main="mean IoU",
    main_name="mean IoU",
    unit="%",
    of="of the union, on test",
    decides=("road", "water", "car", "boat"),
    decides_name="road, water, car, boat",
    decides_of="points of IoU, mean of the four",
    helped=(
        "Attention adds {gain:.1f} points of IoU on road, water, car and boat, which only the far"
        " surroundings tell apart."
    ),
    not_helped=(
        "Attention did not help here: {gain:.1f} points of IoU on road, water, car and boat, which"
        " only the far surroundings tell apart."
    ),
    results="Result per class",
    marked=("car", "boat"),
    looking=(
        "Polarized self-attention has no map per pixel: it weighs all pixels once for the whole"
        " picture. Each map shows the gate that a layer puts on every pixel of the first scene; the"
        " cross marks a vehicle for orientation. The bright parts are passed on with more strength."
    ),
    charts="What is taken for what",
    charts_text="Each row shows where the pixels of one true class went, in percent of the row.",
    writes="masks and overlays",
)


class Multiclass(ClassMasks):
    """One class per pixel."""

    key = "multiclass"
    summary = "one class per pixel"
    demonstration = SCENES

    def check(self) -> None:
        """Raise for less than two classes."""
        if self.described.num_classes < 2:
            raise InputError(
                "task 'multiclass' needs num_classes of at least 2, background included, got"
                f" {self.described.num_classes}; for one class take task 'binary'"
            )

    def answer(self, logits: Float[Tensor, "n k h w"]) -> Int[Tensor, "n h w"]:
        """The class with the largest logit."""
        return logits.max(dim=1).indices  # as argmax, which takes six times as long
