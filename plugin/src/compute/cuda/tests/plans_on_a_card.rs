//! What is planned for a card where a picture is large beside its memory, and what becomes of the content's features then.

use super::renders_on_a_card::slopes;
use super::vectors_on_a_card::both;
use super::*;
use crate::compute::{Holding, Margin, Tiled};
use crate::filters::extent::tests::{planned, tell};
use crate::filters::means::WORTHWHILE;
use crate::optimise::problems::random;

#[test]
#[ignore = "needs a card, or an emulated one"]
fn sixty_seven_megapixels_are_painted_under_eight_gigabytes_of_a_card() {
    let backend = open(Precision::Tf32).unwrap();
    for pyramid in [false, true] {
        let planned = planned(&backend, (8192, 8192), 8.0, pyramid).unwrap();
        tell("8192 x 8192 under 8 GB of a card", &planned);
        let (tiling, history) = (&planned.finest.tiling, planned.finest.history);
        assert!(tiling.cost() <= WORTHWHILE, "{} times as long", tiling.cost());
        assert_eq!((tiling.holding(), history), (Holding::Aside, 2));
    }
    let planned = planned(&backend, (6000, 4000), 4.0, false).unwrap();
    tell("6000 x 4000 under 4 GB of a card", &planned);
    assert!(planned.finest.tiling.cost() <= WORTHWHILE);
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn content_that_is_held_aside_says_the_same() {
    let (height, width) = (24, 240);
    let plan = Plan {
        style_layers: layers(&["conv1_1"]),
        content_layers: layers(&["conv1_1", "conv1_2"]),
        ..plan(height, width)
    };
    let samples = |seed| random(seed, 3 * height * width, 0.0, 1.0);
    let shape = (1, 3, height, width);
    let content = Tensor::from_vec(samples(1), shape, &Device::Cpu).unwrap();
    let step = |holding| {
        let mut backend = open(Precision::Float32).unwrap();
        let home = backend.home();
        let tiling = Tiling::cut(&plan, 1, 2).unwrap().held(holding);
        assert_eq!(tiling.parts().len(), 2);
        let bytes = backend.memory(&tiling);
        let free = || list().unwrap()[0].memory_free;
        let before = free();
        let mut tiled = Tiled::new(&mut backend);
        tiled.prepare(tiling, Margin::new(0, height, width)).unwrap();
        let taken = before - free();
        let energies = tiled.hold_content(&content).unwrap();
        // By way of main memory and on the card, and twice, as the last part's content is there when the first's is due.
        let gradients = [samples(2), samples(3)].map(|samples| {
            both(&home, samples, shape).map(|picture| {
                let ask = |statistics: &Statistics, _: Option<f64>| {
                    let distances: Vec<f64> = statistics.content.iter().map(|distance| distance.mean_square).collect();
                    Ok((distances, slopes(statistics)))
                };
                let (distances, gradient) = tiled.evaluate(&picture, ask).unwrap();
                (distances, values(&gradient.to_tensor().unwrap()))
            })
        });
        (bytes, taken, energies, gradients)
    };
    let (bytes, taken, energies, gradients) = step(Holding::AsTheyAre);
    let (less, also_taken, energies_aside, gradients_aside) = step(Holding::Aside);
    assert_eq!(energies, energies_aside);
    assert!(gradients == gradients_aside);
    assert!(gradients[0][0].0[0] > 0.0);
    // One part's room in place of both parts'.
    assert!(less < bytes, "{less} bytes for {bytes}");
    if list().unwrap()[0].name == "Emulated card" {
        assert_eq!(bytes - less, taken - also_taken);
    }
}
