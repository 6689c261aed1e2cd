"""Commands and their reports in Chinese; what programs read stays as it is."""

import json
import re
from html import unescape

import numpy as np
import pytest
from PIL import Image

from pixelwise.cli.main import main

ENGLISH = re.compile(r"\b(?!pixelwise )[A-Za-z]{4,} [a-z]{3,} [a-z]{2,}")
"""Three words of a sentence, not of a command to type."""


@pytest.fixture(autouse=True)
def in_chinese(monkeypatch, tmp_path):
    monkeypatch.setenv("PIXELWISE_LANG", "zh")
    monkeypatch.chdir(tmp_path)


def has_english(text):
    return ENGLISH.search(re.sub(r"pixelwise [a-z].*", "", text))  # commands are no sentences


def words_of(page):
    """What a page shows, without its style and pictures."""
    html = page.read_text("utf-8")
    assert '<html lang="zh-Hans">' in html
    body = re.sub(r"(?s)<style>.*?</style>|data:image/png;base64,[^\"]*", "", html)
    return unescape(re.sub(r"<[^>]*>", "\n", body))


@pytest.fixture
def broken(tmp_path):
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for folder in ("images", "masks"):
            (tmp_path / "set" / split / folder).mkdir(parents=True)
        for i in range(3):
            image = rng.integers(0, 255, (48, 48, 3), dtype=np.uint8)
            mask = np.zeros((48, 48 if i else 40), np.uint8)
            mask[10:30, 10:30] = 7
            Image.fromarray(image).save(tmp_path / "set" / split / "images" / f"{i}.png")
            if i < 2:
                Image.fromarray(mask).save(tmp_path / "set" / split / "masks" / f"{i}.png")
    text = "train: train/images\nval: val/images\nnames: {0: ground, 1: house}\n"
    (tmp_path / "set" / "data.yaml").write_text(text, encoding="utf-8")
    return tmp_path / "set"


def test_check_data(broken, tmp_path, capsys, monkeypatch):
    assert main(["check-data", str(broken), "--out", "zh", "--workers", "0"]) == 1
    told = capsys.readouterr().out
    assert (
        "阻止  mask-missing：'train' 的 3 张图像中有 1 张没有掩码（train/images/2.png）；" in told
    )
    assert "阻止  sizes-differ：2 张掩码的尺寸与图像不同，第一张为 48 x 40 对 48 x 48" in told
    assert told.splitlines()[-1].startswith("不得开始训练：")
    assert not has_english(told)
    words = words_of(tmp_path / "zh" / "report.html")
    assert "阻止训练的问题" in words
    assert "解决办法：请绘制掩码，或把这些图像移出文件夹。" in words
    assert not has_english(words)
    monkeypatch.setenv("PIXELWISE_LANG", "en")
    assert main(["check-data", str(broken), "--out", "en", "--workers", "0"]) == 1
    files = [(tmp_path / name / "findings.json").read_bytes() for name in ("zh", "en")]
    assert files[0] == files[1]


def test_train_and_evaluate(tmp_path, capsys):
    data = "scenes:train=4,val=3,size=64"
    words = "--model fcn --backbone test_resnet.r160_in1k --attention psa_s --steps 2 --crop 64"
    known = [*words.split(), "--device", "cpu", "--workers", "0", "--batch-size", "2"]
    assert main(["train", "--data", data, *known, "--name", "a"]) == 0
    told = capsys.readouterr().out
    assert "数据    scenes：4 张训练图像和 3 张验证图像，7 个类别，忽略值 255\n" in told
    assert "下一步：pixelwise predict runs/train/a PICTURES\n" in told
    assert not has_english(told)
    assert main(["evaluate", "runs/train/a", "--device", "cpu"]) == 0
    told = capsys.readouterr().out
    assert "像素准确率 " in told
    assert "页面：runs/train/a/evaluate/val/report.html" in told
    table = [line for line in told.splitlines() if line.startswith(("类别", "ground", "均值"))]
    assert len({width(line) for line in table[:2]}) == 1
    assert not has_english(told)
    folder = tmp_path / "runs" / "train" / "a" / "evaluate" / "val"
    words = words_of(folder / "report.html")
    assert "runs/train/a 的评估" in words
    assert "行为真实类别，列为预测类别，单位为真实像素的 %。" in words
    assert "接下来可以输入" in words
    assert not has_english(words)
    numbers = json.loads((folder / "metrics.json").read_text())
    assert {"miou", "accuracy", "iou"} <= set(numbers)
    assert (folder / "classes.csv").read_text("utf-8").startswith("class,iou,truth_pixels,")


def width(line):
    from pixelwise.language import cells

    return cells(line)
