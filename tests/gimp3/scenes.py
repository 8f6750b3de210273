"""What GIMP 3 does with the filter, scene by scene, as a script sees it: run inside GIMP by `tests/tests/gimp3.rs`.

A scene makes an image, calls the procedure as a user's script would, and looks at what became of the image. What the
picture must be is told by the command-line host, which renders the same pixels from files. The folder FOLDER, a global
that the caller sets, holds `pentimento` (the command), `content.png` and `style.png`.
"""

import random
import struct
import subprocess
import sys
import unittest
from pathlib import Path

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
from gi.repository import Gegl, Gimp, Gio

FOLDER = Path(globals()["FOLDER"])
QUICK = {"quality": 0.06}
# So few steps that a content which differs by rounding gives a picture that does not differ by much more.
SHORT = {"quality": 0.02, "pyramid": False}
RGB, RGBA, GRAY, GRAY_ALPHA = "R'G'B' u8", "R'G'B'A u8", "Y' u8", "Y'A u8"
P = Gimp.Precision
PDB = Gimp.get_pdb()


def load(path):
    return Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(str(path)))


def save(image, name):
    path = FOLDER / name
    Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, Gio.File.new_for_path(str(path)), None)
    return path


def pixels(layer, kind):
    rectangle = Gegl.Rectangle.new(0, 0, layer.get_width(), layer.get_height())
    return layer.get_buffer().get(rectangle, 1.0, kind, Gegl.AbyssPolicy.NONE)


def put(layer, kind, data):
    buffer = layer.get_buffer()
    buffer.set(Gegl.Rectangle.new(0, 0, layer.get_width(), layer.get_height()), kind, data)
    buffer.flush()


def transfer(layer, style=None, style_file=None, **arguments):
    """Calls the procedure; the text of its error, or None."""
    procedure = PDB.lookup_procedure("plug-in-pentimento-style-transfer")
    config = procedure.create_config()
    config.set_property("run-mode", Gimp.RunMode.NONINTERACTIVE)
    config.set_property("image", layer.get_image())
    config.set_core_object_array("drawables", [layer])
    if style is not None:
        config.set_property("style", style)
    if style_file is not None:
        config.set_property("style-file", Gio.File.new_for_path(str(style_file)))
    for name, value in arguments.items():
        config.set_property(name.replace("_", "-"), value)
    result = procedure.run(config)
    return None if result.index(0) == Gimp.PDBStatusType.SUCCESS else PDB.get_last_error()


def options(settings):
    return [f"--set={name}={str(value).lower()}" for name, value in settings.items()]


def command_line(*arguments):
    """What the command-line host renders, as an image."""
    out = FOLDER / "expected.png"
    subprocess.run([FOLDER / "pentimento", "render", *arguments, "--output", out, "--quiet"], check=True)
    return load(out)


def farthest(one, other):
    assert len(one) == len(other)
    return max(abs(a - b) for a, b in zip(one, other))


def mean_difference(one, other):
    return sum(abs(a - b) for a, b in zip(one, other)) / len(one)


class Scene(unittest.TestCase):
    """An image whose upper layer is the content, and whose lower is the style."""

    def setUp(self):
        self.image = load(FOLDER / "content.png")
        self.layer = self.image.get_layers()[0]
        self.style = Gimp.file_load_layer(Gimp.RunMode.NONINTERACTIVE, self.image,
                                          Gio.File.new_for_path(str(FOLDER / "style.png")))
        self.image.insert_layer(self.style, None, 1)
        self.open = [self.image]

    def tearDown(self):
        for image in self.open:
            if image.is_valid():
                image.delete()

    def expected(self, content, kind, settings=QUICK, style=FOLDER / "style.png"):
        """The pixels that the command-line host makes of a picture file."""
        return self.painted_elsewhere(kind, content, style, *options(settings))

    def painted_elsewhere(self, kind, *arguments):
        image = command_line(*arguments)
        self.open.append(image)
        return pixels(image.get_layers()[0], kind)

    def paint(self, **arguments):
        self.assertIsNone(transfer(self.layer, self.style, **QUICK | arguments))


class Pictures(Scene):
    def test_a_layer_becomes_what_the_command_line_makes_of_it(self):
        style_before = pixels(self.style, RGB)
        self.paint()
        self.assertLessEqual(farthest(pixels(self.layer, RGB), self.expected(FOLDER / "content.png", RGB)), 1)
        self.assertEqual(pixels(self.style, RGB), style_before)
        self.assertEqual(len(self.image.get_layers()), 2)

    def test_a_file_is_a_style_as_good_as_a_layer(self):
        self.assertIsNone(transfer(self.layer, style_file=FOLDER / "style.png", **QUICK))
        # The file was opened for a moment only.
        self.assertEqual(len(Gimp.get_images()), 1)
        self.assertLessEqual(farthest(pixels(self.layer, RGB), self.expected(FOLDER / "content.png", RGB)), 1)

    def test_a_layer_of_another_image_is_a_style(self):
        other = load(FOLDER / "style.png")
        self.open.append(other)
        self.assertIsNone(transfer(self.layer, other.get_layers()[0], **QUICK))
        self.assertLessEqual(farthest(pixels(self.layer, RGB), self.expected(FOLDER / "content.png", RGB)), 1)

    def test_two_styles_are_blended(self):
        self.assertIsNone(transfer(self.layer, self.style, second_style_file=Gio.File.new_for_path(
            str(FOLDER / "content.png")), blend=25.0, **QUICK))
        expected = self.painted_elsewhere(RGB, FOLDER / "content.png", FOLDER / "style.png", FOLDER / "content.png",
                                          "--weight=0.75", "--weight=0.25", *options(QUICK))
        self.assertLessEqual(farthest(pixels(self.layer, RGB), expected), 1)

    def test_settings_and_presets_have_their_names(self):
        # Of a choice, a bool, a text, an integer and a float; the preset's own value stands behind them.
        settings = {"preset": "draft", "style_strength": 3.0, "pyramid": False, "pooling": "average",
                    "content_layers": "conv3_1:1", "seed": 7, "start": "noise"}
        self.assertIsNone(transfer(self.layer, self.style, **settings))
        self.assertLessEqual(farthest(pixels(self.layer, RGB), self.expected(FOLDER / "content.png", RGB, settings)), 1)

    def gray_files(self):
        """Makes the image gray, and writes both of its layers: the style is of the image, hence gray too."""
        self.image.convert_grayscale()
        alone = self.image.duplicate()
        self.open.append(alone)
        alone.remove_layer(alone.get_layers()[1])
        content = save(alone, "gray.png")
        alone.remove_layer(alone.get_layers()[0])
        alone.insert_layer(Gimp.Layer.new_from_drawable(self.style, alone), None, 0)
        alone.resize_to_layers()
        return content, save(alone, "gray-style.png")

    def test_gray_stays_gray(self):
        content, style = self.gray_files()
        self.paint()
        self.assertLessEqual(farthest(pixels(self.layer, GRAY), self.expected(content, GRAY, style=style)), 1)

    def test_gray_keeps_its_alpha(self):
        self.layer.add_alpha()
        data = bytearray(pixels(self.layer, RGBA))
        data[3::4] = random.Random(1).randbytes(len(data) // 4)
        put(self.layer, RGBA, bytes(data))
        content, style = self.gray_files()
        self.paint()
        painted, expected = pixels(self.layer, GRAY_ALPHA), self.expected(content, GRAY_ALPHA, style=style)
        self.assertEqual(painted[1::2], bytes(data[3::4]))
        seen = [place for place in range(len(painted)) if painted[place | 1] > 0]
        self.assertLessEqual(max(abs(painted[place] - expected[place]) for place in seen), 1)

    def test_every_precision_gives_the_same_picture(self):
        expected = self.expected(FOLDER / "content.png", RGB, SHORT)
        # These hold another content, by rounding, and round the picture: the first step of linear 8 bits from black
        # is 13 of sRGB's. A curve applied once too often would be off by tens on average.
        tolerances = {P.U8_LINEAR: 40, P.U16_LINEAR: 3, P.HALF_LINEAR: 8, P.HALF_NON_LINEAR: 8}
        for precision in (P.U8_LINEAR, P.U8_NON_LINEAR, P.U8_PERCEPTUAL, P.U16_LINEAR, P.U16_NON_LINEAR,
                          P.U32_LINEAR, P.U32_NON_LINEAR, P.HALF_LINEAR, P.HALF_NON_LINEAR, P.FLOAT_LINEAR,
                          P.FLOAT_NON_LINEAR, P.FLOAT_PERCEPTUAL):
            with self.subTest(precision=precision):
                image = self.image.duplicate()
                self.open.append(image)
                if image.get_precision() != precision:
                    image.convert_precision(precision)
                layer, style = image.get_layers()
                self.assertIsNone(transfer(layer, style, **SHORT))
                self.assertEqual(image.get_precision(), precision)
                painted = pixels(layer, RGB)
                self.assertLessEqual(farthest(painted, expected), tolerances.get(precision, 1))
                self.assertLess(mean_difference(painted, expected), 2)

    def test_the_result_returns_in_the_profile_of_the_image(self):
        wide = Gimp.ColorProfile.new_rgb_adobe()
        self.image.convert_color_profile(wide, Gimp.ColorRenderingIntent.RELATIVE_COLORIMETRIC, False)
        self.paint(**SHORT)
        self.assertTrue(self.image.get_effective_color_profile().is_equal(wide))
        painted = pixels(self.layer, RGB)
        # What is rounded to 8 bits in the one space is another content in the other; taken for sRGB, its colours would
        # be off by tens on average.
        expected = self.expected(FOLDER / "content.png", RGB, SHORT)
        self.assertLessEqual(farthest(painted, expected), 40)
        self.assertLess(mean_difference(painted, expected), 2)

    def test_a_single_pixel(self):
        image = Gimp.Image.new(1, 1, Gimp.ImageBaseType.RGB)
        self.open.append(image)
        layer = Gimp.Layer.new(image, "dot", 1, 1, Gimp.ImageType.RGB_IMAGE, 100, Gimp.LayerMode.NORMAL)
        image.insert_layer(layer, None, 0)
        put(layer, RGB, bytes([10, 200, 90]))
        self.assertIsNone(transfer(layer, self.style, **QUICK))
        self.assertNotEqual(pixels(layer, RGB), bytes([10, 200, 90]))


class Places(Scene):
    def test_outside_a_selection_nothing_changes(self):
        before = pixels(self.layer, RGB)
        self.image.select_rectangle(Gimp.ChannelOps.REPLACE, 10, 5, 20, 12)
        self.paint()
        Gimp.Selection.none(self.image)
        after, whole = pixels(self.layer, RGB), self.expected(FOLDER / "content.png", RGB)
        width = self.layer.get_width()
        for place in range(len(before) // 3):
            x, y = place % width, place // width
            pixel = after[3 * place:3 * place + 3]
            if 10 <= x < 30 and 5 <= y < 17:
                self.assertLessEqual(farthest(pixel, whole[3 * place:3 * place + 3]), 1)
            else:
                self.assertEqual(pixel, before[3 * place:3 * place + 3], f"{x}, {y}")

    def test_a_feather_blends(self):
        before = pixels(self.layer, RGB)
        self.image.select_rectangle(Gimp.ChannelOps.REPLACE, 16, 8, 24, 24)
        Gimp.Selection.feather(self.image, 8)
        selection = self.image.get_selection()
        share = pixels(selection, "Y float")
        self.paint()
        Gimp.Selection.none(self.image)
        after, whole = pixels(self.layer, RGB), self.expected(FOLDER / "content.png", RGB)
        shares = struct.unpack(f"{len(share) // 4}f", share)
        partly = 0
        for place, part in enumerate(shares):
            for sample in range(3 * place, 3 * place + 3):
                low, high = sorted((before[sample], whole[sample]))
                self.assertTrue(low - 1 <= after[sample] <= high + 1)
                if part == 0:
                    self.assertEqual(after[sample], before[sample])
            partly += 0 < part < 1
        self.assertGreater(partly, 100)

    def test_alpha_is_kept(self):
        self.layer.add_alpha()
        data = bytearray(pixels(self.layer, RGBA))
        data[3::4] = random.Random(1).randbytes(len(data) // 4)
        put(self.layer, RGBA, bytes(data))
        alone = self.image.duplicate()
        self.open.append(alone)
        alone.remove_layer(alone.get_layers()[1])
        content = save(alone, "alpha.png")
        self.paint()
        painted = pixels(self.layer, RGBA)
        self.assertEqual(painted[3::4], bytes(data[3::4]))
        expected = self.expected(content, RGBA)
        seen = [place for place in range(len(painted)) if painted[place | 3] > 0]
        self.assertLessEqual(max(abs(painted[place] - expected[place]) for place in seen), 1)

    def test_offsets_are_kept_and_parts_off_the_canvas_painted(self):
        self.layer.set_offsets(-20, 13)
        self.paint()
        offsets = self.layer.get_offsets()
        self.assertEqual((offsets.offset_x, offsets.offset_y), (-20, 13))
        self.assertLessEqual(farthest(pixels(self.layer, RGB), self.expected(FOLDER / "content.png", RGB)), 1)

    def test_a_new_layer_leaves_the_old_one(self):
        before = pixels(self.layer, RGB)
        self.layer.set_offsets(3, -4)
        self.paint(output="new-layer", opacity=50.0)
        self.assertEqual(pixels(self.layer, RGB), before)
        new, old, _style = self.image.get_layers()
        self.assertEqual(old, self.layer)
        self.assertIn("Neural Style Transfer", new.get_name())
        self.assertIn(self.style.get_name(), new.get_name())
        self.assertAlmostEqual(new.get_opacity(), 50, delta=0.5)
        offsets = new.get_offsets()
        self.assertEqual((offsets.offset_x, offsets.offset_y), (3, -4))
        self.assertLessEqual(farthest(pixels(new, RGB), self.expected(FOLDER / "content.png", RGB)), 1)

    def test_of_a_new_layer_the_selection_is_the_mask(self):
        self.image.select_rectangle(Gimp.ChannelOps.REPLACE, 10, 5, 20, 12)
        self.paint(output="new-layer")
        mask = self.image.get_layers()[0].get_mask()
        self.assertEqual(sum(pixels(mask, GRAY)), 255 * 20 * 12)

    def test_opacity_mixes_in_linear_light(self):
        before = pixels(self.layer, "RGB float")
        self.paint(opacity=50.0)
        mixed, old, new = (struct.unpack(f"{len(data) // 4}f", data) for data in (
            pixels(self.layer, "RGB float"), before, self.expected(FOLDER / "content.png", "RGB float")))
        # Half of one step of 8 bits at the bright end, and one of the expected picture.
        self.assertLess(max(abs(m - (a + b) / 2) for m, a, b in zip(mixed, old, new)), 0.01)


class Refusals(Scene):
    def refused(self, layer, *words, **arguments):
        before = pixels(layer, RGBA)
        error = transfer(layer, **{"style": self.style} | QUICK | arguments)
        self.assertIsNotNone(error)
        for word in words:
            self.assertIn(word, error)
        self.assertEqual(pixels(layer, RGBA), before)

    def test_a_palette(self):
        self.image.convert_indexed(Gimp.ConvertDitherType.NONE, Gimp.ConvertPaletteType.GENERATE, 16, False, False, "")
        self.refused(self.layer, "Image ▸ Mode ▸ RGB")

    def test_a_group(self):
        group = Gimp.GroupLayer.new(self.image, "Hills")
        self.image.insert_layer(group, None, 0)
        self.refused(group, "Hills", "group")

    def test_a_mask(self):
        mask = self.layer.create_mask(Gimp.AddMaskType.WHITE)
        self.layer.add_mask(mask)
        self.refused(mask, "mask")

    def test_locked_pixels(self):
        self.layer.set_lock_content(True)
        self.refused(self.layer, "locked")

    def test_a_selection_beside_the_layer(self):
        self.layer.set_offsets(40, 0)
        self.image.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, 5, 5)
        self.refused(self.layer, "selection")

    def test_no_style(self):
        self.refused(self.layer, "Choose a style", style=None)

    def test_no_style_and_no_other_layer(self):
        self.image.remove_layer(self.style)
        self.refused(self.layer, "no other layer", style=None)

    def test_a_style_file_that_is_no_picture(self):
        wrong = FOLDER / "wrong.png"
        wrong.write_text("not a picture")
        self.refused(self.layer, "wrong.png", style=None, style_file=wrong)

    def test_a_setting_that_the_plugin_refuses(self):
        self.refused(self.layer, "style_layers", style_layers="conv9_9:1")

    def test_too_little_memory(self):
        self.refused(self.layer, "memory", memory_limit=0.01)


class Scripts(Scene):
    def test_a_folder_of_pictures(self):
        for number in range(3):
            (FOLDER / f"folder-{number}.png").write_bytes((FOLDER / "content.png").read_bytes())
        for path in sorted(FOLDER.glob("folder-?.png")):
            image = load(path)
            self.open.append(image)
            self.assertIsNone(transfer(image.get_layers()[0], style_file=FOLDER / "style.png", **QUICK))
            save(image, f"painted-{path.name}")
        pictures = [load(path) for path in sorted(FOLDER.glob("painted-*.png"))]
        self.open += pictures
        self.assertEqual(len(pictures), 3)
        expected = self.expected(FOLDER / "content.png", RGB)
        for picture in pictures:
            self.assertLessEqual(farthest(pixels(picture.get_layers()[0], RGB), expected), 1)


def run():
    suite = unittest.TestSuite()
    for scene in (Pictures, Places, Refusals, Scripts):
        suite.addTests(unittest.defaultTestLoader.loadTestsFromTestCase(scene))
    result = unittest.TextTestRunner(stream=sys.stderr, verbosity=2).run(suite)
    if not result.wasSuccessful() or result.testsRun == 0:
        raise RuntimeError("scenes failed")
