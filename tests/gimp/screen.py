"""A painter at the screen of a GIMP: run by `tests/tests/gimp3.rs` and `gimp2_screen.rs` under Xvfb.

    screen.py FOLDER PROGRAM DISPLAY

It starts the program on that display, opens the filter from the menu by keyboard, looks at the preview, renders, stops,
undoes, cancels, and kills the plug-in in mid-render, saving the image each time; and it turns and deletes layers while
they are painted. FOLDER holds `canvas.xcf`, of three layers; the saved images are left there as `NAME.xcf`, and
screenshots as `NAME.png`. What the images must hold is judged by the caller, in a GIMP without a window.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

DIALOG, PROGRESS, MESSAGE = "^Neural Style Transfer$", "^Neural Style Transfer: ", "^GIMP Message$"
PATIENCE = 60
# Of the preview's pixels, of which there are 60000: more than half, and what a tooltip takes.
MUCH, LITTLE = 30000, 10000


class Failed(Exception):
    """What did not happen."""


def wait(what, happened, patience=PATIENCE):
    """Waits until `happened()` is true, and returns what it returned."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        result = happened()
        if result:
            return result
        time.sleep(0.2)
    raise Failed(f"{what}: not within {patience} s")


def xdotool(*arguments):
    ran = subprocess.run(["xdotool", *arguments], capture_output=True, text=True)
    return ran.stdout.split() if ran.returncode == 0 else []


def windows(title):
    return xdotool("search", "--onlyvisible", "--name", title)


def open_window(title):
    """Waits for a window, and gives it the keyboard."""
    window = wait(f"a window {title}", lambda: windows(title))[0]
    xdotool("windowactivate", "--sync", window)
    return window


def gone(title):
    wait(f"the window {title} closes", lambda: not windows(title))


def press(*keys):
    for key in keys:
        xdotool("key", "--clearmodifiers", key)
        # Menus open at their own pace.
        time.sleep(0.7)


class Painter:
    """Sits before GIMP with the image open."""

    def __init__(self, folder):
        self._folder, self._canvas = folder, folder / "canvas.xcf"

    def screenshot(self, name):
        subprocess.run(["import", "-window", "root", self._folder / f"{name}.png"], check=True)

    def open_dialog(self):
        open_window("canvas.xcf")
        # Filters, Artistic, Neural Style Transfer.
        press("alt+r", "a", "n")
        open_window(DIALOG)

    def shot_of_preview(self, name):
        """Of the open dialog the left, in which the preview is."""
        path = self._folder / f"preview-{name}.png"
        subprocess.run(["import", "-window", windows(DIALOG)[0], "-crop", "350x0+0+0", "+repage", path], check=True)
        return path

    def look_at_preview(self):
        """In the open dialog sees the preview appear, the original while it is held, and the preview again."""
        size = dict(line.split("=") for line in xdotool("getwindowgeometry", "--shell", windows(DIALOG)[0]))
        # The picture lies above the middle.
        xdotool("mousemove", "--window", windows(DIALOG)[0], "170", str(int(size["HEIGHT"]) * 2 // 5))
        # Until the preview is finished, it may change at any time.
        wait("the preview shows the original while it is held, and then itself again", self._preview_can_be_held)

    def _preview_can_be_held(self):
        painted = self.shot_of_preview("painted")
        xdotool("mousedown", "1")
        time.sleep(1)
        held = self.shot_of_preview("held")
        xdotool("mouseup", "1")
        time.sleep(1)
        again = self.shot_of_preview("again")
        return pixels_that_differ(painted, held) > MUCH and pixels_that_differ(painted, again) <= LITTLE

    def render(self, *choices):
        """Opens the dialog, presses these keys, and begins a render; returns when a first picture has had time to
        show."""
        self.open_dialog()
        press(*choices)
        press("alt+n")
        open_window(PROGRESS)
        time.sleep(4)

    def read_message(self):
        """Closes what GIMP has to say, if anything."""
        time.sleep(1)
        if windows(MESSAGE):
            open_window(MESSAGE)
            press("Return")

    def save(self, name):
        """Saves the image as it is, for the caller to look at."""
        open_window("canvas.xcf")
        before = self._canvas.stat().st_mtime_ns
        press("ctrl+s")
        wait("the image is saved", lambda: self._canvas.stat().st_mtime_ns != before)
        wait("the image is saved in full", lambda: not windows(r"^\*.*canvas\.xcf"))
        shutil.copy(self._canvas, self._folder / f"{name}.xcf")


def pixels_that_differ(one, other):
    """In how many pixels two pictures of one size differ, to the eye."""
    command = ["compare", "-metric", "AE", "-fuzz", "2%", one, other, "null:"]
    ran = subprocess.run(command, capture_output=True, text=True)
    return float(ran.stderr)


def plug_in_processes():
    """Those of this display: other tests have plug-ins too."""
    display = f"DISPLAY={os.environ['DISPLAY']}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command, environment = ((process / name).read_bytes() for name in ("cmdline", "environ"))
        except OSError:
            continue
        ours = display in environment.split(b"\0")
        if ours and b"plug-ins/pentimento/pentimento" in command and b"-run" in command:
            found.append(int(process.name))
    return found


def play(folder):
    painter = Painter(folder)
    open_window("canvas.xcf")

    painter.open_dialog()
    painter.look_at_preview()
    painter.screenshot("dialog")
    press("Escape")
    gone(DIALOG)

    painter.render()
    painter.screenshot("progress")
    press("alt+s")
    gone(PROGRESS)
    painter.save("stopped")
    painter.screenshot("result")

    press("ctrl+z")
    painter.save("undone")

    painter.render()
    press("alt+c")
    gone(PROGRESS)
    painter.screenshot("cancelled")
    shutil.copy(folder / "canvas.xcf", folder / "cancelled.xcf")
    if windows(r"^\*.*canvas\.xcf"):
        raise Failed("a cancelled render leaves the image as it was; it is marked as changed")

    painter.render()
    [process] = plug_in_processes()
    os.kill(process, signal.SIGKILL)
    gone(PROGRESS)
    painter.read_message()
    if windows(r"^\*.*canvas\.xcf"):
        raise Failed("a killed render leaves the image as it was; it is marked as changed")
    # GIMP goes on: the next render works, to its end.
    painter.render()
    press("alt+s")
    gone(PROGRESS)
    painter.save("after_kill")

    # In the list of style layers the one below that which is proposed.
    painter.render("alt+y", "Down")
    # GIMP is in use while it renders: Image, Transform, Rotate 90° clockwise.
    open_window("canvas.xcf")
    press("alt+i", "t", "c")
    open_window(PROGRESS)
    press("alt+s")
    gone(PROGRESS)
    painter.read_message()
    painter.save("rotated")

    # A layer that is deleted while it is being painted is told of: Layer, Delete Layer.
    painter.render()
    open_window("canvas.xcf")
    press("alt+l", "d")
    open_window(PROGRESS)
    press("alt+s")
    gone(PROGRESS)
    open_window(MESSAGE)
    painter.screenshot("deleted")


def main():
    folder, program, display = Path(sys.argv[1]), *sys.argv[2:]
    os.environ["DISPLAY"] = display
    started = []
    try:
        for command in (["Xvfb", display, "-screen", "0", "1280x960x24"], ["openbox"],
                        [program, "--new-instance", "--no-splash", folder / "canvas.xcf"]):
            log = open(folder / f"{command[0]}.log", "w")
            started.append(subprocess.Popen(command, stdout=log, stderr=log))
            time.sleep(1)
        play(folder)
        if started[-1].poll() is not None:
            raise Failed("GIMP has ended")
    except Failed as failure:
        subprocess.run(["import", "-window", "root", folder / "failed.png"])
        sys.exit(f"{failure}\n{(folder / f'{program}.log').read_text()[-3000:]}")
    finally:
        for process in reversed(started):
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
