"""The demonstration of named points: puppets, whose left and right a far mark tells."""

from pixelwise.tasks.demonstration import Demonstration

PUPPETS = Demonstration(
    data="puppets",
    noun="puppet",
    size=64,
    steps=700,
    pictures={"train": 1000, "val": 40, "test": 100},
    training={"scale_min": 1.0, "scale_max": 1.0, "turn": 10.0},
    title="What attention adds to named points",
    story=(
        "The arms and legs of these puppets look alike. Which of them are left can only be seen"
        " from a mark on the tall hat: a light badge if the puppet is seen from the front, a dark"
        " knot if it is seen from behind. Both networks see the whole picture; which of"
        " them finds the mark first depends on the seed."
    ),
    heading="mean error on test, px",
    main="all points: mean",
    main_name="mean error",
    unit="px",
    of="of all points, on test",
    decides=("left and right confused, %",),
    decides_name="left and right confused",
    decides_of="percentage points of the labels of limbs",
    helped=(
        "With attention, the share of limbs' labels that have left and right confused is {gain:.1f}"
        " percentage points smaller; only the mark on the hat tells them apart."
    ),
    not_helped=(
        "Attention did not help here: the share of limbs' labels that have left and right confused"
        " is {loss:.1f} percentage points larger."
    ),
    results="Error per point",
    marked=("left hand",),
    evidence="left hand",
    looking=(
        "Polarized self-attention has no map per pixel: it weighs all pixels once for the whole"
        " picture. Each map shows the gate that a layer puts on every pixel of the first puppet;"
        " the cross marks the left hand that was predicted. The last two maps are no attention:"
        " they show which regions speak for a left hand at the cross, by gradients and by covering"
        " parts of the picture."
    ),
    charts="How large the errors are",
    charts_text="The share of the labels within so many pixels of their prediction.",
    writes="pictures with points, and tables of them",
)
