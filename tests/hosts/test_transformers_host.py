"""Insertions in transformers' models: trained, saved by `save_pretrained` and Trainer, loaded."""

import logging

import pytest
import torch
from torch.utils.data import Dataset
from transformers import (
    AutoModelForSemanticSegmentation,
    BeitConfig,
    BeitForImageClassification,
    SegformerConfig,
    SegformerForSemanticSegmentation,
)

import pixelwise
from pixelwise.errors import InputError

PICTURE = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
CONFIG = {
    "hidden_sizes": [8, 8, 8, 8],
    "num_attention_heads": [1, 1, 1, 1],
    "depths": [1, 1, 1, 1],
    "decoder_hidden_size": 8,
    "num_labels": 3,
}
PLAN = "segformer.stages.2.blocks.0=psa_s, decode_head.batch_norm=eca"


class Pictures(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, i):
        return {"pixel_values": PICTURE[i % 2], "labels": torch.full((32, 32), i % 3)}


def network():
    torch.manual_seed(0)
    return SegformerForSemanticSegmentation(SegformerConfig(**CONFIG))


def inserted():
    host = network()
    report = pixelwise.insert(host, PLAN)
    with torch.no_grad():
        for parameter in report.module.parameters():
            parameter.add_(0.5 * torch.randn(parameter.shape))
    return host


def answer(host):
    with torch.no_grad():
        return host.eval()(PICTURE).logits


@pytest.fixture
def saved(tmp_path):
    host = inserted()
    host.save_pretrained(tmp_path / "one")
    return host, tmp_path


@pytest.mark.parametrize("shards", ["5GB", "10kB"])
def test_a_folder_brings_its_insertions_back(saved, shards):
    host, folder = saved
    host.save_pretrained(folder / "model", max_shard_size=shards)
    loaded = AutoModelForSemanticSegmentation.from_pretrained(folder / "model")
    report = pixelwise.insert(loaded, folder / "model")
    assert torch.equal(answer(loaded), answer(host))
    assert report.verify(PICTURE).ok
    pixelwise.insert(network(), str(folder / "model"))  # a folder's name as text


@pytest.mark.filterwarnings("ignore")
def test_names_that_transformers_replaces_when_it_saves(tmp_path):
    """Its own `beit.layers.1` is `beit.encoder.layer.1` in files."""
    sizes = {"hidden_size": 8, "num_attention_heads": 1, "intermediate_size": 8, "image_size": 32}
    config = BeitConfig(num_hidden_layers=2, patch_size=8, **sizes)
    host = BeitForImageClassification(config)
    report = pixelwise.insert(host, "beit.layers.*=psa_s")
    for i, attached in enumerate(report.attached()):
        torch.nn.init.constant_(attached.gain, i + 1.0)
    host.save_pretrained(tmp_path)
    loaded = BeitForImageClassification.from_pretrained(tmp_path)
    pixelwise.insert(loaded, tmp_path)
    torch.testing.assert_close(answer(loaded), answer(host))


def test_without_insert_transformers_warns(saved, monkeypatch):
    told = []
    monkeypatch.setattr(logging.Logger, "warning", lambda log, text, *others: told.append(text))
    loaded = SegformerForSemanticSegmentation.from_pretrained(saved[1] / "one")
    assert "inserted._extra_state" in "".join(map(str, told))
    assert not torch.allclose(answer(loaded), answer(saved[0]), atol=1e-5)
    assert not pixelwise.verify(loaded, PICTURE).ok


def test_a_class_that_inserts_while_transformers_builds_it_stops(saved):
    class Own(SegformerForSemanticSegmentation):
        def __init__(self, config):
            super().__init__(config)
            pixelwise.insert(self, PLAN)

    with pytest.raises(InputError, match=r"meta device, .*; insert when they are loaded"):
        Own.from_pretrained(saved[1] / "one")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"gradient_checkpointing": True},
        {"load_best_model_at_end": True, "eval_strategy": "steps", "eval_steps": 1},
    ],
    ids=["plain", "gradient checkpointing", "best at end"],
)
def test_trainer_trains_and_saves_insertions(tmp_path, options):
    pytest.importorskip("accelerate")
    from transformers import Trainer, TrainingArguments

    host = inserted()
    last = host.inserted.attached()[-1]
    before = last.gain.item()
    arguments = TrainingArguments(
        tmp_path,
        max_steps=2,
        save_steps=1,
        report_to=[],
        use_cpu=True,
        learning_rate=0.01,
        **options,
    )
    trainer = Trainer(host, arguments, train_dataset=Pictures(), eval_dataset=Pictures())
    trainer.train()
    trainer.save_model(tmp_path / "final")
    assert last.gain.item() != before
    loaded = SegformerForSemanticSegmentation.from_pretrained(tmp_path / "final")
    pixelwise.insert(loaded, tmp_path / "final")
    assert torch.equal(answer(loaded), answer(host))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_insertions_stand_beside_the_adapters_of_peft(tmp_path):
    peft = pytest.importorskip("peft")
    adapted = peft.get_peft_model(network(), peft.LoraConfig(target_modules=["q_proj"])).eval()
    report = pixelwise.insert(adapted.get_base_model(), PLAN)
    optimizer = torch.optim.SGD([p for p in adapted.parameters() if p.requires_grad], 0.1)
    adapted(PICTURE).logits.square().mean().backward()
    optimizer.step()
    adapted.save_pretrained(tmp_path)
    report.save(tmp_path / "attention.safetensors")
    loaded = peft.PeftModel.from_pretrained(network(), tmp_path)
    found = pixelwise.insert(loaded.get_base_model(), tmp_path / "attention.safetensors")
    assert torch.equal(answer(loaded), answer(adapted))
    assert found.attached()[0].gain.item() != 0
    torch.testing.assert_close(answer(loaded.merge_and_unload()), answer(adapted))
