//! The plugin's library as a file: what people download.

use std::fs;

use pentimento_tests::{library, repository};

#[test]
fn the_network_is_in_the_library_once() {
    let network = fs::read(repository().join("plugin/models/vgg19.safetensors")).unwrap();
    let library = fs::read(library()).unwrap();
    // From the middle of the weights, where no two places are alike.
    let piece = &network[network.len() / 2..][..64];
    let copies = library.windows(piece.len()).filter(|window| *window == piece).count();
    assert_eq!(copies, 1, "in {} bytes", library.len());
}
