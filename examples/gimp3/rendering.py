"""A render on a thread of its own, which tells GTK's thread how it goes.

The plugin's calls release Python's lock, so windows stay alive. The thread touches neither GTK nor GIMP: what it has to
say is posted to the main loop, and of its reports only the newest is kept until the main loop has time for it.
"""

import threading
from dataclasses import dataclass

from gi.repository import GLib

import library
from library import Failure, Job, Pixels
from translation import _


@dataclass
class Report:
    """How far a render has come; `preview` is the newest there was."""

    fraction: float
    seconds_left: float
    stage: str
    preview: Pixels | None


class Rendering(threading.Thread):
    """`on_report(Report)` and, once, `on_end(status, picture, warnings, failure)` are called by the main loop; of
    picture and failure one is None. `prepare(job)`, if there is one, is called on the thread before it renders."""

    def __init__(self, plugin, filter_id, settings, content, styles, on_report, on_end, prepare=None):
        super().__init__(name="pentimento render", daemon=True)
        self._plugin, self._filter_id, self._settings = plugin, filter_id, settings
        self._content, self._styles = content, styles
        self._on_report, self._on_end, self._prepare = on_report, on_end, prepare
        self._wish = library.CONTINUE
        self._warnings = []
        self._lock, self._newest, self._preview = threading.Lock(), None, None

    def end(self, how):
        """Asks it to end: library.STOP or library.CANCEL. It does within one evaluation of the network."""
        # What was cancelled is not stopped instead.
        self._wish = max(self._wish, how)

    def run(self):
        status = picture = failure = None
        try:
            with Job(self._plugin, self._filter_id) as job:
                for parameter, value in self._settings:
                    job.set(parameter, value)
                if self._prepare:
                    self._prepare(job)
                status, picture = job.render(self._content, self._styles, self._progress, self._warnings.append)
        except Failure as error:
            failure = error
        except MemoryError:
            failure = Failure(_("There is not enough memory for the picture itself."))
        except Exception as error:
            # A defect; without an end the window would wait for ever.
            failure = Failure(f"{type(error).__name__}: {error}")
        GLib.idle_add(self._on_end, status, picture, self._warnings, failure)

    def _progress(self, progress):
        preview = library.copied_preview(progress)
        stage = progress.stage.decode(errors="replace") if progress.stage else ""
        with self._lock:
            self._preview = preview or self._preview
            if self._newest is None:
                GLib.idle_add(self._deliver)
            self._newest = Report(progress.fraction, progress.seconds_left, stage, self._preview)
        return self._wish

    def _deliver(self):
        with self._lock:
            report, self._newest = self._newest, None
        self._on_report(report)
        return GLib.SOURCE_REMOVE
