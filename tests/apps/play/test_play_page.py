"""The page in a browser, if there is one, and the errors of `hopfax play` if the page cannot be served."""

import re
import shutil
import socket
import subprocess
import sys
import webbrowser

import pytest

from hopfax import data
from hopfax.apps import play
from hopfax.apps.cli import run
from hopfax.apps.play import patterns, serving

PATIENCE = 180_000  # milliseconds; the functions of the page are compiled at their first call
CHROMIUM = shutil.which("chromium")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="Debian's chromium is not installed")


@pytest.fixture
def without_anywidget(monkeypatch):
    """As if anywidget were not installed."""
    monkeypatch.setattr(serving, "NEEDED", ("anywidget",))
    monkeypatch.setitem(sys.modules, "anywidget", None)


@pytest.fixture
def installed(monkeypatch):
    """As if the extra were installed; a list of what would have been served and opened."""
    done = []
    monkeypatch.setattr(serving, "check_installed", lambda: None)
    monkeypatch.setattr(serving, "serve", lambda listening: done.append(listening.getsockname()))
    monkeypatch.setattr(webbrowser, "open", done.append)
    return done


def test_a_missing_extra_is_named_in_one_line(without_anywidget, capsys):
    assert run(["play", "--no-browser"]) == 2
    printed = capsys.readouterr()
    assert not printed.out
    assert printed.err.count("\n") == 1
    assert "anywidget" in printed.err
    assert "pip install 'hopfax[play]'" in printed.err


def test_the_page_listens_to_this_machine_only_and_is_opened(installed, capsys):
    assert run(["play", "--port", "0"]) == 0
    url, (host, port) = installed
    assert (host, url) == ("127.0.0.1", f"http://127.0.0.1:{port}/")
    assert url in capsys.readouterr().out


def test_no_browser_is_opened_with_the_option(installed):
    assert run(["play", "--port", "0", "--no-browser"]) == 0
    assert len(installed) == 1


@pytest.mark.parametrize("port", ["-1", "65536"])
def test_an_invalid_port_is_refused(installed, capsys, port):
    assert run(["play", "--port", port, "--no-browser"]) == 2
    assert f"--port must lie in [0, 65535], got {port}" in capsys.readouterr().err


def test_a_port_that_is_taken_is_refused_with_a_remedy(installed, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["play", "--port", str(port), "--no-browser"]) == 2
    assert f"127.0.0.1:{port} cannot be used" in capsys.readouterr().err
    assert not installed


def test_ipv6_addresses_are_in_brackets():
    if not socket.has_ipv6:
        pytest.skip("no IPv6 on this machine")
    with socket.socket(socket.AF_INET6) as unbound:  # at [::], port 0
        assert serving.address(unbound) == "http://[::]:0/"


@pytest.fixture(scope="module")
def address():
    """The address of a page that is being served."""
    for name in serving.NEEDED:
        pytest.importorskip(name)
    command = [sys.executable, "-m", "hopfax", "play", "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        yield re.search(r"http://\S+", server.stdout.readline()).group()
        server.terminate()


@pytest.fixture(scope="module")
def browser():
    """Debian's chromium, driven by Playwright."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def page(browser, address):
    """The page after it is drawn; its errors are in `page.errors`."""
    return open_page(browser, address, width=1180, scheme="light")


def open_page(browser, address, width, scheme):
    page = browser.new_page(viewport={"width": width, "height": 2900}, color_scheme=scheme)
    page.errors = []
    ours = (address, address.replace("http", "ws"), "data:", "blob:")
    page.on("console", lambda message: page.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("request", lambda to: None if to.url.startswith(ours) else page.errors.append(to.url))
    page.goto(address, timeout=PATIENCE)
    page.wait_for_selector("#methods tbody tr", timeout=PATIENCE)
    page.wait_for_selector(".hopfax-plane .minima path", state="attached", timeout=PATIENCE)
    return page


def wait_for_text(page, name, text):
    """Wait until the element with the id `name` has this text."""
    page.wait_for_function(
        "([id, text]) => document.getElementById(id)?.textContent === text",
        arg=[name, text],
        timeout=PATIENCE,
    )


def wait_for_change(page, name, act):
    """Call `act` and wait until the text of the element with the id `name` has changed."""
    before = page.inner_text(f"#{name}")
    act()
    page.wait_for_function(
        "([id, text]) => document.getElementById(id)?.textContent !== text",
        arg=[name, before],
        timeout=PATIENCE,
    )


@pytest.mark.slow
@needs_browser
def test_the_page_shows_the_thresholds_of_the_stored_patterns(page):
    stored, _ = patterns.stored_digits(data.digits(), 1)
    expected, exact = (
        play.equidistant_thresholds(stored),
        play.equidistant_thresholds(patterns.arranged_points("triangle")),
    )
    for name in ("spinodal", "coexistence", "instability"):
        assert page.inner_text(f"#memory-{name}") == f"{getattr(expected, name):.3f}"
        assert page.inner_text(f"#plane-{name}") == f"{getattr(exact, name):.3f}"
    assert page.locator(".hopfax-strip figure").count() > 4
    assert page.locator("#methods tbody tr").count() == 3
    sweeps = [int(row) for row in page.locator("#methods tbody tr td:nth-child(2)").all_inner_texts()]
    assert sweeps[1] < sweeps[0]
    assert page.inner_text("#methods-they-end-at") == "one equilibrium"
    assert not page.errors


@pytest.mark.slow
@needs_browser
def test_beta_takes_the_memory_from_averaging_to_single_patterns(page):
    slider = page.get_by_role("slider").first
    for key, regime, minima in (("Home", "averaging", "1"), ("End", "single pattern", "10")):
        slider.press(key)
        wait_for_text(page, "memory-regime-of-the-memory", regime)
        wait_for_text(page, "memory-minima", minima)
    wait_for_text(page, "recall-recall-ends-at", "one pattern")
    assert not page.errors


@pytest.mark.slow
@needs_browser
def test_drawing_and_clearing_change_the_recall(page):
    query = page.locator(".hopfax-strip svg").first
    for act in (
        lambda: page.locator(".hopfax-pad svg").click(position={"x": 100, "y": 210}),
        page.get_by_role("button", name="clear all").click,
    ):
        before = query.inner_html()
        act()
        page.wait_for_function(
            "before => document.querySelector('.hopfax-strip svg').innerHTML !== before",
            arg=before,
            timeout=PATIENCE,
        )
    assert query.locator("rect").count() == 0
    assert not page.errors


@pytest.mark.slow
@needs_browser
def test_patterns_are_moved_by_keys_and_by_mouse(page):
    wait_for_text(page, "plane-thresholds-are", "exact")
    first = page.get_by_role("button", name="pattern 1")
    wait_for_change(page, "plane-spinodal", lambda: first.press("ArrowUp"))
    wait_for_text(page, "plane-thresholds-are", "a first guess")
    box = first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def drag():
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 10, y + 40, steps=4)  # the last position is sent, but not all of the others
        page.mouse.up()

    wait_for_change(page, "plane-spinodal", drag)
    after = first.bounding_box()
    moved = after["x"] + after["width"] / 2 - x, after["y"] + after["height"] / 2 - y
    assert moved == pytest.approx((10, 40), abs=2)
    assert not page.errors


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (390, "light")])
def test_the_page_fits_a_phone_and_has_a_dark_scheme(browser, address, width, scheme):
    page = open_page(browser, address, width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shown = page.locator("h1").first.evaluate("element => getComputedStyle(element).color")
    bright = sum(map(float, re.findall(r"[\d.]+", shown)[:3])) > 3 * 127
    assert bright == (scheme == "dark")
    assert not page.errors
    page.close()
