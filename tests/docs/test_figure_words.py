"""Words inside of figures on Chinese pages."""

import pytest

pytest.importorskip("sphinx", reason="needs the packages of pixelwise[docs]")
from building.figure_words import in_chinese, translated


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("3×3 convolution, 2 times", "3×3 卷积，2 次"),
        ("softmax over h, w", "沿 h, w 的 softmax"),
        ("batch norm, ReLU", "批归一化, ReLU"),
        ("batch norm", "批归一化"),
        ("2048 at 1/8", "2048 于 1/8"),
        ("ms, 128 channels, measured", "ms（128 通道）"),
        ("channel query", "channel query"),
    ],
)
def test_phrases(english, chinese):
    assert in_chinese(english) == chinese


def test_only_the_words_of_figures_change():
    body = (
        '<p>linear</p><svg class="flow"><title>Flow of data through A &lt; B</title>'
        "<text><tspan>query</tspan><tspan>linear</tspan></text></svg>"
        '<div class="flow-key"><span>gate</span></div>'
    )
    assert translated(body) == (
        '<p>linear</p><svg class="flow"><title>数据流：A &lt; B</title>'
        "<text><tspan>query</tspan><tspan>线性层</tspan></text></svg>"
        '<div class="flow-key"><span>门控</span></div>'
    )
