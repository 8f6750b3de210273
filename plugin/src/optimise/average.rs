//! An exponential average of pictures, free of the bias towards its start.
//!
//! Adam's iterates circle around where they are going; their average is there already (Polyak and Juditsky 1992). As
//! in Adam itself (Kingma and Ba 2015) the sum of the weights given so far is divided out, so that the first average is
//! the first picture.

use super::vector::{self, Vector};
use crate::Result;

/// A running average of pictures of one shape.
#[derive(Clone, Debug)]
pub struct Average {
    decay: f64,
    /// The weights of all pictures so far, summed: `1 - decay^n`.
    weight: f64,
    mean: Option<Vector>,
}

impl Average {
    /// An average that forgets by the factor `decay`, 0 or more and below 1, with each picture.
    pub fn new(decay: f64) -> Self {
        Self {
            decay,
            weight: 0.0,
            mean: None,
        }
    }

    /// Takes one more picture into account and returns the average.
    pub fn update(&mut self, picture: &Vector) -> Result<&Vector> {
        let weight = self.decay * self.weight + (1.0 - self.decay);
        let share = (1.0 - self.decay) / weight;
        let mean = match &self.mean {
            Some(mean) => vector::add_scaled(mean, share, &vector::difference(picture, mean)?)?,
            None => picture.clone(),
        };
        self.weight = weight;
        Ok(self.mean.insert(mean))
    }

    /// The average, if there was any picture.
    pub fn mean(&self) -> Option<&Vector> {
        self.mean.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::Average;

    #[test]
    fn it_is_the_weighted_mean_of_all_pictures() {
        let pictures = [0.25f32, 0.75, 0.5, 1.0];
        let mut average = Average::new(0.8);
        for (count, _) in pictures.iter().enumerate() {
            let picture = Tensor::new(&[pictures[count]], &Device::Cpu).unwrap();
            let mean = average.update(&picture.into()).unwrap().to_tensor().unwrap();
            let mean = mean.to_vec1::<f32>().unwrap()[0];
            let weights: Vec<f64> = (0..=count).map(|k| 0.8f64.powi((count - k) as i32)).collect();
            let expected: f64 = weights
                .iter()
                .zip(&pictures)
                .map(|(w, &p)| w * f64::from(p))
                .sum::<f64>()
                / weights.iter().sum::<f64>();
            assert!((f64::from(mean) - expected).abs() < 1e-6, "{mean} {expected}");
        }
    }
}
