//! Launches over tables: kernels that deal with many small things at once look up in the card's memory what each of them
//! is, and so does whatever comes after them.

use bytemuck::Pod;

use super::driver::{Card, Memory};
use super::kernels::{Argument, Kernel};
use super::products::Product;
use crate::Result;

/// What tables begin at a multiple of.
const ALIGNMENT: usize = 16;

/// A kernel's launch over a table.
pub struct Launch {
    kernel: Kernel,
    grid: (usize, usize),
    table: Argument,
}

impl Launch {
    /// Asks the card for it.
    ///
    /// # Errors
    /// When the card fails.
    pub fn ask(&self, card: &Card) -> Result<()> {
        card.launch(self.kernel, self.grid, &mut [self.table])
    }
}

/// Tables on their way to the card, one after the other.
pub struct Writer<'a> {
    memory: &'a Memory,
    next: usize,
    launches: Vec<Launch>,
}

impl<'a> Writer<'a> {
    /// Writes from a place on.
    pub fn new(memory: &'a Memory, next: usize) -> Self {
        Self {
            memory,
            next,
            launches: Vec::new(),
        }
    }

    /// What a table of so many takes.
    pub fn bytes<T>(count: usize) -> usize {
        (count * size_of::<T>()).next_multiple_of(ALIGNMENT)
    }

    /// The address of an offset.
    pub fn at(&self, offset: usize) -> u64 {
        self.memory.number_of(offset)
    }

    /// Brings numbers to a place of their own.
    ///
    /// # Errors
    /// When the card fails; so for all of these.
    pub fn put<T: Pod>(&self, offset: usize, numbers: &[T]) -> Result<()> {
        self.memory.write(offset, numbers)
    }

    /// A launch of so many blocks for each of a table's rows, if it has any.
    ///
    /// # Errors
    /// When the card fails.
    pub fn launch<T: Pod>(&mut self, kernel: Kernel, blocks: usize, table: &[T]) -> Result<()> {
        if table.is_empty() {
            return Ok(());
        }
        self.memory.write(self.next, table)?;
        self.launches.push(Launch {
            kernel,
            grid: (blocks, table.len()),
            table: self.memory.address(self.next),
        });
        self.next += Self::bytes::<T>(table.len());
        Ok(())
    }

    /// A launch that makes products.
    ///
    /// # Errors
    /// When the card fails.
    pub fn multiply(&mut self, kernel: Kernel, products: &[Product]) -> Result<()> {
        let blocks = products.iter().map(Product::blocks).max();
        self.launch(kernel, blocks.unwrap_or(0), products)
    }

    /// All launches, in their order.
    pub fn launches(self) -> Vec<Launch> {
        self.launches
    }
}
