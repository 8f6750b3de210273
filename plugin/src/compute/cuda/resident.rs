//! Steps of a render: picture, losses and gradient stay on the card, and what comes back is a total.

use std::sync::Arc;

use super::losses::OwnLosses;
use super::part::Part;
use super::pictures::Planes;
use super::vectors::Samples;
use super::{CudaBackend, Direction, Prepared, unprepared};
use crate::compute::{Amounts, Losses, Resident, Seen, Statistics, StatisticsGradient};
use crate::optimise::Vector;
use crate::{Error, Result};

impl CudaBackend {
    /// A vector that lives in this backend's space.
    fn own<'a>(&self, vector: &'a Vector) -> Result<&'a Samples> {
        match vector {
            Vector::OnCard(samples) if Arc::ptr_eq(samples.space(), &self.space) => Ok(samples),
            other => Err(Error::Internal(format!("{other} is not on the backend's card"))),
        }
    }

    /// Readies a part, which is a box of a picture on the card.
    fn bring_box(&mut self, part: usize, picture: &Vector, seen: Seen) -> Result<()> {
        let planes = Planes::of(self.own(picture)?)?;
        // Beside what is replayed: pictures come from other addresses each time.
        self.take_in(part, |plan, memory, place| {
            if (seen.window.height, seen.window.width) != (plan.height, plan.width) {
                return Err(Error::Internal(format!("{seen:?} is not the box of {plan:?}")));
            }
            planes.cut_out(seen, memory.address(place))
        })
    }
}

impl Prepared {
    /// The losses of a part that were taken.
    fn losses(&mut self, part: usize) -> Result<&mut OwnLosses> {
        let own = self.own.as_mut().filter(|(of, _)| *of == part);
        let none = || Error::Internal(format!("no losses of part {part} were taken"));
        own.map(|(_, losses)| losses).ok_or_else(none)
    }
}

impl Resident for CudaBackend {
    fn forward_box(&mut self, part: usize, picture: &Vector, seen: Seen) -> Result<Statistics> {
        self.bring_box(part, picture, seen)?;
        self.forward_pass(part)
    }

    fn backward_box(&mut self, gradient: &StatisticsGradient, seen: Seen, sum: &Vector) -> Result<()> {
        let planes = Planes::of(self.own(sum)?)?;
        self.backward_pass(gradient)?;
        let prepared = self.prepared()?;
        planes.fold(seen, prepared.memory.address(prepared.layout.picture))
    }

    fn amounts(&self, part: usize) -> Result<Amounts> {
        self.prepared()?.part(part).map(Part::amounts)
    }

    fn take_losses(&mut self, part: usize, losses: &Losses) -> Result<()> {
        let card = self.card.clone();
        let prepared = self.prepared_mut()?;
        // The old memory goes before the new one comes.
        prepared.own = None;
        let own = OwnLosses::new(losses, &card, &prepared.layout, &prepared.memory, prepared.part(part)?)?;
        prepared.own = Some((part, own));
        Ok(())
    }

    fn has_losses(&self, part: usize) -> bool {
        let own = self.prepared.as_ref().and_then(|prepared| prepared.own.as_ref());
        own.is_some_and(|(of, _)| *of == part)
    }

    fn evaluate_box(&mut self, part: usize, picture: &Vector, seen: Seen, sum: &Vector) -> Result<Option<f64>> {
        let planes = Planes::of(self.own(sum)?)?;
        self.bring_box(part, picture, seen)?;
        self.prepared_mut()?.bring_content(part)?;
        self.run(part, Direction::Up)?;
        let (card, fault) = (&self.card, &mut self.fault_of_graphs);
        self.prepared
            .as_mut()
            .ok_or_else(unprepared)?
            .losses(part)?
            .run(card, fault)?;
        self.run(part, Direction::Down)?;
        let prepared = self.prepared_mut()?;
        planes.fold(seen, prepared.memory.address(prepared.layout.picture))?;
        prepared.losses(part)?.total()
    }
}
