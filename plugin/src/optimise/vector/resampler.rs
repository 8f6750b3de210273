//! Pictures on another grid, where they are to live.
//!
//! What stays on a card of our own backend is resampled there: to fetch a history and to bring it back takes as long as
//! many steps. All else goes by way of main memory: from one place to another, and on candle's devices.

use std::collections::VecDeque;
#[cfg(not(feature = "cuda"))]
use std::sync::Arc;

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::{Home, Vector, widened};
use crate::Result;
use crate::canvas::{self, Size};
#[cfg(not(feature = "cuda"))]
use crate::compute::cuda::Resampling;

/// Samples of pictures that are resampled in main memory at a time: 32 MB of them.
pub const TOGETHER: usize = 1 << 23;

/// Maps a picture in main memory to a contiguous one of another grid.
type Resample = dyn Fn(&Tensor) -> Result<Tensor> + Sync;

/// What takes pictures to another grid and a home there.
pub struct Resampler {
    home: Home,
    resample: Box<Resample>,
    /// Of the same grids, on the card that is the home.
    #[cfg(not(feature = "cuda"))]
    on_card: Option<Resampling>,
}

impl Resampler {
    /// By way of main memory, where `resample` maps a picture to a contiguous one of the other grid.
    pub fn new(home: &Home, resample: impl Fn(&Tensor) -> Result<Tensor> + Sync + 'static) -> Self {
        Self {
            home: home.clone(),
            resample: Box::new(resample),
            #[cfg(not(feature = "cuda"))]
            on_card: None,
        }
    }

    /// To another size by [`canvas::resize_tensor`], for pictures `[1, 3, H, W]` of the size and the place of `model`.
    ///
    /// # Errors
    /// Failures of the card that they stay on, if they do.
    pub fn to_size(model: &Vector, size: Size, home: &Home) -> Result<Self> {
        let resample = move |picture: &Tensor| {
            let here = picture.to_device(&Device::Cpu)?;
            canvas::resize_tensor(&here, size.width, size.height)
        };
        let resampler = Self::new(home, resample);
        match (model, home) {
            #[cfg(not(feature = "cuda"))]
            (Vector::OnCard(samples), Home::Card(space)) if Arc::ptr_eq(samples.space(), space) => {
                let (_, _, height, width) = samples.shape().dims4()?;
                let on_card = Resampling::new(space, Size { width, height }, size)?;
                Ok(Self {
                    on_card: Some(on_card),
                    ..resampler
                })
            }
            _ => Ok(resampler),
        }
    }

    /// A picture, in halves or not, on the other grid, in f32. It goes when it was seen.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] where there is no room for it, and failures of the places that it comes from and goes to.
    pub fn apply(&self, picture: Vector) -> Result<Vector> {
        if let Some(resampled) = self.stay(&picture)? {
            return Ok(resampled);
        }
        let here = picture.to_tensor()?;
        drop(picture);
        self.home.bring(&(self.resample)(&here)?)
    }

    /// As [`Self::apply`], of many pictures, which `take` gets one after the other: on a card they go one by one, and so do
    /// large ones in main memory; of small ones as many at a time as keep all threads busy.
    ///
    /// # Errors
    /// As [`Self::apply`], and those of `take`.
    pub fn apply_to_all(
        &self,
        mut pictures: VecDeque<Vector>,
        mut take: impl FnMut(Vector) -> Result<()>,
    ) -> Result<()> {
        while let Some(first) = pictures.front() {
            if let Some(resampled) = self.stay(first)? {
                pictures.pop_front();
                take(resampled)?;
                continue;
            }
            let together = (TOGETHER / first.elem_count().max(1)).clamp(1, pictures.len());
            let here = pictures.drain(..together).map(|picture| widened(&picture)?.to_tensor());
            let here: Vec<Tensor> = here.collect::<Result<_>>()?;
            let resampled = here.into_par_iter().map(|picture| (self.resample)(&picture));
            let resampled: Vec<Tensor> = resampled.collect::<Result<_>>()?;
            for picture in resampled {
                take(self.home.bring(&picture)?)?;
            }
        }
        Ok(())
    }

    /// A picture resampled on the card that it stays on; `None` where it has to pass main memory.
    fn stay(&self, picture: &Vector) -> Result<Option<Vector>> {
        match picture {
            Vector::Tensor(_) => Ok(None),
            #[cfg(not(feature = "cuda"))]
            Vector::OnCard(samples) => {
                let Some(resampling) = &self.on_card else {
                    return Ok(None);
                };
                let resampled = if samples.is_single() {
                    resampling.apply(samples)?
                } else {
                    resampling.apply(&super::card::widened(samples)?)?
                };
                Ok(Some(Vector::OnCard(resampled)))
            }
        }
    }
}
