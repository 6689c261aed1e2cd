"""Where does this pixel look: every attention layer's map, what it cost, and whether it matters."""

import time
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor, nn

from pixelwise.errors import InputError, unknown
from pixelwise.explanation.answer import Answer, class_name
from pixelwise.explanation.class_maps import chosen_class
from pixelwise.explanation.deletion import Ranked, deletions
from pixelwise.explanation.evidence import asked_evidence, evidence_alone
from pixelwise.explanation.host_calls import host_attentions
from pixelwise.explanation.layer_maps import in_order, layer_maps, rollout_map
from pixelwise.explanation.question import check_pixel, one_picture, to_draw_on
from pixelwise.explanation.recording import attention_layers, evaluated, recorded, uncompiled
from pixelwise.explanation.result import Deletion, Findings
from pixelwise.explanation.rollout import AnyCall


class Explanation(Findings):
    """Where a network looks for one pixel of a picture."""

    def save(self, path: str | Path) -> Path:
        """Write a page (`.html`, one file that works offline) or a picture (`.png`).

        Raises:
            InputError: Another suffix, or a path that cannot be written.
        """
        from pixelwise.explanation.page.page import save  # draws: matplotlib is loaded only here

        return save([self], Path(path))


def explain(
    model: nn.Module,
    image: Float[Tensor, "1 c h w"] | Float[Tensor, "c h w"],
    at: tuple[int, int],
    *,
    layers: Sequence[str] | None = None,
    rollout: bool = True,
    deletion: bool = True,
    class_maps: bool = False,
    receptive_field: bool = False,
    class_index: int | None = None,
    output: int | None = None,
    picture: UInt8[ndarray, "_ _ 3"] | None = None,
    seed: int = 0,
) -> Explanation:
    """Show where a network looks for one pixel of a picture.

    A network that uses no attention has no such place. Of it the explanation holds what its answer
    depends on, which is no attention: the effective receptive field, the gradient map and the
    occlusion map, and in `notes` what it has not, and why.

    The network runs in eval mode and is left as it was. Its forward pass is the usual one; each
    layer's map is computed afterwards, for the one pixel of the layer that covers the asked one.

    Args:
        model: Any network that returns logits per pixel, at any resolution, or per picture: a
            tensor, a mapping with "out" or "logits", or an object with `.logits`. Maps are those of
            attention layers of this library, and of the network's own attention, in the order of
            their calls; what cannot be placed on the picture is said in `notes`.
        image: Its input, one picture; it is brought to the network's device and type.
        at: The pixel of the picture, (row, column).
        layers: Names of the layers to explain, as the explanation has them; None is all.
        rollout: Compose the maps of layers that follow each other, where there are several; see
            `explanation.rollout`. One more forward pass per layer.
        deletion: Delete what each map points at, and as much at random; see
            `explanation.deletion`. Some 7 forward passes per map, 21 per size of the maps. Without
            it, a network without attention gets no occlusion map, unless `class_maps` asks for it.
        class_maps: Add the gradient and the occlusion map; see `explanation.class_maps`.
        receptive_field: Add the effective receptive field; see `explanation.receptive_field`. Some
            4 forward and backward passes, with the memory of training on one picture.
        class_index: The class of the class maps; None is the one asked about.
        output: Which class, or point, is asked about at the pixel; None is the one predicted there.
        picture: What to draw on; None is `image`, without a segmenter's normalisation.
        seed: Of the random deletions.

    Raises:
        InputError: A picture or a pixel that does not fit, the name of a layer or the number of a
            class that there is not, or what needs a gradient was asked of a network without one.
    """
    start = time.perf_counter()
    model = uncompiled(model)
    image = one_picture(image)
    size = (image.shape[2], image.shape[3])
    check_pixel(at, size)
    shown = to_draw_on(model, image, picture)
    with evaluated(model), torch.inference_mode(False), torch.no_grad():
        image = image.clone() if image.is_inference() else image
        like = next((p for p in model.parameters() if p.is_floating_point()), image)
        image = image.to(like.device, like.dtype)
        answer = Answer(model, at, size)
        with recorded(model, size) as calls:
            dense = answer.dense(image)
        hosts = host_attentions(model, image, size)
        chosen = _chosen(model, in_order(calls, hosts.calls), layers, hosts.notes)
        whole = dense.shape[2:].numel() == 1
        logits = answer.at_pixel(dense)
        if logits.isnan().any():
            raise InputError(
                f"at={at[0]},{at[1]}: the network's logits there are NaN; look at the picture's "
                "values and at the weights"
            )
        predicted = chosen_class(logits, output)
        wanted = chosen_class(logits, predicted if class_index is None else class_index)
        looked = layer_maps(model, image, chosen, at)
        found = list(looked.maps)
        rolled = rollout_map(model, image, looked.calls, found) if rollout else None
        deleted: tuple[Deletion, ...] = ()
        if deletion:
            deleted = deletions(
                lambda images: answer.probabilities(images)[:, predicted],
                image,
                [
                    Ranked(each.name, each.spatial, each.covers or (float(size[0]), float(size[1])))
                    for each in [*found, *([] if rolled is None else [rolled])]
                    if each.spatial is not None
                ],
                None if whole else at,
                seed=seed,
            )
        if found:
            evidence = asked_evidence(
                answer,
                image,
                index=wanted,
                whole=whole,
                receptive=receptive_field,
                class_maps=class_maps,
            )
        else:
            evidence = evidence_alone(
                answer, image, index=wanted, whole=whole, occlusion=deletion or class_maps
            )
    return Explanation(
        picture=shown,
        at=at,
        class_index=predicted,
        class_name=class_name(model, predicted),
        probability=answer.confidence(logits)[0, predicted].item(),
        maps=tuple(found),
        rollout=rolled,
        deletions=deleted,
        class_maps=evidence.class_maps,
        receptive=evidence.receptive,
        notes=(*(hosts.notes if layers is None else ()), *looked.notes, *evidence.notes),
        seconds=time.perf_counter() - start,
    )


def _chosen(
    model: nn.Module,
    calls: Sequence[AnyCall],
    names: Sequence[str] | None,
    notes: Sequence[str],
) -> list[AnyCall]:
    for name in names or ():
        note = next((note for note in notes if note.startswith(f"{name}: ")), None)
        if note is not None:
            raise InputError(f"layers={note}; name another layer, or leave layers out")
    if not calls and names is not None:
        raise InputError(
            f"layers={', '.join(names)}: {type(model).__name__} used no attention; leave layers "
            "out, or put one in with pixelwise.insert"
        )
    called = {call.name for call in calls}
    for name in names or ():
        if name not in called and name in attention_layers(model):
            raise InputError(f"layer {name!r} was not called; name one of {', '.join(called)}")
        if name not in called:
            raise unknown("layer", name, called, "with attention")
    return [call for call in calls if names is None or call.name in names]
