//! The thirteen convolutions of VGG-19 up to conv5_1, by name.

use std::fmt;
use std::str::FromStr;

/// A convolution of the network; features are taken after its ReLU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Layer(u8);

/// Name, input channels, output channels, and the number of poolings before it.
const TABLE: [(&str, usize, usize, usize); 13] = [
    ("conv1_1", 3, 64, 0),
    ("conv1_2", 64, 64, 0),
    ("conv2_1", 64, 128, 1),
    ("conv2_2", 128, 128, 1),
    ("conv3_1", 128, 256, 2),
    ("conv3_2", 256, 256, 2),
    ("conv3_3", 256, 256, 2),
    ("conv3_4", 256, 256, 2),
    ("conv4_1", 256, 512, 3),
    ("conv4_2", 512, 512, 3),
    ("conv4_3", 512, 512, 3),
    ("conv4_4", 512, 512, 3),
    ("conv5_1", 512, 512, 4),
];

impl Layer {
    /// All layers, from the picture upward.
    pub const ALL: [Self; 13] = {
        let mut all = [Self(0); 13];
        let mut index = 0;
        while index < 13 {
            all[index] = Self(index as u8);
            index += 1;
        }
        all
    };

    /// Its place in [`Layer::ALL`].
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// Its name in the literature, such as "conv4_2".
    pub fn name(self) -> &'static str {
        TABLE[self.index()].0
    }

    /// The channels of its input.
    pub fn inputs(self) -> usize {
        TABLE[self.index()].1
    }

    /// The channels of its output.
    pub fn outputs(self) -> usize {
        TABLE[self.index()].2
    }

    /// The number of poolings between the picture and this layer: its grid is `2^pools` times coarser.
    pub fn pools(self) -> usize {
        TABLE[self.index()].3
    }

    /// How many pixels a feature sees beyond those that it stands for, on each side: one more on its own grid and on
    /// that of every convolution below.
    pub fn reach(self) -> usize {
        Self::ALL[..=self.index()].iter().map(|below| 1 << below.pools()).sum()
    }

    /// Its number among torchvision's `features`, which count convolutions, ReLUs and poolings alike.
    pub fn features(self) -> usize {
        2 * self.index() + self.pools()
    }

    /// Whether its input has just been pooled.
    pub fn follows_pool(self) -> bool {
        self.0 > 0 && self.pools() != Self(self.0 - 1).pools()
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Layer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|layer| layer.name() == text)
            .ok_or_else(|| format!("{text:?} is not a layer; known are conv1_1 to conv5_1"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_layers_correspond() {
        for layer in Layer::ALL {
            assert_eq!(layer.name().parse(), Ok(layer));
        }
        assert!("conv5_2".parse::<Layer>().is_err());
    }

    #[test]
    fn features_are_numbered_as_torchvision_does() {
        let numbers = Layer::ALL.map(Layer::features);
        assert_eq!(numbers, [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28]);
    }

    #[test]
    fn features_see_what_the_literature_says() {
        let seen = |name: &str| {
            let layer: Layer = name.parse().unwrap();
            (1 << layer.pools()) + 2 * layer.reach()
        };
        let names = [
            "conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_4", "conv4_4", "conv5_1",
        ];
        assert_eq!(names.map(seen), [3, 5, 10, 14, 24, 48, 116, 156]);
    }

    #[test]
    fn pools_stand_where_the_table_says() {
        let after: Vec<_> = Layer::ALL
            .into_iter()
            .filter(|layer| layer.follows_pool())
            .map(Layer::name)
            .collect();
        assert_eq!(after, ["conv2_1", "conv3_1", "conv4_1", "conv5_1"]);
    }
}
