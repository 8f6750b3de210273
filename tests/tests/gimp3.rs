//! The filter in a real GIMP 3: the scenes of `tests/gimp3/scenes.py`, played in it without a window, and a painter at
//! its screen, `tests/gimp/screen.py`.
#![cfg(unix)]

use std::fs;

use pentimento_tests::hosts::{Gimp3, missing};
use pentimento_tests::pictures::write_damaged;
use pentimento_tests::screen;
use pentimento_tests::{command, command_line, content, documented, farthest, library, repository, style};
use tempfile::TempDir;

#[test]
fn gimp_paints_what_the_command_line_paints() {
    let folder = TempDir::new().unwrap();
    let Some(gimp) = Gimp3::find(folder.path()) else {
        return;
    };
    content(64).write_png(&folder.path().join("content.png"));
    style(56).write_png(&folder.path().join("style.png"));
    // The command finds the library beside it.
    for file in [command(), &library()] {
        fs::copy(file, folder.path().join(file.file_name().unwrap())).unwrap();
    }
    fs::copy(
        repository().join("tests/gimp3/scenes.py"),
        folder.path().join("scenes.py"),
    )
    .unwrap();
    let inside = gimp.inside().display();
    gimp.run_python(&format!(
        "scope = {{'FOLDER': '{inside}', '__name__': 'scenes'}}\n\
         exec(compile(open('{inside}/scenes.py').read(), 'scenes.py', 'exec'), scope)\n\
         scope['run']()"
    ));
}

#[test]
fn at_the_screen_renders_are_stopped_undone_cancelled_and_killed() {
    let folder = TempDir::new().unwrap();
    let Some(gimp) = Gimp3::find(folder.path()) else {
        return;
    };
    if let Some(tool) = screen::missing_tool(|program| gimp.command(program)) {
        return missing(tool, screen::HOW);
    }
    content(screen::CANVAS).write_png(&folder.path().join("content.png"));
    style(256).write_png(&folder.path().join("style.png"));
    fs::copy(
        repository().join("tests/gimp3/images.py"),
        folder.path().join("images.py"),
    )
    .unwrap();
    // Nothing is to stand between the painter and the image.
    fs::write(
        folder.path().join("profile/gimprc"),
        "(show-welcome-dialog no)\n(check-updates no)\n",
    )
    .unwrap();
    let inside = gimp.inside();
    let images = |call: &str| {
        let inside = inside.display();
        gimp.run_python(&format!(
            "import sys; sys.path.insert(0, '{inside}'); import images; images.{call}"
        ));
    };
    images("make()");
    screen::play(folder.path(), inside, gimp.command("python3"), "gimp", ":79");
    images("judge()");
}

#[test]
fn the_documented_scripts_work() {
    let folder = TempDir::new().unwrap();
    let Some(gimp) = Gimp3::find(folder.path()) else {
        return;
    };
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("photographs")).unwrap();
    for (name, size) in [("a", 64), ("b", 48), ("c", 33)] {
        content(size).write_png(&path(&format!("photographs/{name}.png")));
    }
    style(56).write_png(&path("painting.png"));
    fs::write(path("folder.py"), documented("gimp.md", "python")).unwrap();
    gimp.run_python("exec(open('folder.py').read())");
    let call = documented("gimp.md", "scheme");
    gimp.run_scheme(&format!(
        r#"(let* ((image (car (gimp-file-load RUN-NONINTERACTIVE "photographs/a.png")))
                  (layer (vector-ref (car (gimp-image-get-layers image)) 0)))
             {call}
             (gimp-file-save RUN-NONINTERACTIVE image "scheme.png"))"#
    ));
    for (name, painted) in [
        ("a", "repainted/a.png"),
        ("b", "repainted/b.png"),
        ("c", "repainted/c.png"),
        ("a", "scheme.png"),
    ] {
        let pictures = [path(&format!("photographs/{name}.png")), path("painting.png")];
        let expected = command_line(&pictures, &["--preset=draft"], &path("expected.png")).into_rgb8();
        let painted = image::open(path(painted)).unwrap().into_rgb8();
        assert_eq!(expected.dimensions(), painted.dimensions());
        let farthest = farthest(&expected, &painted);
        assert!(farthest <= 1, "{name}: {farthest}");
    }
}

/// Paints `content.png` without a style in GIMP, and expects of the error these words.
fn expect_refusal(gimp: &Gimp3, words: &str) {
    gimp.run_python(&format!(
        "from gi.repository import Gimp, Gio\n\
         image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path('content.png'))\n\
         config = Gimp.get_pdb().lookup_procedure('plug-in-pentimento-style-transfer').create_config()\n\
         config.set_property('image', image)\n\
         config.set_core_object_array('drawables', image.get_layers())\n\
         config.get_procedure().run(config)\n\
         said = Gimp.get_pdb().get_last_error()\n\
         assert '{words}' in said, said"
    ));
}

#[test]
fn it_speaks_the_language_of_its_user() {
    let folder = TempDir::new().unwrap();
    let Some(mut gimp) = Gimp3::find(folder.path()) else {
        return;
    };
    content(16).write_png(&folder.path().join("content.png"));
    for (language, words) in [
        ("de", "Es gibt keine andere Ebene"),
        ("fr", "Il n’y a pas d’autre calque"),
    ] {
        gimp.language = language;
        expect_refusal(&gimp, words);
    }
}

/// Here of a damaged picture; that a device failed and the processor took over is told in the same way.
#[test]
fn a_warning_of_the_plugin_is_a_message() {
    let folder = TempDir::new().unwrap();
    let Some(gimp) = Gimp3::find(folder.path()) else {
        return;
    };
    write_damaged(&folder.path().join("damaged.tif"));
    style(16).write_png(&folder.path().join("style.png"));
    let said = gimp.run_python(
        "from gi.repository import Gimp, Gio\n\
         file = lambda name: Gio.File.new_for_path(name)\n\
         image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file('damaged.tif'))\n\
         config = Gimp.get_pdb().lookup_procedure('plug-in-pentimento-style-transfer').create_config()\n\
         config.set_property('image', image)\n\
         config.set_core_object_array('drawables', image.get_layers())\n\
         config.set_property('style-file', file('style.png'))\n\
         config.set_property('quality', 0.02)\n\
         status = config.get_procedure().run(config).index(0)\n\
         assert status == Gimp.PDBStatusType.SUCCESS, Gimp.get_pdb().get_last_error()",
    );
    assert!(said.contains("were NaN or infinite and have been replaced"), "{said}");
}

#[test]
fn without_its_library_it_says_where_it_looked() {
    let folder = TempDir::new().unwrap();
    let Some(gimp) = Gimp3::find(folder.path()) else {
        return;
    };
    content(16).write_png(&folder.path().join("content.png"));
    let name = library().file_name().unwrap().to_owned();
    fs::remove_file(folder.path().join("profile/plug-ins/pentimento").join(&name)).unwrap();
    for words in [
        "library was not found",
        &format!("plug-ins/pentimento/{}", name.display()),
        "pentimento install gimp",
    ] {
        expect_refusal(&gimp, words);
    }
}
