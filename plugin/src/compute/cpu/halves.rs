//! The content's features in half of the memory, where tiles would otherwise be too small.
//!
//! They are halves of IEEE 754, of eleven binary digits: what a feature was is off by half a thousandth at most, where
//! bfloat16 would be off by eight times as much. What is above all halves, 65504, is taken as that; of the built-in network
//! the largest features at conv4_2 are some thousands. Nothing computes with halves: those of the part that is looked at are
//! widened, into memory that all parts share.

use half::f16;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};

use super::buffer::Buffer;
use super::lanes::Lanes;
use super::part::Part;

/// Features that are clamped and rounded at once.
const CHUNK: usize = 1024;

/// A part's content, `[content layer]`.
pub struct Halves(Vec<Buffer<u16>>);

impl Halves {
    /// Rounds features, 0 or more, to halves.
    pub fn of(content: &[Buffer<Lanes>]) -> Self {
        let rounded = content.iter().map(|features| {
            let features: &[f32] = bytemuck::cast_slice(features);
            let mut halves = Buffer::zeros(features.len());
            let mut clamped = [0f32; CHUNK];
            for (features, halves) in features.chunks(CHUNK).zip(halves.chunks_mut(CHUNK)) {
                let clamped = &mut clamped[..features.len()];
                for (clamped, feature) in clamped.iter_mut().zip(features) {
                    *clamped = feature.min(f16::MAX.to_f32());
                }
                let halves: &mut [f16] = HalfBitsSliceExt::reinterpret_cast_mut(halves);
                halves.convert_from_f32_slice(clamped);
            }
            halves
        });
        Self(rounded.collect())
    }

    fn widen(&self, content: &mut Vec<Buffer<Lanes>>) {
        content.resize_with(self.0.len(), || Buffer::EMPTY);
        for (halves, features) in self.0.iter().zip(content) {
            features.fit(halves.len() * size_of::<f32>() / size_of::<Lanes>());
            let halves: &[f16] = HalfBitsSliceExt::reinterpret_cast(&halves[..]);
            halves.convert_to_f32_slice(bytemuck::cast_slice_mut(features));
        }
    }
}

/// Sees to it that a part has its content if that is held in halves, in the memory where another part had its own.
pub fn bring(parts: &mut [Part], part: usize) {
    if parts[part].content.is_some() || parts[part].halves.is_none() {
        return;
    }
    let mut content = take(parts).unwrap_or_default();
    let part = &mut parts[part];
    part.content = part.halves.as_ref().map(|halves| {
        halves.widen(&mut content);
        content
    });
}

/// The memory that a part's content was widened into.
pub fn take(parts: &mut [Part]) -> Option<Vec<Buffer<Lanes>>> {
    let mut widened = parts.iter_mut().filter(|part| part.halves.is_some());
    widened.find_map(|part| part.content.take())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_come_back_to_three_digits() {
        // More than a chunk, from the least to far above what halves can say, and 0.
        let lanes = |index: usize| {
            Lanes(std::array::from_fn(|lane| {
                1.001f32.powi((index * 16 + lane) as i32) - 1.0
            }))
        };
        let exact: Vec<Lanes> = (0..1000).map(lanes).collect();
        let halves = Halves::of(&[Buffer::concatenated(exact.len(), [&exact[..]]), Buffer::EMPTY]);
        // Where there was more before.
        let mut content = vec![Buffer::concatenated(2000, [[Lanes::splat(7.0); 2000].as_slice()])];
        halves.widen(&mut content);
        assert_eq!((content.len(), content[0].len(), content[1].len()), (2, exact.len(), 0));
        let mut saturated = 0;
        for (found, exact) in content[0].iter().zip(&exact) {
            for (found, exact) in found.0.into_iter().zip(exact.0) {
                let expected = exact.min(65504.0);
                saturated += usize::from(expected < exact);
                assert!(
                    (found - expected).abs() <= expected / 2048.0 + 1e-7,
                    "{found} for {exact}"
                );
            }
        }
        assert!(saturated > 1000 && content[0][0].0[0] == 0.0);
    }
}
