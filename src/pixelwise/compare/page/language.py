"""What the page says in two languages, side by side where it is said."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pixelwise.compare.phrases import UNITS
from pixelwise.compare.words import Language

FACTS = {
    "data": "数据集",
    "pictures": "图片",
    "classes": "类别",
    "split": "评分所用部分",
    "network": "网络",
    "places": "插入位置",
    "task": "任务",
    "recipe": "训练方案",
    "batch": "批大小",
    "crop": "训练裁剪尺寸",
    "size": "测量尺寸",
    "learning rate": "峰值学习率",
    "learning rates tried": "试用的学习率倍数",
    "precision": "精度",
    "augmentation": "数据增强",
    "loss": "损失函数",
    "parameters": "参数量",
    "backbone weights": "骨干网络初始权重",
    "budget": "总预算",
    "seeds": "随机种子",
    "length of a run": "每次运行的长度",
    "further settings": "其他设置",
    "device": "设备",
    "date": "日期",
    "cpu": "处理器",
    "cores": "核心数",
    "processor": "处理器",
    "threads": "线程数",
    "memory": "内存",
    "system": "操作系统",
    "time of all runs": "全部运行耗时",
}
"""Names of facts; those that are not here, such as PyTorch, are the same in both."""


EACH = {"each stage": "每个阶段"}
"""Places that are words."""


@dataclass(frozen=True)
class Speech:
    """Says everything in one language."""

    language: Language

    def __call__(self, english: str, chinese: str) -> str:
        """One of the two."""
        return english if self.language == "en" else chinese

    def fact(self, name: str) -> str:
        """The name of a fact."""
        return self(name, FACTS.get(name, name))

    def facts(self, values: Mapping[str, str]) -> dict[str, str]:
        """Facts with their names."""
        return {self.fact(name): value for name, value in values.items()}

    def places(self, names: Iterable[str]) -> str:
        """Where layers stand."""
        told = (
            self(f"stage {name}", f"第 {name} 阶段")
            if name.isdigit()
            else self(name, EACH.get(name, name))
            for name in names
        )
        return self.listed(told)

    def listed(self, names: Iterable[str]) -> str:
        """Names one after the other."""
        return self(", ", "、").join(names)

    def joined(self, sentences: Iterable[str]) -> str:
        """Sentences one after the other, each with its full stop."""
        return self(" ", "").join(sentences)

    def unit(self, unit: str) -> str:
        """A score's unit."""
        return unit if self.language == "en" else UNITS.get(unit, unit)
