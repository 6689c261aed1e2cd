"""The page in a browser: click, drop, brush and save, keyboard, languages, a narrow window."""

import json
import re
import shutil
import threading
import time
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from serve_client import NAMES, made

from pixelwise.serve.running import Server
from pixelwise.serve.saving import collection_for
from pixelwise.serve.served import Served

PAGE = files("pixelwise.serve").joinpath("page")
SCRIPTS = sorted(file.name for file in PAGE.iterdir() if file.name.endswith(".js"))
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
READY = "#board:not([hidden])"


def words_of(name):
    """The words of a language: the object literal in its module is JSON."""
    return json.loads(re.search(r"= (\{.*\});", PAGE.joinpath(name).read_text("utf-8"), re.S)[1])


def test_both_languages_say_all_words():
    english, chinese = words_of("words_en.js"), words_of("words_zh.js")
    assert list(english) == list(chinese)
    for key, text in english.items():
        assert text.strip(), key
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", chinese[key]))
        assert re.search(r"[\u4e00-\u9fff]", chinese[key]), key
    html = PAGE.joinpath("index.html").read_text("utf-8")
    used = set(re.findall(r'data-(?:word|label)="(\w+)"', html))
    for name in SCRIPTS:
        text = PAGE.joinpath(name).read_text("utf-8")
        used |= set(re.findall(r'word\("(\w+)"', text))
    assert used <= set(english)


def test_the_page_asks_nobody_else_and_has_no_inline_script():
    for file in PAGE.iterdir():
        text = file.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search("https?:", text), file.name
    html = PAGE.joinpath("index.html").read_text("utf-8")
    assert not re.search(r"\son\w+=|\sstyle=|<script(?![^>]* src=)|<style", html)
    assert html.count('<link rel="stylesheet" href="style.css">') == 1
    assert html.count('<script type="module" src="main.js"></script>') == 1


def test_modules_can_be_joined_into_one_script():
    names = []
    for script in SCRIPTS:
        text = PAGE.joinpath(script).read_text("utf-8")
        imports = [line for line in text.splitlines() if re.match(r"\s*import\b", line)]
        for line in imports:
            assert re.fullmatch(r'import \{ [\w, ]+ \} from "\./\w+\.js";', line), line
        exports = [line for line in text.splitlines() if line.startswith("export")]
        for line in exports:
            assert re.match(r"export (async function|function|class|const) \w", line), line
        assert ("fetch(" in text) == (script == "server_source.js")
        names += re.findall(
            r"^(?:export )?(?:async )?(?:function|class|const|let) (\w+)", text, re.M
        )
    assert len(names) == len(set(names))


@pytest.fixture(scope="module")
def place(tmp_path_factory, network):
    """A server of two runs that saves, with two pictures, and its folder."""
    folder = tmp_path_factory.mktemp("page")
    random = np.random.default_rng(0)
    listed = []
    for name in ("a.png", "街景.png"):
        Image.fromarray(random.integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(folder / name)
        listed.append(folder / name)
    saving = collection_for(network, folder / "saved")
    served = Served([("one", network), ("two", made(seed=1))], listed, saving=saving)
    server = Server(served, port=0)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.ready:
        time.sleep(0.02)
    yield server, folder
    server.stop()
    thread.join(10)


@pytest.fixture(scope="module")
def chromium():
    if CHROMIUM is None:
        pytest.skip("no chromium here")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


def is_wrong(said):
    """Whether a line of the console is an error of the page: refused pictures are none."""
    return said.type == "error" and "400 (Bad Request)" not in said.text


@pytest.fixture
def shown(chromium, place):
    """Opens the page; its errors, and requests to anybody else, fail the test."""
    server, _ = place
    contexts, wrong = [], []

    def open_page(width=1280, height=800, locale="en-GB", **options):
        size = {"width": width, "height": height}
        context = chromium.new_context(viewport=size, locale=locale, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: is_wrong(said) and wrong.append(said.text))
        page.on("request", lambda asked: server.address in asked.url or wrong.append(asked.url))
        page.goto(server.address)
        page.wait_for_selector(READY)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


@pytest.mark.slow
def test_a_click_shows_probabilities_and_layers(shown):
    page = shown()
    assert page.title() == "one | two \N{EN DASH} pixelwise"
    assert page.locator("#classes .name").all_inner_texts() == list(NAMES)
    page.locator("#board").click(position={"x": 100, "y": 80})
    page.wait_for_selector("button.layer")
    assert page.locator("#answers h3").all_inner_texts() == ["one", "two"]
    shares = [float(t.rstrip(" %")) for t in page.locator(".bar .number").all_inner_texts()]
    assert sum(shares[:3]) == pytest.approx(100, abs=0.2)
    assert page.locator("button.layer").count() == 2  # the gates of channels are no button
    page.locator("button.layer").nth(1).click()
    assert page.locator("[data-view=look]").get_attribute("aria-checked") == "true"
    assert page.locator("#marks circle.half").count() == 2  # dark and light
    first = page.inner_text("#pixel-title")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    row, column = (int(n) for n in re.findall(r"\d+", first))
    page.locator("#pixel-title", has_text=f"Row {row + 10}, column {column + 1}").wait_for()


@pytest.mark.slow
def test_keys_and_switches(shown):
    page = shown()
    before = page.input_value("#opacity")
    page.focus("#stage")
    page.keyboard.press("+")
    assert int(page.input_value("#opacity")) == int(before) + 5
    page.keyboard.press("2")
    assert page.locator("#classes [aria-pressed=true] .name").inner_text() == "road"
    page.keyboard.press("p")
    assert page.locator("[data-view=class]").get_attribute("aria-checked") == "true"
    page.keyboard.press("?")
    assert page.locator("#help").evaluate("one => one.open")
    page.keyboard.press("Escape")
    page.keyboard.press("m")
    clear = "() => new Uint32Array(overlay.getContext('2d').getImageData(0, 0, 80, 60).data.buffer)"
    assert page.evaluate(f"({clear})().some((value) => value)")
    page.click("#all-off")
    assert not page.evaluate(f"({clear})().some((value) => value)")
    page.click("#all-on")
    for palette in ("okabe", "tol", "ordered"):
        page.select_option("#palette", palette)
    colours = page.locator(".swatch").evaluate_all("all => all.map((one) => one.style.background)")
    assert colours[0] != colours[1] != colours[2]
    page.select_option("#zoom", "4")
    assert page.locator("#board").bounding_box()["width"] > 2000


@pytest.mark.slow
def test_brush_undo_erase_and_save(shown, place):
    page = shown()
    page.keyboard.press("b")
    page.keyboard.press("3")
    page.keyboard.press("]")
    area = page.locator("#board").bounding_box()
    scale = area["width"] / 80

    def stroke(row, column, to):
        page.mouse.move(area["x"] + (column + 0.5) * scale, area["y"] + (row + 0.5) * scale)
        page.mouse.down()
        page.mouse.move(area["x"] + (to + 0.5) * scale, area["y"] + (row + 0.5) * scale, steps=4)
        page.mouse.up()

    stroke(20, 20, 40)
    page.keyboard.press("e")
    stroke(45, 20, 40)
    page.keyboard.press("e")
    stroke(5, 5, 10)
    page.keyboard.press("z")
    page.click("#save")
    page.locator("#status", has_text="Saved: ").wait_for()
    saved = place[1] / "saved"
    name = re.search(r"masks/\S+", page.inner_text("#status"))[0]
    mask = np.array(Image.open(saved / name))
    assert mask.shape == (60, 80)
    assert (mask[20, 20:41] == 2).all()
    assert (mask[45, 20:41] == 255).all()
    page.keyboard.press("y")
    page.click("#save")
    page.locator("#status", has_text="Saved: ").wait_for()
    again = np.array(Image.open(saved / re.search(r"masks/\S+", page.inner_text("#status"))[0]))
    assert (again[5, 5:11] == 2).all()
    changed = np.argwhere(again != mask)
    assert changed[:, 0].max() < 20


@pytest.mark.slow
def test_a_dropped_picture_is_opened_and_a_wrong_one_is_one_line(shown, place):
    page = shown()
    content = list(Path(place[1] / "a.png").read_bytes())
    drop = """([bytes, name]) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], name));
        document.dispatchEvent(new DragEvent("drop", { dataTransfer: data, cancelable: true }));
    }"""
    page.evaluate(drop, [content, "拖放.png"])
    page.locator("#status", has_text="拖放.png: 80").wait_for()
    assert page.locator("#pictures [aria-current]").count() == 0
    page.evaluate(drop, [[1, 2, 3], "坏.png"])
    page.locator("#message", has_text="坏.png: cannot be read").wait_for()
    assert page.inner_text("#status").startswith("拖放.png")
    page.set_input_files("#file", place[1] / "街景.png")
    page.locator("#status", has_text="街景.png: 80").wait_for()


@pytest.mark.slow
def test_chinese_by_the_browser_and_by_the_switch(shown):
    page = shown(locale="zh-CN")
    assert page.get_attribute("html", "lang") == "zh"
    assert page.inner_text("[data-view=mask]") == "掩码"
    assert page.get_attribute("#stage", "aria-label").startswith("图片")
    page.locator("#board").click()
    page.wait_for_selector("button.layer")
    assert re.fullmatch(r"第 \d+ 行.第 \d+ 列", page.inner_text("#pixel-title"))
    page.click("#language")
    assert page.inner_text("[data-view=mask]") == "Mask"
    assert page.inner_text("#pixel-title").startswith("Row ")
    page.reload()
    page.wait_for_selector(READY)
    assert page.get_attribute("html", "lang") == "en"  # the choice is kept


@pytest.mark.slow
def test_a_phone_in_the_dark(shown):
    page = shown(390, 844, has_touch=True, is_mobile=True, color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 24, 28)"
    page.locator("#board").tap()
    page.wait_for_selector("button.layer")
    assert page.locator(".bar").first.bounding_box()["width"] <= 390
    small = page.locator("button:visible").evaluate_all(
        "all => all.filter((one) => one.getBoundingClientRect().height < 32).map((one) => one.id)"
    )
    assert small == []


@pytest.mark.slow
def test_everything_has_a_name(shown):
    """Buttons, fields and areas say what they are to who does not see them."""
    page = shown()
    page.locator("#board").click()
    page.wait_for_selector("button.layer")
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, [role]")].filter((one) =>
            one.checkVisibility() && !one.getAttribute("aria-label") && !one.textContent.trim()
            && !(one.labels && [...one.labels].some((label) => label.textContent.trim()))
            && one.id !== "busy" && one.id !== "message"
        ).map((one) => one.outerHTML)"""
    )
    assert nameless == []
