//! The seam between what style is and how a network runs: picture to statistics, and gradients back.
//!
//! Every style loss worth having is a function of a few small numbers per layer, the mean and the second moments of
//! the features (Gatys, Ecker and Bethge 2015 use the latter alone, the Gram matrix). So a [`Backend`] computes those
//! for a picture, and later turns the derivatives of a loss with respect to them into the derivative with respect to
//! the pixels. It knows nothing of losses, and whoever calls it knows nothing of devices or feature maps.
//!
//! Pictures cross the seam as tensors `[1, 3, H, W]` of f32: red, green, blue, sRGB-encoded, nominally 0 to 1 (values
//! outside are taken as they are). Bringing them into the network's input space is the backend's work. Where a backend
//! keeps vectors on its own card, pictures need not come back from there: see [`Resident`].
//!
//! What a picture's statistics are sums of, its pixels, may be looked at in several parts: a backend is prepared for all
//! of them, in the memory that the largest takes. How a picture is cut so that the whole comes out again, and what else
//! it takes, is the business of [`Tiled`]; a picture that is looked at as it is has one part, itself.

pub mod candle;
#[allow(unsafe_code, reason = "kernels by instruction set, and threads that share maps")]
pub mod cpu;
// candle's CUDA, where it is built in, links the driver that this one looks up.
#[cfg(not(feature = "cuda"))]
pub mod cuda;
#[cfg(test)]
pub mod false_card;
pub mod listing;
mod open;
mod regions;
mod resident;
mod tiled;
pub(crate) mod trial;

use candle_core::{DType, Device, Tensor};

use crate::network::Layer;
use crate::optimise::Home;
use crate::{Error, Result, samples};

pub use open::{Opened, distrust, open};
pub use resident::{Amounts, ContentLoss, GaussianTarget, Losses, MomentsDistance, MomentsLoss, Resident, Seen};
pub use tiled::{Holding, Margin, Tiled, Tiling};

/// How feature maps are halved. Windows are 2 x 2, stride 2; an odd last row or column is dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pooling {
    /// The largest; of equals, the first in reading order receives the whole gradient.
    #[default]
    Max,
    /// The mean.
    Average,
    /// The root of the mean of the squares, times [`Pooling::L2_SCALE`]; its gradient at 0 is 0.
    L2,
}

impl Pooling {
    /// What brings the root mean square to the size of the maximum that the network was trained with.
    pub const L2_SCALE: f32 = 1.56;
}

/// A rectangle of pixels. Its first row and column are multiples of 16, so that it begins on the grid of every layer: at
/// a layer after `p` poolings it spans `top >> p .. (top + height) >> p` and likewise for columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its first row.
    pub top: usize,
    /// Its first column.
    pub left: usize,
    /// Its rows.
    pub height: usize,
    /// Its columns.
    pub width: usize,
}

impl Window {
    /// All of a picture.
    pub fn whole(height: usize, width: usize) -> Self {
        Self {
            top: 0,
            left: 0,
            height,
            width,
        }
    }

    /// The window on the grid of a layer after `pools` poolings.
    pub fn at_depth(&self, pools: usize) -> Self {
        let (top, left) = (self.top >> pools, self.left >> pools);
        let (bottom, right) = ((self.top + self.height) >> pools, (self.left + self.width) >> pools);
        Self {
            top,
            left,
            height: bottom - top,
            width: right - left,
        }
    }
}

/// About the share of a forward pass in the time of one forward and backward.
pub const FORWARD: f64 = 0.5;

/// What a backend is to compute: everything that stays the same from step to step.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The picture's rows, 16 or more.
    pub height: usize,
    /// The picture's columns, 16 or more.
    pub width: usize,
    /// Statistics and content distances are taken over the features inside this window only; what lies around it is
    /// seen by the network and receives its gradient, but is not measured.
    pub window: Window,
    /// The layers whose moments are wanted, in ascending order.
    pub style_layers: Vec<Layer>,
    /// The layers whose distance from the content is wanted, in ascending order.
    pub content_layers: Vec<Layer>,
    /// How feature maps are halved.
    pub pooling: Pooling,
    /// Weights per pixel, `[R, H, W]`, 0 or more: moments are taken apart for each of the R regions, with the weights
    /// averaged down to each layer's grid (2 x 2 means, rounding down). `None` is one region of weight 1.
    pub regions: Option<Tensor>,
    /// Whether passes may end at the [joint](Plan::joint).
    pub defers: bool,
}

impl Plan {
    /// The fewest rows and columns: conv5_1 still sees one pixel.
    pub const SMALLEST: usize = 16;

    /// The layer that all but the highest style layer lie at or below, where the plan defers that one and it alone, and no
    /// pooling comes between.
    pub fn joint(&self) -> Option<Layer> {
        let highest = *self.style_layers.last()?;
        let others = self.style_layers.iter().chain(&self.content_layers);
        let joint = *others.filter(|layer| **layer != highest).max()?;
        let is_pooled = Layer::ALL[joint.index() + 1..].first()?.follows_pool();
        let is_above = highest > joint && !self.content_layers.contains(&highest);
        (self.defers && is_above && !is_pooled).then_some(joint)
    }

    /// How many features of a content layer are inside the window.
    pub fn content_features(&self, layer: Layer) -> usize {
        let window = self.window.at_depth(layer.pools());
        layer.outputs() * window.height * window.width
    }

    /// How many features of all content layers are inside the window.
    pub fn all_content_features(&self) -> usize {
        let layers = self.content_layers.iter();
        layers.map(|&layer| self.content_features(layer)).sum()
    }

    /// Whether a backend can carry it out.
    ///
    /// # Errors
    /// [`Error::Internal`]: plans are made by filters, which are to make them right.
    pub fn check(&self) -> Result<()> {
        let fault = |what: &str| Err(Error::Internal(format!("the plan's {what}: {self:?}")));
        if self.height < Self::SMALLEST || self.width < Self::SMALLEST {
            return fault("picture is too small");
        }
        let Window {
            top,
            left,
            height,
            width,
        } = self.window;
        let spans = [(top, height, self.height), (left, width, self.width)];
        for (start, length, whole) in spans {
            let end = start + length;
            if length < Self::SMALLEST || end > whole || start % 16 != 0 {
                return fault("window lies off the grid");
            }
        }
        if !self.style_layers.is_sorted() || !self.content_layers.is_sorted() {
            return fault("layers are out of order");
        }
        if let Some(regions) = &self.regions {
            let (_, height, width) = regions.dims3()?;
            if (height, width) != (self.height, self.width) {
                return fault("regions have another size than its picture");
            }
        }
        Ok(())
    }
}

/// The moments of one layer's features over one region. With `F` the features `[C, N]` and `w` the weights `[N]`:
#[derive(Clone, Debug)]
pub struct Moments {
    /// `F diag(w) F^T / sum w`, `[C, C]`: the Gram matrix per pixel.
    pub second: Tensor,
    /// `F w / sum w`, `[C]`.
    pub mean: Tensor,
    /// `sum w`: the number of feature pixels when there are no regions.
    pub weight: f64,
}

/// How far one layer's features are from the content's.
#[derive(Clone, Copy, Debug)]
pub struct ContentDistance {
    /// `mean (F - P)^2` over channels and pixels of the window.
    pub mean_square: f64,
    /// The number of elements that the mean is taken over.
    pub elements: f64,
}

/// What a picture looks like to the network.
#[derive(Clone, Debug)]
pub struct Statistics {
    /// `[style layer][region]`, on the backend's device.
    pub moments: Vec<Vec<Moments>>,
    /// `[content layer]`; empty while no content is held.
    pub content: Vec<ContentDistance>,
}

/// The derivatives of a loss with respect to [`Moments`].
#[derive(Clone, Debug)]
pub struct MomentsGradient {
    /// With respect to each entry of `second` on its own, `[C, C]`; it need not be symmetric.
    pub second: Tensor,
    /// With respect to `mean`, `[C]`.
    pub mean: Tensor,
}

/// The derivatives of a loss with respect to [`Statistics`].
#[derive(Clone, Debug)]
pub struct StatisticsGradient {
    /// `[style layer][region]`, on the backend's device.
    pub moments: Vec<Vec<MomentsGradient>>,
    /// With respect to each `mean_square`.
    pub content: Vec<f64>,
}

/// The network on a device.
///
/// A sequence is `prepare`, then `hold_content` of every part where the plan names content layers, then any number of
/// `forward` with or without one `backward` after it, which may use up what `forward` left. The same inputs give the
/// same bits, whatever the number of threads.
pub trait Backend: Send {
    /// Where the tensors that cross the seam live.
    fn device(&self) -> &Device;

    /// What it is, for people: "CPU, plain".
    fn description(&self) -> String;

    /// The most bytes that a tiling will take from `prepare` to the last `backward`, transformed weights included: a
    /// prediction, made without allocating any of it.
    fn memory(&self, tiling: &Tiling) -> u64;

    /// The bytes of a card's own memory that are free for that; `None` where it is the system's that is used.
    fn free_memory(&self) -> Option<u64> {
        None
    }

    /// Whether it computes on a card, which may fail or fill up where the processor would not.
    fn is_card(&self) -> bool {
        self.has_own_memory() || !self.device().is_cpu()
    }

    /// Whether what it takes is a card's own memory and not the system's.
    fn has_own_memory(&self) -> bool {
        self.free_memory().is_some() || self.device().is_cuda()
    }

    /// How it holds the content's features where they would leave too little room as they are.
    fn sparing(&self) -> Holding {
        Holding::Halves
    }

    /// Makes ready for the parts of a picture. They share what is remembered between `forward` and `backward`; the
    /// content's features are held for each. Forgets an earlier picture and its content.
    fn prepare(&mut self, tiling: &Tiling) -> Result<()>;

    /// Keeps the features of this picture as those that content distances of the part are measured from. Returns the
    /// distances of each content layer's features over the window from 0: their energies `mean P^2`.
    fn hold_content(&mut self, part: usize, picture: &Tensor) -> Result<Vec<ContentDistance>>;

    /// The statistics of a picture, as the part's plan asks for them.
    fn forward(&mut self, part: usize, picture: &Tensor) -> Result<Statistics>;

    /// The gradient with respect to the picture of the last `forward`, `[1, 3, H, W]`.
    fn backward(&mut self, gradient: &StatisticsGradient) -> Result<Tensor>;

    /// As `backward`, but `read` is lent the gradient `[3][H][W]`: a backend that works in main memory makes it where it made
    /// the last one.
    fn backward_lent(&mut self, gradient: &StatisticsGradient, read: &mut dyn FnMut(&[f32])) -> Result<()> {
        samples::lend(&self.backward(gradient)?, read)
    }

    /// Whether it can do what a plan's joint is for. Then a `backward` that comes down from the highest layer holds what
    /// it brings to the joint: the derivative `D` of the loss above, with respect to the features `F` there.
    fn can_defer(&self) -> bool {
        false
    }

    /// As `forward`, no higher than the joint, with the statistics of the layers up to there. In the `backward` after it, what
    /// was held comes down from above.
    ///
    /// # Errors
    /// Where nothing is held.
    fn forward_to_joint(&mut self, _part: usize, _picture: &Tensor) -> Result<Statistics> {
        Err(Error::Internal("this backend defers nothing".into()))
    }

    /// `D . (F - F0)`, where `F` are the features that the last forward pass of either kind left at the joint, and `F0`
    /// those that `D` was held at; `None` before. The loss above the joint has changed by about so much since.
    ///
    /// # Errors
    /// Where there was no such pass.
    fn deferred_change(&mut self) -> Result<Option<f64>> {
        Ok(None)
    }

    /// Where an optimiser's vectors best live.
    fn home(&self) -> Home {
        Home::Device(self.device().clone())
    }

    /// Itself, where that is a card that it computes on by itself.
    fn resident(&mut self) -> Option<&mut dyn Resident> {
        None
    }
}

/// Refuses a tensor of another shape, and one that is not f32.
fn expect_shape(tensor: &Tensor, shape: &[usize]) -> Result<()> {
    if tensor.dims() != shape || tensor.dtype() != DType::F32 {
        return Err(Error::Internal(format!(
            "a tensor of {:?} {:?} where one of f32 {shape:?} is due",
            tensor.dtype(),
            tensor.dims()
        )));
    }
    Ok(())
}

/// What `read` makes of the values of a tensor that must have this shape and be f32.
fn lend<T>(tensor: &Tensor, shape: &[usize], read: impl FnOnce(&[f32]) -> T) -> Result<T> {
    expect_shape(tensor, shape)?;
    samples::lend(&tensor.contiguous()?, read)
}
