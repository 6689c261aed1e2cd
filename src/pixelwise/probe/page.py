"""The page of a probe."""

import shlex
from collections.abc import Sequence

from pixelwise import __version__
from pixelwise.language import mark, translate
from pixelwise.probe.reach import Curve
from pixelwise.probe.results import Results
from pixelwise.probe.variants import VARIANTS
from pixelwise.report import Commands, Figure, Report, Section, Settings, Table

HOW = mark(
    "Each layer stands in a tiny network between two 1x1 convolutions, so whatever a pixel knows\n"
    "of others has come through the layer. The network is trained anew for each question, with one"
    " recipe\nfor all layers. Distances are the larger of rows and columns, so a 3x3 convolution"
    " reaches 1.\n\nA layer reaches as far as its pixels are right more often than half way from"
    " chance to always. The\nreach is what the layer learns in these few steps, not what it could"
    " learn in the end: a low one is\nno proof that a layer can't."
)


def page(results: Results, curves: Sequence[Curve], pictures: Sequence[Figure]) -> Report:
    """All that is to be seen.

    Args:
        results: What was done.
        curves: Of all layers.
        pictures: Charts.
    """
    variants = list(dict.fromkeys(one.variant for one in curves))
    settings = results.settings
    layers = shlex.join(results.layers)
    return Report(
        title=translate("How far does context reach?"),
        summary=(
            translate(
                "{subjects} layers and baselines on maps of {size}x{size} pixels,"
                " {steps} steps for each question, {seeds} seed{s}."
            ).format(
                subjects=len(results.subjects),
                size=settings.size,
                steps=settings.steps,
                seeds=settings.seeds,
                s="s" * (settings.seeds != 1),
            )
        ),
        sections=(
            Section(translate("Reach"), translate(HOW), (reach_table(results, curves), *pictures)),
            *(_variant(variant, curves) for variant in variants),
            Section(
                translate("What was run"),
                "",
                (Settings({name: f"{value:g}" for name, value in settings.recipe.items()}),),
            ),
            Section(
                translate("What to type next"),
                "",
                (
                    Commands(
                        {
                            f"pixelwise probe {layers} --seeds 3": translate(
                                "how sure the numbers are"
                            ),
                            f"pixelwise probe {layers} --size 48": translate("farther than here"),
                        }
                    ),
                ),
            ),
        ),
        footer=translate("pixelwise {version}, pixelwise probe").format(version=__version__),
    )


def reach_table(results: Results, curves: Sequence[Curve]) -> Table:
    """A row for each layer, a column for each variant."""
    variants = list(dict.fromkeys(one.variant for one in curves))
    found = {(one.subject, one.variant): translate(one.text) for one in curves}
    rows = tuple(
        (
            subject,
            *(found.get((subject, variant), "") for variant in variants),
            *_field(results, subject),
        )
        for subject in results.subjects
    )
    caption = (
        translate(
            "Reach in pixels, and in brackets the share of pixels that are right,"
            " averaged over all distances; >= where the layer reaches as far as was"
            " tested. Chance is "
        )
        + ", ".join(
            translate("{chance:.0f} % for {v}").format(
                chance=100 * VARIANTS[v].chance, v=translate(v)
            )
            for v in variants
        )
        + translate(
            ". Theoretical: how far a pixel can be that changes the output at all,"
            " and whether it matters where it is. Effective: the radius in pixels of"
            " 90 % of the gradient energy of other pixels."
        )
    )
    return Table(
        (
            translate("layer"),
            *map(translate, variants),
            translate("theoretical"),
            translate("effective"),
        ),
        rows,
        caption,
    )


def _field(results: Results, subject: str) -> tuple[str, str]:
    found = results.fields.get(subject)
    return ("", "") if found is None else (found.reach_text, translate(found.radius_text))


def _variant(variant: str, curves: Sequence[Curve]) -> Section:
    own = [one for one in curves if one.variant == variant]
    distances = [point.distance for point in own[0].points]
    rows = tuple(
        (
            one.subject,
            *(
                translate("absent")
                if p.accuracy is None
                else f"{100 * p.accuracy:.0f} ({100 * p.low:.0f}-{100 * p.high:.0f})"
                for p in one.points
            ),
        )
        for one in own
    )
    caption = translate(
        "Pixels that are right, in %, by distance in pixels, with the 95 % interval."
    )
    header = (translate("layer"), *(str(distance) for distance in distances))
    return Section(
        translate(variant).capitalize(),
        translate("What a pixel must know: {question}.").format(
            question=translate(VARIANTS[variant].question)
        ),
        (Table(header, rows, caption),),
    )
