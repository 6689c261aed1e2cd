import threading

import pytest
from test_images import Brightest, picture

from pixelwise.errors import InputError
from pixelwise.language import current, speaking
from pixelwise.outputs import Outputs
from pixelwise.predict.images import predict_pictures
from pixelwise.predict.writing import MOST, WAITING, Writing, written

SOON = 10.0


def test_the_next_result_is_made_while_the_last_one_is_written():
    begun = threading.Event()

    def write():
        assert begun.wait(SOON)

    def found():
        yield Writing("a", write)
        begun.set()  # nobody comes here before `write` ends, unless both go on at once
        yield Writing("b", lambda: None)

    assert list(written(found())) == ["a", "b"]


def test_few_results_wait_and_large_ones_do_not():
    order = []

    def found(pixels):
        for i in range(6):
            order.append(f"made {i}")
            yield Writing(i, lambda i=i: order.append(f"wrote {i}"), pixels)

    assert list(written(found(MOST + 1))) == [*range(6)]
    assert order == [f"{did} {i}" for i in range(6) for did in ("made", "wrote")]

    held = threading.Event()
    made = []

    def many():
        for i in range(6):
            made.append(i)
            if i == WAITING:
                held.set()
            yield Writing(i, lambda: None if held.wait(SOON) else pytest.fail("too few wait"))

    assert list(written(many())) == [*range(6)]


def test_writing_speaks_the_language_of_whoever_asks():
    spoken = []
    with speaking("zh"):
        list(written(iter([Writing(0, lambda: spoken.append(current()))])))
    assert spoken == ["zh"]


def test_errors_come_in_the_place_of_their_result():
    def refuse():
        raise InputError("b.png: cannot be written (full); choose another folder")

    def found():
        yield Writing("a", lambda: None)
        yield Writing("b", refuse)
        yield Writing("c", lambda: None)

    results = written(found())
    assert next(results) == "a"
    with pytest.raises(InputError, match=r"^b\.png: cannot be written"):
        next(results)


def test_an_error_of_the_network_comes_after_the_results_before_it():
    wrote = []

    def found():
        yield Writing("a", lambda: wrote.append("a"))
        yield Writing("b", lambda: wrote.append("b"))
        raise RuntimeError("memory")

    results = written(found())
    assert [next(results), next(results)] == wrote == ["a", "b"]
    with pytest.raises(RuntimeError, match="memory"):
        next(results)


def test_an_interruption_finishes_the_file_at_hand_and_drops_what_waits():
    begun, go_on, wrote = threading.Event(), threading.Event(), []

    def slow():
        begun.set()
        assert go_on.wait(SOON)
        wrote.append("a")

    def found():
        yield Writing("a", slow)
        yield Writing("b", lambda: wrote.append("b"))
        assert begun.wait(SOON)
        threading.Timer(0.1, go_on.set).start()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(written(found()))
    assert wrote == ["a"]
    assert not [t for t in threading.enumerate() if t.name.startswith("pixelwise-writer")]


class Interrupted(Brightest):
    """Is interrupted at the third picture."""

    def forward(self, image):
        if len(self.sizes) == 2:
            raise KeyboardInterrupt
        return super().forward(image)


def test_an_interrupted_prediction_leaves_whole_files_and_can_be_repeated(tmp_path):
    inputs = [tmp_path / f"{i}.png" for i in range(4)]
    for i, path in enumerate(inputs):
        picture(path, seed=i)
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        list(predict_pictures(Interrupted().eval(), inputs, out))
    assert not list(out.glob(".*.part"))
    assert {path.name for path in out.glob("*.png")} <= {
        f"{i}{end}.png" for i in range(2) for end in ("", "_overlay")
    }
    assert len(list(predict_pictures(Brightest().eval(), inputs, out))) == 4
    with Outputs(out, "predict") as outputs:
        outputs.check(path.name for path in out.glob("*.png"))
