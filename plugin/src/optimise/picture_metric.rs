//! Where a picture's loss is flat, and so where an optimiser may go far: in colour rather than light, in large forms
//! rather than fine, and where the picture hardly matters to the loss.
//!
//! L-BFGS learns the curvature of the loss from its steps, but it starts from a guess and has learned little in the
//! first hundred. So the guess here is a metric with a gain for each octave of each axis of colour ([`octaves`]). The
//! gains follow what plain Gatys, from a copy of the content, still has to go after 150 evaluations beside the gradient
//! there (a cat and Starry Night, 256 px; the root of the ratio of both powers, in each octave and axis):
//!
//! - along light, in proportion to the size of the form: the network reacts to edges, and lets shades be;
//! - along colour, far in what is finest, to which it is all but blind, and in the largest forms, and little between.
//!
//! With them, 100 evaluations reach what takes some 120 in a metric that goes four times as far along colour at every
//! octave and in what is larger than a few pixels, and that one takes three quarters of what the metric of equal pixels
//! does; with other pictures it saves a little less. (The gains need not be exact: half or twice of one is hardly worse.
//! But a metric in inverse proportion to the curvature as measured at each frequency is worse: the finest colour then
//! takes up the steps.) A picture that was painted at a coarser size has its colours and forms already; there this part
//! of the guess is left out. What helps everywhere is a scale for each neighbourhood ([`LocalScale`]).

use candle_core::Tensor;
use rayon::prelude::*;

#[cfg(not(feature = "cuda"))]
use super::local_scale::CELL;
use super::local_scale::LocalScale;
use super::{Metric, Vector, octaves, vector};
#[cfg(not(feature = "cuda"))]
use crate::compute::cuda::{Planes, Roots, Samples};
use crate::{Result, samples};

/// The axes of colour, perpendicular to each other, each of length 1: light, red against blue, green against magenta.
const AXES: [[f32; 3]; 3] = {
    let (third, half, sixth) = (0.577_350_26, std::f32::consts::FRAC_1_SQRT_2, 0.408_248_3);
    [[third; 3], [half, 0.0, -half], [-sixth, 2.0 * sixth, -sixth]]
};
/// How far along each axis, `[axis][octave]`, as [`octaves::weigh`] has it. The first gain of each row exceeds what
/// negative ones take away, as a metric must.
const GAINS: [[f32; 6]; 3] = [
    [0.42, 0.0, 1.1, 1.0, 3.0, 4.0],
    [2.5, -2.3, 0.5, 0.5, 2.5, 3.5],
    [1.25, -1.1, 0.5, 0.0, 1.2, 1.5],
];

/// The metric of pictures `[1, 3, H, W]`: red, green, blue. It follows the gradients that it is shown. It is computed on
/// the card where they live on one of our own backend's, and in main memory otherwise.
#[derive(Clone, Debug)]
pub struct PictureMetric {
    /// Whether colours and large forms are still to be found.
    broad: bool,
    local: LocalScale,
    /// The root of the local scale where vectors live on a card: `[rows of cells][W]`.
    #[cfg(not(feature = "cuda"))]
    roots: Option<Samples>,
}

impl PictureMetric {
    fn new(broad: bool) -> Self {
        Self {
            broad,
            local: LocalScale::default(),
            #[cfg(not(feature = "cuda"))]
            roots: None,
        }
    }

    /// For a picture that was not painted yet.
    pub fn unpainted() -> Self {
        Self::new(true)
    }

    /// For a picture that was painted at a coarser size.
    pub fn painted() -> Self {
        Self::new(false)
    }

    /// Sets each pixel to what `f` makes of the root of the local scale and of its three samples.
    fn scale(&self, planes: &mut [f32], width: usize, f: impl Fn(f32, [f32; 3]) -> [f32; 3] + Sync) {
        let (red, rest) = planes.split_at_mut(planes.len() / 3);
        let (green, blue) = rest.split_at_mut(rest.len() / 2);
        let [red, green, blue] = [red, green, blue].map(|plane| plane.par_chunks_exact_mut(width.max(1)));
        red.zip(green).zip(blue).enumerate().for_each_init(
            || vec![0f32; width],
            |roots, (row, ((red, green), blue))| {
                self.local.roots(row, roots);
                for (((root, red), green), blue) in roots.iter().zip(red).zip(green).zip(blue) {
                    [*red, *green, *blue] = f(*root, [*red, *green, *blue]);
                }
            },
        );
    }
}

impl PictureMetric {
    fn apply_to_tensor(&self, v: Tensor) -> Result<Tensor> {
        let (_, _, height, width) = v.dims4()?;
        let (image, ()) = samples::change(v, |planes| {
            let size = (height * width).max(1);
            if !self.broad {
                self.scale(planes, width, |root, pixel| pixel.map(|sample| root * root * sample));
                return;
            }
            self.turn(planes, width);
            for (plane, gains) in planes.chunks_exact_mut(size).zip(GAINS) {
                octaves::weigh(plane, width, &gains);
            }
            self.scale(planes, width, |root, pixel| {
                turned(transposed(AXES), pixel).map(|sample| root * sample)
            });
        })?;
        Ok(image)
    }

    /// Each pixel times the root of its scale, as shares along the axes.
    fn turn(&self, planes: &mut [f32], width: usize) {
        self.scale(planes, width, |root, pixel| {
            turned(AXES, pixel.map(|sample| root * sample))
        });
    }

    /// As the metric is one map between another and its transpose, the inner product is that of the other's image: the way
    /// back is spared.
    fn square_of_tensor(&self, v: Tensor) -> Result<f64> {
        let (_, _, height, width) = v.dims4()?;
        let (_, square) = samples::change(v, |planes| {
            let size = (height * width).max(1);
            if !self.broad {
                self.scale(planes, width, |root, pixel| pixel.map(|sample| root * sample));
                return vector::square(planes);
            }
            self.turn(planes, width);
            let planes = planes.chunks_exact(size).zip(GAINS);
            planes.map(|(plane, gains)| octaves::square(plane, width, &gains)).sum()
        })?;
        Ok(square)
    }

    #[cfg(not(feature = "cuda"))]
    fn apply_on_card(&self, v: Samples) -> Result<Samples> {
        let (planes, roots) = (Planes::of(&v)?, Roots::new(self.roots.as_ref()));
        if self.broad {
            planes.turn(AXES, roots, true)?;
            planes.weigh(&GAINS)?;
            planes.turn(transposed(AXES), roots, false)?;
        } else {
            planes.scale(roots)?;
        }
        Ok(v)
    }

    /// Cells are few: only their squares come back, and only their roots go there.
    #[cfg(not(feature = "cuda"))]
    fn learn_on_card(&mut self, gradient: &Samples) -> Result<()> {
        let planes = Planes::of(gradient)?;
        self.local.renew(planes.mean_squares(CELL)?, planes.width());
        let roots = self.local.rows();
        let shape = (roots.len() / planes.width(), planes.width()).into();
        // The old ones go before the new ones come.
        self.roots = None;
        self.roots = Some(Samples::new(gradient.space(), &shape, roots)?);
        Ok(())
    }
}

impl Metric for PictureMetric {
    fn apply(&self, v: Vector) -> Result<Vector> {
        match v {
            Vector::Tensor(v) => Ok(self.apply_to_tensor(v)?.into()),
            #[cfg(not(feature = "cuda"))]
            Vector::OnCard(v) => Ok(Vector::OnCard(self.apply_on_card(v)?)),
        }
    }

    fn square(&self, v: &Vector) -> Result<f64> {
        match vector::widened(v)? {
            Vector::Tensor(v) => self.square_of_tensor(v),
            #[cfg(not(feature = "cuda"))]
            Vector::OnCard(image) => vector::dot(v, &Vector::OnCard(self.apply_on_card(image)?)),
        }
    }

    fn learn(&mut self, gradient: &Vector) -> Result<()> {
        match gradient {
            Vector::Tensor(gradient) => {
                let (_, _, height, width) = gradient.dims4()?;
                samples::lend(gradient, |gradient| self.local.learn(gradient, height, width))
            }
            #[cfg(not(feature = "cuda"))]
            Vector::OnCard(gradient) => self.learn_on_card(gradient),
        }
    }
}

const fn transposed(m: [[f32; 3]; 3]) -> [[f32; 3]; 3] {
    let [[a, b, c], [d, e, f], [g, h, i]] = m;
    [[a, d, g], [b, e, h], [c, f, i]]
}

/// A pixel's shares along axes.
fn turned(axes: [[f32; 3]; 3], [red, green, blue]: [f32; 3]) -> [f32; 3] {
    axes.map(|[along_red, along_green, along_blue]| along_red * red + along_green * green + along_blue * blue)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::super::problems::random;
    use super::*;

    fn picture(values: Vec<f32>, height: usize, width: usize) -> Vector {
        let tensor = Tensor::from_vec(values, (1, 3, height, width), &Device::Cpu);
        tensor.unwrap().into()
    }

    fn image(metric: &PictureMetric, vector: &Vector) -> Vector {
        metric
            .apply(vector.to_tensor().unwrap().copy().unwrap().into())
            .unwrap()
    }

    #[test]
    fn it_is_symmetric_and_positive() {
        for (height, width) in [(1, 1), (3, 20), (20, 3), (17, 23), (131, 5)] {
            let count = 3 * height * width;
            let [u, v] = [1, 2].map(|seed| picture(random(seed, count, -1.0, 1.0), height, width));
            let mut taught = PictureMetric::painted();
            taught
                .learn(&picture(random(3, count, -1.0, 1.0), height, width))
                .unwrap();
            for (metric, least) in [(PictureMetric::unpainted(), 0.149), (taught, 0.5)] {
                let [image_u, image_v] = [&u, &v].map(|vector| image(&metric, vector));
                let (left, right) = (vector::dot(&image_u, &v).unwrap(), vector::dot(&u, &image_v).unwrap());
                let scale = vector::norm(&image_u).unwrap() * vector::norm(&v).unwrap();
                assert!(
                    (left - right).abs() < 1e-6 * scale,
                    "{height} x {width}: {left} {right}"
                );
                let square = vector::dot(&image_u, &u).unwrap();
                assert!(square > least * vector::dot(&u, &u).unwrap());
                let found = metric.square(&u).unwrap();
                assert!(
                    (found - square).abs() < 1e-6 * square,
                    "{height} x {width}: {found} for {square}"
                );
            }
        }
    }

    #[test]
    fn each_axis_has_its_gains() {
        // The middle is as far from the border as the coarsest octave reaches.
        let side = 401;
        let middle = side * side / 2;
        let weave = |pixel: usize| 1.0 - 2.0 * ((pixel / side + pixel % side) % 2) as f32;
        let even: fn(usize) -> f32 = |_| 1.0;
        for (axis, gains) in AXES.into_iter().zip(GAINS) {
            let forms: [(&dyn Fn(usize) -> f32, f32); 2] = [(&even, gains.iter().sum()), (&weave, gains[0])];
            for (form, gain) in forms {
                let values = axis
                    .iter()
                    .flat_map(|share| (0..side * side).map(move |pixel| share * form(pixel)));
                let image = PictureMetric::unpainted()
                    .apply(picture(values.collect(), side, side))
                    .unwrap();
                let image = image.to_tensor().unwrap().flatten_all().unwrap();
                let image: Vec<f32> = image.to_vec1().unwrap();
                for (channel, share) in axis.iter().enumerate() {
                    let (found, expected) = (image[channel * side * side + middle], share * form(middle) * gain);
                    assert!(
                        (found - expected).abs() < 1e-4,
                        "{axis:?} {channel}: {found} {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn no_gains_take_more_away_than_there_is() {
        for gains in GAINS {
            let taken: f32 = gains.iter().map(|gain| gain.min(0.0)).sum();
            assert!(gains[0] + taken > 0.1, "{gains:?}");
        }
    }
}
