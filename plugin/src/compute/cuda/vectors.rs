//! An optimiser's vectors in a card's memory, and what is done with them there.
//!
//! Where the network is on a card, the picture and its gradient are made there, and a card's memory is some fifty times as
//! fast as the way to it: so they stay, with all that an optimiser keeps of them, and only sums come back. The operations
//! are those of [`crate::optimise::vector`], and what they are made of is in `kernels/vectors.cu`.

use std::fmt;
use std::sync::Arc;

use candle_core::Shape;
use half::bf16;

use super::driver::Memory;
use super::kernels::{Argument, Kernel};
use super::space::{LIST, Space, blocks};
use crate::{Error, Result};

/// Vectors that a kernel takes at once beside another: see `kernels/vectors.cu`.
const GROUP: usize = 8;

/// What a kernel is told of vectors: see `kernels/vectors.cu`.
mod flag {
    pub const A_IN_HALVES: i32 = 1;
    pub const B_IN_HALVES: i32 = 2;
    pub const WEIGHT_IN_HALVES: i32 = 4;
    pub const S_IN_HALVES: i32 = 8;
    pub const Y_IN_HALVES: i32 = 16;
    pub const INTO_HALVES: i32 = 32;
    pub const INTO_BOX: i32 = 64;
    pub const STEP_FROM_A: i32 = 128;
}

/// A vector of f32, or of halves, in a card's memory. Its clones are the same vector.
#[derive(Clone)]
pub struct Samples(Arc<Held>);

struct Held {
    space: Arc<Space>,
    /// Always some, until it is dropped.
    memory: Option<Memory>,
    shape: Shape,
    in_halves: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(memory) = self.memory.take() {
            self.space.keep(memory);
        }
    }
}

impl fmt::Debug for Samples {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Samples({:?} on {})", self.0.shape, self.space().card.name())
    }
}

impl Samples {
    /// One of any shape, with anything in it.
    pub(super) fn room(space: &Arc<Space>, shape: &Shape, in_halves: bool) -> Result<Self> {
        let elements = shape.elem_count();
        if i32::try_from(elements).is_err() {
            return Err(Error::Memory("the picture is too large for a card".into()));
        }
        let bytes = elements * if in_halves { size_of::<bf16>() } else { size_of::<f32>() };
        Ok(Self(Arc::new(Held {
            space: space.clone(),
            memory: Some(space.take(bytes)?),
            shape: shape.clone(),
            in_halves,
        })))
    }

    /// Brings values onto the card.
    ///
    /// # Errors
    /// [`Error::Memory`] where it is full, [`Error::Device`] when it fails, and [`Error::Internal`] for values that are not
    /// as many as the shape has.
    pub fn new(space: &Arc<Space>, shape: &Shape, values: &[f32]) -> Result<Self> {
        if values.len() != shape.elem_count() {
            return Err(Error::Internal(format!("{} values for {shape:?}", values.len())));
        }
        let samples = Self::room(space, shape, false)?;
        samples.memory()?.write(0, values)?;
        Ok(samples)
    }

    /// Another one of the same shape, with anything in it.
    pub(super) fn like(&self, in_halves: bool) -> Result<Self> {
        Self::room(self.space(), self.shape(), in_halves)
    }

    /// One of zeros, of the same shape.
    ///
    /// # Errors
    /// [`Error::Memory`] where the card is full, [`Error::Device`] when it fails.
    pub fn zeros_like(&self) -> Result<Self> {
        let zeros = self.like(false)?;
        let memory = zeros.memory()?;
        memory.clear(0, memory.bytes())?;
        Ok(zeros)
    }

    /// Brings its values, widened where they are halves, into main memory.
    ///
    /// # Errors
    /// [`Error::Device`] when the card fails.
    pub fn values(&self) -> Result<Vec<f32>> {
        let (memory, count) = (self.memory()?, self.elem_count());
        if !self.0.in_halves {
            return memory.read(0, count);
        }
        let halves: Vec<u16> = memory.read(0, count)?;
        Ok(halves.into_iter().map(|bits| bf16::from_bits(bits).to_f32()).collect())
    }

    /// Its shape.
    pub fn shape(&self) -> &Shape {
        &self.0.shape
    }

    /// The number of its elements.
    pub fn elem_count(&self) -> usize {
        self.shape().elem_count()
    }

    /// Whether it is of f32.
    pub fn is_single(&self) -> bool {
        !self.0.in_halves
    }

    /// Where it lives.
    pub fn space(&self) -> &Arc<Space> {
        &self.0.space
    }

    fn memory(&self) -> Result<&Memory> {
        let gone = || Error::Internal("a vector's memory is gone".into());
        self.0.memory.as_ref().ok_or_else(gone)
    }

    /// Its address, for kernels that take f32.
    pub(super) fn single(&self) -> Result<Argument> {
        if self.0.in_halves {
            return Err(Error::Internal("a vector of halves where one of f32 is due".into()));
        }
        Ok(self.memory()?.address(0))
    }

    fn count(&self) -> Argument {
        Argument::size(self.elem_count())
    }
}

/// `alpha a + beta weight b`, and the sums of what that is times `s`, and of `weight s y`. Whatever is absent does not
/// count; all are of one length.
#[derive(Default)]
pub struct Combination<'a> {
    /// A vector, ...
    pub a: Option<&'a Samples>,
    /// ... its factor, ...
    pub alpha: f32,
    /// ... what is added to it, ...
    pub b: Option<&'a Samples>,
    /// ... the factor of that, ...
    pub beta: f32,
    /// ... and a weight for each of its elements.
    pub weight: Option<&'a Samples>,
    /// What comes out is multiplied with this for the first sum.
    pub s: Option<&'a Samples>,
    /// With `s` and the weight, the second sum's.
    pub y: Option<&'a Samples>,
    /// Whether what comes out is clamped to 0 ... 1.
    pub into_box: bool,
    /// Whether the first sum is of the step from `a`.
    pub step_from_a: bool,
}

impl Combination<'_> {
    fn operands(&self) -> [(Option<&Samples>, i32); 5] {
        [
            (self.a, flag::A_IN_HALVES),
            (self.b, flag::B_IN_HALVES),
            (self.weight, flag::WEIGHT_IN_HALVES),
            (self.s, flag::S_IN_HALVES),
            (self.y, flag::Y_IN_HALVES),
        ]
    }

    fn any(&self) -> Result<&Samples> {
        let operand = self.operands().into_iter().find_map(|(samples, _)| samples);
        operand.ok_or_else(|| Error::Internal("a combination of no vectors".into()))
    }

    /// The sums alone.
    ///
    /// # Errors
    /// Failures of the card; so for all of these.
    pub fn sums(&self) -> Result<[f64; 2]> {
        self.run(None)
    }

    /// A new vector, and the sums.
    ///
    /// # Errors
    /// [`Error::Memory`] where the card is full.
    pub fn made(&self) -> Result<(Samples, [f64; 2])> {
        let made = self.any()?.like(false)?;
        let sums = self.run(Some(&made))?;
        Ok((made, sums))
    }

    /// A new vector of halves.
    ///
    /// # Errors
    /// [`Error::Memory`] where the card is full.
    pub fn halved(&self) -> Result<Samples> {
        let made = self.any()?.like(true)?;
        self.run(Some(&made))?;
        Ok(made)
    }

    /// In the memory of `target`, which may be `a` or `b`, and the sums.
    ///
    /// # Errors
    /// [`Error::Internal`] for a target of halves.
    pub fn in_place_of(&self, target: &Samples) -> Result<[f64; 2]> {
        target.single()?;
        self.run(Some(target))
    }

    fn run(&self, out: Option<&Samples>) -> Result<[f64; 2]> {
        let any = self.any()?;
        let address = |samples: Option<&Samples>| match samples {
            Some(samples) => Ok(samples.memory()?.address(0)),
            None => Ok::<_, Error>(Argument::NULL),
        };
        let mut flags = 0;
        for (samples, flag) in self.operands().into_iter().chain([(out, flag::INTO_HALVES)]) {
            if let Some(samples) = samples {
                if samples.elem_count() != any.elem_count() {
                    return Err(Error::Internal("an optimiser's vectors differ in length".into()));
                }
                flags |= if samples.is_single() { 0 } else { flag };
            }
        }
        flags |= if self.into_box { flag::INTO_BOX } else { 0 };
        flags |= if self.step_from_a { flag::STEP_FROM_A } else { 0 };
        let mut arguments = vec![
            address(self.a)?,
            Argument::Float(self.alpha),
            address(self.b)?,
            Argument::Float(self.beta),
            address(self.weight)?,
            address(self.s)?,
            address(self.y)?,
            address(out)?,
            Argument::Int(flags),
            any.count(),
        ];
        let space = any.space();
        if self.s.is_some() {
            return space.sum(Kernel::COMBINE, any.elem_count(), arguments);
        }
        arguments.push(Argument::NULL);
        let grid = (blocks(any.elem_count()), 1);
        space.card.launch(Kernel::COMBINE, grid, &mut arguments)?;
        Ok([0.0; 2])
    }
}

/// Addresses of a group of vectors, none where there are fewer, and which of them are in halves, a bit each.
fn group(vectors: &[&Samples]) -> Result<([Argument; GROUP], i32)> {
    let (mut addresses, mut in_halves) = ([Argument::NULL; GROUP], 0);
    for (k, vector) in vectors.iter().enumerate() {
        addresses[k] = vector.memory()?.address(0);
        in_halves |= i32::from(!vector.is_single()) << k;
    }
    Ok((addresses, in_halves))
}

/// The inner products of a vector with each of others, all of one length and in one space.
///
/// # Errors
/// Failures of the card.
pub fn dots(others: &[&Samples], a: &Samples) -> Result<Vec<f64>> {
    let (space, blocks) = (a.space(), blocks(a.elem_count()));
    let mut dots = Vec::with_capacity(others.len());
    for list in others.chunks(LIST) {
        let found = space.list_of_sums(list.len(), blocks, |partial| {
            for (number, vectors) in list.chunks(GROUP).enumerate() {
                let (addresses, in_halves) = group(vectors)?;
                let in_halves = in_halves | i32::from(!a.is_single()) << GROUP;
                let mut arguments = vec![a.memory()?.address(0)];
                arguments.extend(addresses);
                arguments.extend([Argument::Int(in_halves), a.count(), partial(number * GROUP)]);
                space.card.launch(Kernel::DOTS, (blocks, 1), &mut arguments)?;
            }
            Ok(())
        })?;
        dots.extend(found);
    }
    Ok(dots)
}

/// `a + sum factors_k others_k` in the memory of `a`, all of one length and in one space.
///
/// # Errors
/// [`Error::Internal`] where there are not as many factors as vectors or `a` is of halves, and failures of the card.
pub fn add_multiples(a: &Samples, factors: &[f64], others: &[&Samples]) -> Result<()> {
    if factors.len() != others.len() {
        let (factors, others) = (factors.len(), others.len());
        return Err(Error::Internal(format!("{factors} factors for {others} vectors")));
    }
    for (vectors, factors) in others.chunks(GROUP).zip(factors.chunks(GROUP)) {
        let (addresses, in_halves) = group(vectors)?;
        let mut multiples = [Argument::Float(0.0); GROUP];
        for (multiple, &factor) in multiples.iter_mut().zip(factors) {
            *multiple = Argument::Float(factor as f32);
        }
        let mut arguments = vec![a.single()?];
        arguments.extend(addresses.into_iter().chain(multiples));
        arguments.extend([Argument::Int(in_halves), a.count()]);
        let grid = (blocks(a.elem_count()), 1);
        a.space().card.launch(Kernel::ADD_MULTIPLES, grid, &mut arguments)?;
    }
    Ok(())
}

/// Sums of `s s`, `y y`, `s y` and `s g1`, with the steps `s` from `x[0]` to `x[1]` and `y` from `g[0]` to `g[1]`.
///
/// # Errors
/// Failures of the card.
pub fn compare(x: [&Samples; 2], gradient: [&Samples; 2]) -> Result<[f64; 4]> {
    let arguments = [x[0], x[1], gradient[0], gradient[1]].map(Samples::single);
    let mut arguments: Vec<Argument> = arguments.into_iter().collect::<Result<_>>()?;
    arguments.push(x[0].count());
    x[0].space().sum(Kernel::COMPARE, x[0].elem_count(), arguments)
}

/// In halves: 1 where a step against the gradient may move the pixel, 0 where it would only push it out of the box.
///
/// # Errors
/// Failures of the card.
pub fn free_pixels(x: &Samples, gradient: &Samples) -> Result<Samples> {
    let free = x.like(true)?;
    let mut arguments = [x.single()?, gradient.single()?, free.memory()?.address(0), x.count()];
    let grid = (blocks(x.elem_count()), 1);
    x.space().card.launch(Kernel::FREE_PIXELS, grid, &mut arguments)?;
    Ok(free)
}

/// What a step of Adam goes by: see `kernels/vectors.cu`.
#[derive(Clone, Copy, Debug)]
pub struct AdamStep {
    /// What the gradient is multiplied by.
    pub unit: f64,
    /// The decays of both moments.
    pub decays: [f64; 2],
    /// What their bias is taken out by.
    pub corrections: [f64; 2],
    /// What keeps the division sound.
    pub epsilon: f64,
    /// The learning rate.
    pub rate: f64,
    /// Whether pixels are kept within 0 and 1.
    pub into_box: bool,
}

impl AdamStep {
    /// Changes both moments where they are, and returns where the pixels go.
    ///
    /// # Errors
    /// Failures of the card.
    pub fn take(&self, x: &Samples, gradient: &Samples, moments: [&Samples; 2]) -> Result<Samples> {
        let out = x.like(false)?;
        let [first, second] = moments;
        let float = |value: f64| Argument::Float(value as f32);
        let mut arguments = [
            x.single()?,
            gradient.single()?,
            float(self.unit),
            first.single()?,
            second.single()?,
            float(self.decays[0]),
            float(1.0 - self.decays[0]),
            float(self.corrections[0]),
            float(self.decays[1]),
            float(1.0 - self.decays[1]),
            float(self.corrections[1]),
            float(self.epsilon),
            float(self.rate),
            Argument::Int(if self.into_box { flag::INTO_BOX } else { 0 }),
            out.single()?,
            x.count(),
        ];
        let grid = (blocks(x.elem_count()), 1);
        x.space().card.launch(Kernel::ADAM, grid, &mut arguments)?;
        Ok(out)
    }
}
