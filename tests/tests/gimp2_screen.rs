//! A painter at the screen of a real GIMP 2.10: `tests/gimp/screen.py`.
#![cfg(unix)]

use std::fs;
use std::path::Path;

use pentimento_tests::hosts::{Gimp2, missing};
use pentimento_tests::{content, repository, screen, style};
use tempfile::TempDir;

/// The names of an image's layers, and their pixels, from the top.
type Layers = Vec<(String, image::RgbaImage)>;

fn layers(folder: &Path, name: &str) -> Layers {
    let names = fs::read_to_string(folder.join(format!("{name}.txt"))).unwrap();
    let layer = |(place, layer): (usize, &str)| {
        let picture = image::open(folder.join(format!("{name}-{place}.png"))).unwrap();
        (layer.to_owned(), picture.into_rgba8())
    };
    names.lines().enumerate().map(layer).collect()
}

#[test]
fn renders_are_stopped_undone_cancelled_and_killed() {
    let folder = TempDir::new().unwrap();
    let Some(gimp) = Gimp2::find(folder.path()) else {
        return;
    };
    if let Some(tool) = screen::missing_tool(|program| gimp.command(program)) {
        return missing(tool, screen::HOW);
    }
    content(screen::CANVAS).write_png(&folder.path().join("content.png"));
    style(256).write_png(&folder.path().join("style.png"));
    let script = |call: String| {
        let images = repository().join("tests/gimp2/images.scm");
        let folder = folder.path().display();
        format!("(define folder \"{folder}\") (load \"{}\") ({call})", images.display())
    };
    gimp.run_scheme(&[script("make".to_owned())]);
    screen::play(
        folder.path(),
        folder.path(),
        gimp.command("python3"),
        "gimp-2.10",
        ":78",
    );

    let names = ["original", "undone", "cancelled", "stopped", "after_kill", "rotated"];
    let said = gimp.run_scheme(&names.map(|name| script(format!("take-apart \"{name}\""))));
    let [original, undone, cancelled, stopped, after_kill, rotated] = names.map(|name| layers(folder.path(), name));
    assert_eq!(original.len(), 3, "{said}");
    assert!(undone == original, "an undone render leaves the image as it was");
    assert!(cancelled == original, "a cancelled render leaves the image as it was");
    for (name, layers) in [("stopped", &stopped), ("after_kill", &after_kill)] {
        let [(content, painted), styles @ ..] = layers.as_slice() else {
            panic!("{name}: no layers");
        };
        assert_eq!((content.as_str(), styles), ("Cat", &original[1..]), "{name}");
        let samples = painted.iter().zip(original[0].1.iter());
        let changed = samples.filter(|(new, old)| new != old).count();
        // Of four samples one is alpha.
        assert!(2 * changed > painted.len(), "{name}: the layer is not painted");
    }

    // A layer that was turned while it was being painted is left as it is, and its picture is not lost.
    let [painted, turned, _styles @ ..] = &rotated[..] else {
        panic!("{} layers", rotated.len());
    };
    assert_eq!(painted.0, "Neural Style Transfer: Night");
    assert_eq!(turned.0, "Cat");
    assert!(turned.1 == image::imageops::rotate90(&after_kill[0].1));
    assert_eq!(painted.1.dimensions(), original[0].1.dimensions());
}
