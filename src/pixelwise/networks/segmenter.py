"""A network: backbone -> decoder -> one tensor of logits at the input's size."""

import dataclasses
import math
import tempfile
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pixelwise.insertion.attached import InsertionPlace, insertions_of
from pixelwise.insertion.attaching import attach
from pixelwise.layers.empty_batch import is_empty, without_images
from pixelwise.layers.reference import ReferenceWeights
from pixelwise.networks import files
from pixelwise.networks.answering import Answering
from pixelwise.networks.backbones.timm import Backbone
from pixelwise.networks.base import Decoder, Outputs
from pixelwise.networks.config import ModelConfig
from pixelwise.networks.model import Model
from pixelwise.networks.multi_scale import MultiScaleDecoder, Weighed, over_scales
from pixelwise.networks.registry import check_option_types, check_options, decoder_named
from pixelwise.networks.taking_part import with_all


class Segmenter(ReferenceWeights, Model):
    """A network for pixel-wise prediction, described by a `ModelConfig`.

    Args:
        config: Architecture, classes, preprocessing.
        pretrained: Start the backbone from timm's weights.

    Shape: (n, in_channels, h, w) -> (n, num_classes, h, w), for any h and w, in train and eval;
    heat maps of points have a quarter of the rows and columns.
    """

    def __init__(self, config: ModelConfig, *, pretrained: bool = False) -> None:
        super().__init__()
        decoder: Any = decoder_named(config.arch)
        check_options(config.arch, config.options)
        self.config = config
        task = self.task
        self.stride = task.stride
        self.backbone = Backbone(
            config.backbone,
            in_channels=config.in_channels,
            pretrained=pretrained,
            output_stride=config.output_stride,
            preferred_stride=decoder.output_stride,
            attention=config.attention,
            convolution=config.convolution,
            multi_grid=config.multi_grid,
            options=config.backbone_options,
            taps=decoder.taps,
            class_token=decoder.reads_class_token(config.options),
        )
        self.decoder: Decoder = decoder(self.backbone.channels, task.outputs, **config.options)
        if config.align_corners is not None:
            self.decoder.align_corners = config.align_corners
        self.auxiliary_weights = dict(self.decoder.auxiliary_weights)
        for entry in config.insert:
            attach(self, InsertionPlace.read(entry))

    def forward(self, image: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k i j"]:
        """Logits at the input's size."""
        if is_empty(image):
            return without_images(self, self.forward, [image])
        if isinstance(self.decoder, MultiScaleDecoder) and len(self.decoder.scales) > 1:
            logits = self._over_scales(self.decoder, image, auxiliary=False).logits
        else:
            features = self.backbone(self._padded(image))
            logits = self._at_input_size(self.decoder(features), image)
        return with_all(logits, self)

    def with_auxiliary(self, image: Float[Tensor, "n c h w"]) -> Outputs:
        """Logits and auxiliary logits, all at the input's size."""
        if is_empty(image):
            return without_images(self, self.with_auxiliary, [image])
        if isinstance(self.decoder, MultiScaleDecoder) and len(self.decoder.scales) > 1:
            return self._over_scales(self.decoder, image, auxiliary=True)
        outputs = self.decoder.with_auxiliary(self.backbone(self._padded(image)))
        return self._all_at_input_size(outputs, image)

    def _over_scales(
        self, decoder: MultiScaleDecoder, image: Tensor, *, auxiliary: bool
    ) -> Outputs:
        def run(picture: Tensor) -> Weighed:
            outputs, weights = decoder.weighed(self.backbone(self._padded(picture)))
            wanted = outputs if auxiliary else Outputs(outputs.logits, {})
            return (
                self._all_at_input_size(wanted, picture),
                self._at_input_size(weights, picture),
            )

        return over_scales(run, image, decoder.running_scales, align_corners=decoder.align_corners)

    def _all_at_input_size(self, outputs: Outputs, image: Tensor) -> Outputs:
        return Outputs(
            self._at_input_size(outputs.logits, image),
            {n: self._at_input_size(extra, image) for n, extra in outputs.auxiliary.items()},
            outputs.presence,
        )

    @property
    def multiple(self) -> int:
        """What the sides of a padded picture are multiples of."""
        return math.lcm(self.backbone.multiple, self.stride)

    def answer(self, logits: Float[Tensor, "n k h w"]) -> Tensor:
        """What the logits say, by the task: of multiclass the class of every pixel (n, h, w)."""
        return self.task.answer(logits)

    def answering(self) -> Answering:
        """The network with its decoder behind it, as one module to export."""
        return Answering(self)

    def _padded(self, image: Tensor) -> Tensor:
        """Repeat the last row and column until the backbone and the task can divide the picture."""
        multiple = self.multiple
        if multiple == 1:
            return image
        # Rounded up without a negative number, which ONNX divides in another way.
        # By index rather than by pad and slice, whose guards torch.export cannot keep free.
        for axis in (2, 3):
            side = image.shape[axis]
            index = torch.arange((side + multiple - 1) // multiple * multiple, device=image.device)
            image = image.index_select(axis, index.clamp(max=side - 1))
        return image

    def _at_input_size(self, logits: Tensor, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        multiple = self.multiple
        stride = self.stride
        size = tuple(
            (side + multiple - 1) // multiple * multiple // stride for side in (height, width)
        )
        logits = F.interpolate(
            logits, size=size, mode="bilinear", align_corners=self.decoder.align_corners
        )
        if multiple == 1:
            return logits
        for axis, side in ((2, height), (3, width)):
            kept = torch.arange((side + stride - 1) // stride, device=image.device)
            logits = logits.index_select(axis, kept)
        return logits

    def reference_name(self, key: str) -> str | None:
        """Our name in a checkpoint of the family of github.com/zhanghang1989/PyTorch-Encoding.

        Its networks hold the backbone as `pretrained` and the decoder as `head`. A backbone made
        here knows its own names.
        """
        if key.startswith("pretrained."):
            return "backbone.body." + key.removeprefix("pretrained.")
        body = self.backbone.body
        if isinstance(body, ReferenceWeights):
            inside = body.reference_name(key.removeprefix("backbone."))
            if inside is not None:
                return f"backbone.body.{inside}"
        inside = self.decoder.reference_name(key)
        inside = inside or self.decoder.reference_name(key.removeprefix("head."))
        return None if inside is None else f"decoder.{inside}"

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `model.safetensors` and `config.json`; each file appears whole or not at all."""
        files.write(folder, self.described(), self.state_dict())

    def push_to_hub(
        self,
        name: str,
        *,
        run: str | Path | None = None,
        private: bool = False,
        license: str | None = None,
        samples: bool = True,
    ) -> str:
        """Publish on the Hugging Face Hub with a card, and give the address.

        Args:
            name: OWNER/NAME; made if there is no such model.
            run: Folder of the run that the network is from: its data, recipe, scores and pictures
                are told.
            private: Only its owner sees it.
            license: Of the weights, as the Hub names it; None is said to be not stated.
            samples: Whether pictures of the data set go along, where the run has some.

        Raises:
            InputError: A wrong name or licence, not logged in, no network.
        """
        from pixelwise.networks.publishing.folder import write_folder
        from pixelwise.networks.publishing.hub import check_name, upload

        check_name(name)
        with tempfile.TemporaryDirectory() as made:
            folder, of = Path(made), None if run is None else Path(run)
            write_folder(
                *(self, self.described(), folder),
                name=name,
                run=of,
                licence=license,
                samples=samples,
            )
            return upload(folder, name, private=private)

    def described(self) -> ModelConfig:
        """The config, with what stands in the network by insertion now."""
        found = insertions_of(self)
        places = found.attached() if found is not None else []
        return dataclasses.replace(
            self.config, insert=tuple(attached.place.plain() for attached in places)
        )

    @classmethod
    def from_pretrained(cls, where: str | Path) -> "Segmenter":
        """Load what `save_pretrained` wrote: a folder, or a model's name on the Hub.

        A folder is never looked up on the network; the backbone's own weights are not fetched.
        """
        described, weights = files.find(where)
        config = ModelConfig.load(described)
        sketch = files.sketched(described, config, cls._checked)
        state = files.read_weights(weights, described, sketch.state_dict())
        model = cls(config)
        model.load_state_dict(state)
        return model.eval()

    @classmethod
    def _checked(cls, config: ModelConfig) -> "Segmenter":
        """The network, where the decoder's options are of their types."""
        check_option_types(config.arch, config.options)
        return cls(config)


def load(where: str | Path) -> Segmenter:
    """A network as it was saved: a run's folder, a `save_pretrained` folder, or a Hub name."""
    return Segmenter.from_pretrained(where)
