//! What is planned for pictures that are large beside a ceiling, told by arithmetic alone.

use std::sync::atomic::Ordering;

use super::*;
use crate::compute::cpu::CpuBackend;
use crate::compute::false_card::FalseCard;
use crate::filters::means::WORTHWHILE;
use crate::filters::style_transfer::tests::settings;
use crate::network::Network;

/// Of the sample that is measured at large sizes.
const STYLE: Size = Size {
    width: 1024,
    height: 768,
};

/// What is planned for a picture.
pub struct Planned {
    /// The finest level.
    pub finest: Means,
    /// The most bytes of any level, where the network is.
    pub bytes: u64,
}

/// What is planned for a picture of this size under a ceiling of so many gigabytes, in one level or in all, on a machine
/// that has no less.
pub fn planned(
    backend: &dyn Backend,
    (width, height): (usize, usize),
    gigabytes: f64,
    pyramid: bool,
) -> Result<Planned> {
    let settings = settings(&[("pyramid", if pyramid { "true" } else { "false" })]);
    let extent = Extent {
        settings: &settings,
        content: Size { width, height },
        styles: vec![STYLE],
    };
    let main = allowed(gigabytes) - memory::PROGRAM - extent.read();
    let room = match backend.has_own_memory() {
        true => Room {
            network: Some(allowed(gigabytes)),
            beside: Some(main),
        },
        false => Room {
            network: Some(main),
            beside: None,
        },
    };
    let levels = extent.planned(backend, room)?;
    let bytes = extent.bytes(backend, &levels)?;
    assert!(bytes <= room.network.unwrap(), "{bytes} bytes in {room:?}");
    let (_, finest) = levels.into_iter().next_back().expect("a level");
    // All that is in main memory beside a card.
    if finest.tiling.holding() == Holding::Aside {
        let taken = memory::beside_card(extent.content, extent.content) + finest.tiling.content_bytes() as u64;
        assert!(taken <= main, "{taken} bytes in {room:?}");
    }
    let least = extent.least(backend, width.max(height))?;
    assert!(
        least <= bytes,
        "{least} bytes were said to be the least, and {bytes} do"
    );
    Ok(Planned { finest, bytes })
}

/// Of a ceiling, what may be planned with.
pub fn allowed(gigabytes: f64) -> u64 {
    (gigabytes * 0.9e9) as u64
}

/// Says what is planned.
pub fn tell(what: &str, Planned { finest, bytes }: &Planned) {
    eprintln!(
        "{what}: {} tiles, {:.2} times as long, {} pairs, {:?}, {:.2} GB",
        finest.tiling.parts().len(),
        finest.tiling.cost(),
        finest.history,
        finest.tiling.holding(),
        *bytes as f64 / 1e9
    );
}

fn processor() -> CpuBackend {
    CpuBackend::new(Network::embedded().unwrap(), 2).unwrap()
}

#[test]
fn sixty_seven_megapixels_are_painted_under_eight_gigabytes() {
    let backend = processor();
    // The less there is, the more gives way; what changes the result last.
    for (gigabytes, means) in [
        (10.0, (Holding::AsTheyAre, 2)),
        (8.0, (Holding::AsTheyAre, 1)),
        (7.0, (Holding::Halves, 1)),
    ] {
        for pyramid in [false, true] {
            let planned = planned(&backend, (8192, 8192), gigabytes, pyramid).unwrap();
            tell(&format!("8192 x 8192 under {gigabytes} GB"), &planned);
            let Means { tiling, history, .. } = planned.finest;
            assert!(tiling.cost() <= WORTHWHILE, "{} times as long", tiling.cost());
            assert_eq!((tiling.holding(), history), means);
        }
    }
}

#[test]
fn nothing_is_spared_where_tiles_pay_without() {
    let backend = processor();
    let planned = planned(&backend, (6000, 4000), 4.0, false).unwrap();
    tell("6000 x 4000 under 4 GB", &planned);
    let Means { tiling, history, .. } = planned.finest;
    assert!(tiling.cost() < 2.05, "{} times as long", tiling.cost());
    assert_eq!((tiling.holding(), history), (Holding::AsTheyAre, 2));
}

#[test]
fn the_processor_is_not_asked_about_a_cards_memory_nor_the_other_way_round() {
    let backend = processor();
    let settings = settings(&[("memory_limit", "1")]);
    let extent = Extent {
        settings: &settings,
        content: Size {
            width: 1000,
            height: 1000,
        },
        styles: vec![STYLE],
    };
    let room = extent.room(&backend);
    assert!(room.network.unwrap() <= allowed(1.0) - memory::PROGRAM - extent.read());
    assert!(room.beside.is_none());
    // A card's limit is its own, whatever was read; main memory's is beside it.
    let card = FalseCard::new(|_| Ok(()));
    let room = extent.room(&card);
    assert_eq!(room.network, Some(allowed(1.0)));
    assert_eq!(room.beside, extent.room(&backend).network);
    card.free.store(500_000_000, Ordering::Relaxed);
    assert_eq!(extent.room(&card).network, Some(450_000_000));
    // Pictures that are fetched from the card need room there.
    let beside = |bytes| Room {
        network: Some(allowed(1.0)),
        beside: Some(bytes),
    };
    let needed = memory::beside_card(extent.content, extent.content);
    assert!(extent.planned(&card, beside(needed)).is_ok());
    let error = extent.planned(&card, beside(needed - 1)).unwrap_err();
    assert!(matches!(error, Error::Memory(_)), "{error}");
}

/// Of a picture that fits anywhere.
const SMALL: Size = Size {
    width: 400,
    height: 300,
};

fn small(settings: &StyleTransfer) -> Extent<'_> {
    Extent {
        settings,
        content: SMALL,
        styles: vec![SMALL],
    }
}

/// The room for a small picture with such settings where so much is available, and what it is planned to take.
fn planned_for_small(set: &[(&str, &str)], available: u64) -> (u64, u64) {
    let settings = settings(set);
    let (extent, backend) = (small(&settings), processor());
    let room = extent.room_of(&backend, Some(available));
    let levels = extent.planned(&backend, room).unwrap();
    (room.network.unwrap(), extent.bytes(&backend, &levels).unwrap())
}

#[test]
fn without_a_limit_the_ceiling_is_three_quarters_of_what_is_free() {
    let plenty = 40_000_000_000;
    let (room, bytes) = planned_for_small(&[], plenty);
    assert_eq!(room, plenty / 4 * 3);
    // Where that is just enough, nothing changes, and where it is not, the render makes do with what there is.
    let enough = bytes.div_ceil(3) * 4;
    assert_eq!(planned_for_small(&[], enough), (enough / 4 * 3, bytes));
    let (room, less) = planned_for_small(&[], enough - 400);
    assert_eq!(room, enough / 4 * 3 - 300);
    assert!(less <= room, "{less} of {room}");
    // A limit is one of all that a render takes, and never more than there is.
    let limit = [("memory_limit", "2")];
    let most = allowed(2.0) - memory::PROGRAM - 2 * SMALL.bytes_read();
    assert_eq!(planned_for_small(&limit, plenty), (most, bytes));
    assert_eq!(planned_for_small(&limit, enough).0, enough);
}

#[test]
fn no_more_is_remembered_than_there_are_steps() {
    let unbounded = Room {
        network: None,
        beside: None,
    };
    let histories = ["0.05", "2"].map(|quality| {
        let settings = settings(&[("quality", quality)]);
        let extent = small(&settings);
        let levels = extent.planned(&processor(), unbounded).unwrap();
        let steps: usize = levels.iter().map(|(level, _)| level.steps).sum();
        let (_, finest) = levels.last().unwrap();
        assert_eq!(finest.history, steps.min(extent.history(SMALL)), "{steps} steps");
        finest.history
    });
    assert!(histories[0] < histories[1], "{histories:?}");
}
