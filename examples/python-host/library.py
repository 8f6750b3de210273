"""A Pentimento plugin in Python: the tables of pentimento.h for ctypes, and a job that speaks Python.

It needs nothing but the standard library and knows of no editor: `host.py` beside it uses it, and so does the bridge
of GIMP 3. The structures follow host-sdk/include/pentimento.h field by field; what each function may
be called from is said there. Pictures cross as `Pixels`, which own their memory for as long as a call needs it.
"""

import ctypes
from ctypes import POINTER, byref, c_char, c_char_p, c_double, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p

ABI = 1
OK, STOPPED, CANCELLED = 0, 1, 2
CONTINUE, STOP, CANCEL = 0, 1, 2
LOG_WARNING = 3
FORMAT_U8, FORMAT_U16, FORMAT_F32 = 1, 2, 4
LAYOUT_GRAY, LAYOUT_GRAY_ALPHA, LAYOUT_RGB, LAYOUT_RGBA = 1, 2, 3, 4
TRANSFER_SRGB = 1
SAMPLE_BYTES = {FORMAT_U8: 1, FORMAT_U16: 2, FORMAT_F32: 4}
CHANNELS = {LAYOUT_GRAY: 1, LAYOUT_GRAY_ALPHA: 2, LAYOUT_RGB: 3, LAYOUT_RGBA: 4}


class Failure(Exception):
    """What the user is told."""


class Table(ctypes.Structure):
    """A structure whose first field is its own size."""

    def __init__(self, **fields):
        super().__init__(struct_size=ctypes.sizeof(type(self)), **fields)


class Error(Table):
    _fields_ = [("struct_size", c_uint32), ("code", c_int32), ("text", c_char * 1024)]


class Image(Table):
    _fields_ = [("struct_size", c_uint32), ("width", c_uint32), ("height", c_uint32), ("format", c_uint32),
                ("layout", c_uint32), ("transfer", c_uint32), ("row_stride", c_int64), ("pixels", c_void_p)]


class Style(Table):
    _fields_ = [("struct_size", c_uint32), ("reserved", c_uint32), ("image", POINTER(Image)), ("weight", c_double)]


class Progress(Table):
    _fields_ = [("struct_size", c_uint32), ("level", c_uint32), ("level_count", c_uint32), ("step", c_uint32),
                ("step_count", c_uint32), ("reserved", c_uint32), ("fraction", c_double), ("loss", c_double),
                ("seconds_left", c_double), ("stage", c_char_p), ("preview", POINTER(Image))]


ProgressFunction = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(Progress))
LogFunction = ctypes.CFUNCTYPE(None, c_void_p, c_int32, c_char_p)


class Host(Table):
    _fields_ = [("struct_size", c_uint32), ("abi", c_uint32), ("context", c_void_p), ("progress", ProgressFunction),
                ("log", LogFunction), ("extension", c_void_p)]


class RenderRequest(Table):
    _fields_ = [("struct_size", c_uint32), ("style_count", c_uint32), ("content", POINTER(Image)),
                ("styles", POINTER(Style)), ("output", POINTER(Image)), ("host", POINTER(Host))]


class Size(ctypes.Structure):
    _fields_ = [("width", c_uint32), ("height", c_uint32)]


class EstimateRequest(Table):
    _fields_ = [("struct_size", c_uint32), ("style_count", c_uint32), ("content", Size), ("styles", POINTER(Size))]


class Estimate(Table):
    _fields_ = [("struct_size", c_uint32), ("reserved", c_uint32), ("seconds", c_double), ("bytes", c_uint64)]


def function(*arguments):
    """The type of a function of the plugin that returns a status and explains a failure in its last argument."""
    return ctypes.CFUNCTYPE(c_int32, *arguments, POINTER(Error))


class Estimation(Table):
    _fields_ = [("struct_size", c_uint32), ("reserved", c_uint32),
                ("estimate", function(c_void_p, POINTER(EstimateRequest), POINTER(Estimate)))]


class Plugin(Table):
    _fields_ = [("struct_size", c_uint32), ("abi", c_uint32), ("id", c_char_p), ("name", c_char_p),
                ("version", c_char_p), ("filter_count", ctypes.CFUNCTYPE(c_uint32)), ("describe_filter", c_void_p),
                ("describe_parameter", c_void_p), ("job_create", function(c_char_p, POINTER(c_void_p))),
                ("job_destroy", ctypes.CFUNCTYPE(None, c_void_p)),
                ("job_set_number", function(c_void_p, c_char_p, c_double)),
                ("job_set_text", function(c_void_p, c_char_p, c_char_p)),
                ("job_state", function(c_void_p, c_char_p, c_size_t, POINTER(c_size_t))),
                ("job_set_state", function(c_void_p, c_char_p)),
                ("job_render", function(c_void_p, POINTER(RenderRequest))),
                ("job_cancel", ctypes.CFUNCTYPE(c_int32, c_void_p, c_int32)),
                ("extension", ctypes.CFUNCTYPE(c_void_p, c_char_p))]


def call(function, *arguments):
    """Calls a function of the plugin; a negative status becomes a Failure with the plugin's own words."""
    error = Error()
    status = function(*arguments, byref(error))
    if status < 0:
        raise Failure(error.text.decode(errors="replace"))
    return status


class Pixels:
    """A picture in memory of its own: rows from the top without gaps, straight alpha, sRGB-encoded."""

    def __init__(self, width, height, sample_format, layout, data=None):
        self.width, self.height, self.format, self.layout = width, height, sample_format, layout
        size = width * height * CHANNELS[layout] * SAMPLE_BYTES[sample_format]
        # Bytes are borrowed as they are: the plugin never writes to an input.
        self.data = bytearray(size) if data is None else bytes(data)
        if len(self.data) != size:
            raise ValueError(f"{width} x {height} pixels take {size} bytes, not {len(self.data)}")

    def view(self):
        """An Image that borrows these pixels; it must not outlive them."""
        if isinstance(self.data, bytes):
            address = ctypes.cast(self.data, c_void_p).value
        else:
            address = ctypes.addressof((c_char * len(self.data)).from_buffer(self.data))
        return Image(width=self.width, height=self.height, format=self.format, layout=self.layout,
                     transfer=TRANSFER_SRGB, pixels=address,
                     row_stride=self.width * CHANNELS[self.layout] * SAMPLE_BYTES[self.format])

    def like(self):
        """Room for a picture of the same kind."""
        return Pixels(self.width, self.height, self.format, self.layout)


def copied_preview(progress):
    """The preview that a progress report lends, as Pixels of its own, or None."""
    if not progress.preview:
        return None
    image = progress.preview.contents
    row = image.width * CHANNELS[image.layout]
    rows = (ctypes.string_at(image.pixels + y * image.row_stride, row) for y in range(image.height))
    return Pixels(image.width, image.height, image.format, image.layout, b"".join(rows))


class Job:
    """One render to be, with its settings. Settings belong to the thread that made it; `cancel` to any."""

    def __init__(self, plugin, filter_id):
        self._plugin, self._handle = plugin, c_void_p()
        call(plugin.job_create, filter_id.encode(), byref(self._handle))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._plugin.job_destroy(self._handle)

    def set(self, parameter, value):
        """Sets a parameter from text, such as "0.5", "true" or a choice's id."""
        call(self._plugin.job_set_text, self._handle, parameter.encode(), value.encode())

    def render(self, content, styles, on_progress, on_warning):
        """Renders, blocking, and returns the status and the picture, which counts for OK and STOPPED.

        `styles` is a list of pairs of Pixels and weight. `on_progress(progress)` is called on this thread and says
        whether to go on: CONTINUE, STOP or CANCEL. `on_warning(text)` too.
        """
        output = content.like()
        content_view, output_view = content.view(), output.view()
        style_views = [style.view() for style, _ in styles]
        table = (Style * len(styles))(*(Style(image=ctypes.pointer(view), weight=weight)
                                        for view, (_, weight) in zip(style_views, styles)))

        @ProgressFunction
        def progress(_context, report):
            return on_progress(report.contents)

        @LogFunction
        def log(_context, level, message):
            if level >= LOG_WARNING:
                on_warning(message.decode(errors="replace"))

        host = Host(abi=ABI, progress=progress, log=log)
        request = RenderRequest(style_count=len(styles), content=ctypes.pointer(content_view), styles=table,
                                output=ctypes.pointer(output_view), host=ctypes.pointer(host))
        return call(self._plugin.job_render, self._handle, byref(request)), output

    def cancel(self, how):
        """Ends a render in progress on another thread: STOP keeps the picture so far, CANCEL does not."""
        self._plugin.job_cancel(self._handle, how)

    def estimate(self, content, styles):
        """Seconds and bytes that a render of pictures of these (width, height) would take."""
        address = self._plugin.extension(b"pentimento.estimate/1")
        if not address:
            raise Failure("the plugin does not estimate")
        estimation = ctypes.cast(address, POINTER(Estimation)).contents
        request = EstimateRequest(style_count=len(styles), content=Size(*content),
                                  styles=(Size * len(styles))(*(Size(*style) for style in styles)))
        estimate = Estimate()
        call(estimation.estimate, self._handle, byref(request), byref(estimate))
        return estimate.seconds, estimate.bytes


def load(path):
    """The table of the plugin in this file. It is never unloaded."""
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise Failure(f"cannot load the library: {error}") from None
    try:
        entry = library.pentimento_entry
    except AttributeError:
        raise Failure(f"{path} is not a Pentimento plugin: it has no symbol pentimento_entry") from None
    entry.argtypes, entry.restype = [c_uint32], POINTER(Plugin)
    table = entry(ABI)
    if not table or table.contents.abi != ABI or table.contents.struct_size < ctypes.sizeof(Plugin):
        raise Failure(f"{path} does not speak ABI {ABI}")
    return table.contents
