//! Pooling over 2 x 2 windows in candle tensors, and its gradients.
//!
//! A feature map is taken apart into the four members of its windows, each `[1, C, H/2, W/2]`; after that, pooling and
//! its gradient are elementwise. (candle 0.11.1 hands a maximum only a quarter of its gradient, and its average is
//! wrong for odd sizes; both are therefore avoided.)

use candle_core::{DType, Tensor};

use crate::Result;
use crate::compute::Pooling;

/// The members of a window in reading order: row and column within it.
const MEMBERS: [(usize, usize); 4] = [(0, 0), (0, 1), (1, 0), (1, 1)];

/// A pooled feature map and what its gradient needs.
pub(super) struct Pooled {
    output: Tensor,
    /// Rows and columns of the input.
    size: (usize, usize),
    memory: Memory,
}

/// What each kind of pooling keeps for its gradient.
enum Memory {
    /// Which member won, u8 `[1, C, H/2, W/2]`.
    Max(Tensor),
    Average,
    /// The derivative of the output with respect to each member.
    L2([Tensor; 4]),
}

impl Pooled {
    /// Pools a feature map `[1, C, H, W]`.
    pub(super) fn new(input: &Tensor, pooling: Pooling) -> Result<Self> {
        let (_, _, height, width) = input.dims4()?;
        let [a, b, c, d] = take_apart(input)?;
        let (output, memory) = match pooling {
            Pooling::Max => {
                let largest = a.maximum(&b)?.maximum(&c.maximum(&d)?)?;
                let (zero, one) = (
                    largest.zeros_like()?.to_dtype(DType::U8)?,
                    largest.ones_like()?.to_dtype(DType::U8)?,
                );
                let (two, three) = ((&one + &one)?, (&one + &one + &one)?);
                let winner = c.eq(&largest)?.where_cond(&two, &three)?;
                let winner = b.eq(&largest)?.where_cond(&one, &winner)?;
                let winner = a.eq(&largest)?.where_cond(&zero, &winner)?;
                (largest, Memory::Max(winner))
            }
            Pooling::Average => ((((a + b)? + (c + d)?)? * 0.25)?, Memory::Average),
            Pooling::L2 => {
                let scale = f64::from(Pooling::L2_SCALE);
                let mean_square = (((a.sqr()? + b.sqr()?)? + (c.sqr()? + d.sqr()?)?)? * 0.25)?;
                let root = mean_square.sqrt()?;
                // Where the root is 0 so are the members: dividing by 1 there makes the gradient 0.
                let divisor = ((&root + root.eq(0f32)?.to_dtype(DType::F32)?)? * (4.0 / scale))?;
                let slopes = [(a / &divisor)?, (b / &divisor)?, (c / &divisor)?, (d / &divisor)?];
                ((root * scale)?, Memory::L2(slopes))
            }
        };
        Ok(Self {
            output,
            size: (height, width),
            memory,
        })
    }

    /// `[1, C, H/2, W/2]`.
    pub(super) fn output(&self) -> &Tensor {
        &self.output
    }

    /// The gradient at the input from the one at the output.
    pub(super) fn pull_back(&self, gradient: &Tensor) -> Result<Tensor> {
        let members = match &self.memory {
            Memory::Max(winner) => {
                let mut members = Vec::with_capacity(4);
                for member in 0..4u8 {
                    members.push((gradient * winner.eq(member)?.to_dtype(DType::F32)?)?);
                }
                members
            }
            Memory::Average => vec![(gradient * 0.25)?; 4],
            Memory::L2(slopes) => slopes
                .iter()
                .map(|slope| Ok((gradient * slope)?))
                .collect::<Result<Vec<_>>>()?,
        };
        put_together(&members, self.size)
    }
}

/// Averages the last two dimensions of `[1, R, H, W]` down by 2, as region weights are.
pub(super) fn halve(map: &Tensor) -> Result<Tensor> {
    Ok(Pooled::new(map, Pooling::Average)?.output)
}

/// The members of all windows; an odd last row or column is dropped.
fn take_apart(map: &Tensor) -> Result<[Tensor; 4]> {
    let (batch, channels, height, width) = map.dims4()?;
    let (rows, columns) = (height / 2, width / 2);
    let windows = map
        .narrow(2, 0, 2 * rows)?
        .narrow(3, 0, 2 * columns)?
        .contiguous()?
        .reshape(&[batch, channels, rows, 2, columns, 2][..])?;
    let member = |(row, column): (usize, usize)| -> Result<Tensor> {
        let member = windows.narrow(3, row, 1)?.narrow(5, column, 1)?;
        Ok(member.contiguous()?.reshape((batch, channels, rows, columns))?)
    };
    Ok([
        member(MEMBERS[0])?,
        member(MEMBERS[1])?,
        member(MEMBERS[2])?,
        member(MEMBERS[3])?,
    ])
}

/// The adjoint of [`take_apart`]: dropped rows and columns receive 0.
fn put_together(members: &[Tensor], (height, width): (usize, usize)) -> Result<Tensor> {
    let (batch, channels, rows, columns) = members[0].dims4()?;
    let row = |left: &Tensor, right: &Tensor| -> Result<Tensor> {
        Ok(Tensor::stack(&[left, right], 4)?.reshape((batch, channels, rows, 2 * columns))?)
    };
    let rows_of_windows = [row(&members[0], &members[1])?, row(&members[2], &members[3])?];
    let even = Tensor::stack(&rows_of_windows, 3)?.reshape((batch, channels, 2 * rows, 2 * columns))?;
    Ok(even
        .pad_with_zeros(2, 0, height - 2 * rows)?
        .pad_with_zeros(3, 0, width - 2 * columns)?)
}
