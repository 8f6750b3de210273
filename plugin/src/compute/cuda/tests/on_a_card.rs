//! What holds on a card, be it real or emulated.

mod float64;
mod profiles;
pub mod replays;

use super::*;

#[test]
#[ignore = "needs a card, or an emulated one"]
fn float32_agrees_with_the_oracle() {
    let mut backend = open(Precision::Float32).unwrap();
    let poolings = [Pooling::Max, Pooling::Average, Pooling::L2];
    for (pooling, (height, width)) in poolings.into_iter().zip([(16, 16), (33, 21), (19, 29)]) {
        let plan = Plan {
            pooling,
            ..plan(height, width)
        };
        let what = format!("float32, {pooling:?} at {height} x {width}");
        check_against_oracle(&mut backend, &plan, &what);
    }
    check_against_oracle(&mut backend, &regional(33, 37), "float32, a window and regions");
    let odd = Plan {
        style_layers: layers(&["conv1_2", "conv3_4"]),
        content_layers: layers(&["conv2_2", "conv3_4"]),
        pooling: Pooling::L2,
        ..plan(21, 18)
    };
    check_against_oracle(&mut backend, &odd, "float32, pooled layers measured");
    let lowest = Plan {
        style_layers: layers(&["conv1_1"]),
        content_layers: Vec::new(),
        ..plan(20, 30)
    };
    check_against_oracle(&mut backend, &lowest, "float32, conv1_1 alone");
}

/// A network in which nothing is to be decided: all weights are positive. Rounding flips a few ReLUs and maxima that are
/// all but undecided, and each moves the gradient by all that flows through it. So the arithmetic is held against the
/// plain backend where nothing can flip: by this network, with poolings that are averages of some kind.
fn undeciding() -> Arc<Network> {
    let mut network = Network::clone(&NETWORK);
    for convolution in &mut network.convolutions {
        convolution
            .weight
            .iter_mut()
            .for_each(|weight| *weight = weight.abs() / 4.0);
        convolution.bias.iter_mut().for_each(|bias| *bias = bias.abs());
    }
    network.normalisation.mean = [-1.0; 3];
    Arc::new(network)
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn tf32_agrees_with_the_plain_backend_where_nothing_is_to_be_decided() {
    let network = undeciding();
    let mut plain = CandleBackend::new(network.clone(), Device::Cpu, 0).unwrap();
    let mut backend = CudaBackend::new(&network, 0, Precision::Tf32).unwrap();
    for plan in [plan(48, 40), regional(40, 33)] {
        let plan = Plan {
            pooling: Pooling::Average,
            ..plan
        };
        let error = compare(&mut plain, &mut backend, &plan, 2e-3, true);
        assert!(error < 2e-3, "the gradient is off by {error:e}");
    }
}

/// A number in bfloat16 is off by up to half of its last bit of 8, and sums over hundreds of channels even that out.
#[test]
#[ignore = "needs a card, or an emulated one"]
fn bfloat16_agrees_with_the_plain_backend_where_nothing_is_to_be_decided() {
    let network = undeciding();
    let mut plain = CandleBackend::new(network.clone(), Device::Cpu, 0).unwrap();
    let mut backend = CudaBackend::new(&network, 0, Precision::Bfloat16).unwrap();
    let half_of_the_last_bit = 1.0 / 256.0;
    for (pooling, plan) in [(Pooling::Average, plan(48, 40)), (Pooling::L2, regional(40, 33))] {
        let plan = Plan { pooling, ..plan };
        // A content distance is a square, of differences that are smaller than the features.
        let error = compare(&mut plain, &mut backend, &plan, 4.0 * half_of_the_last_bit, false);
        assert!(error < half_of_the_last_bit, "the gradient is off by {error:e}");
    }
}

/// Against the plain backend, with the network that is built in and with weights of noise.
#[test]
#[ignore = "needs a card, or an emulated one"]
fn bfloat16_is_close_to_the_plain_backend_where_decisions_flip() {
    let plan = plan(48, 40);
    for (network, bound) in [(Network::embedded().unwrap(), 9e-2), (NETWORK.clone(), 4e-1)] {
        let mut plain = CandleBackend::new(network.clone(), Device::Cpu, 0).unwrap();
        let mut backend = CudaBackend::new(&network, 0, Precision::Bfloat16).unwrap();
        let error = compare(&mut plain, &mut backend, &plan, 1e-2, false);
        let origin = &network.origin;
        assert!(error < bound, "the gradient is off by {error:e} with {origin}");
    }
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn parts_of_different_sizes_keep_apart() {
    let plan = Plan {
        style_layers: layers(&["conv1_2"]),
        content_layers: layers(&["conv1_1"]),
        ..plan(32, 400)
    };
    let tiling = Tiling::cut(&plan, 1, 2).unwrap();
    assert_eq!(tiling.parts().len(), 2);
    let mut plain = CandleBackend::new(NETWORK.clone(), Device::Cpu, 0).unwrap();
    let mut backend = open(Precision::Float32).unwrap();
    let steps = |backend: &mut dyn Backend| -> Vec<Vec<f32>> {
        backend.prepare(&tiling).unwrap();
        for (part, plan) in tiling.parts().iter().enumerate() {
            backend.hold_content(part, &pictures(plan)[0]).unwrap();
        }
        let parts = tiling.parts().iter().enumerate().rev();
        let gradients = parts.map(|(part, plan)| {
            let statistics = backend.forward(part, &pictures(plan)[1]).unwrap();
            values(&backend.backward(&statistics_gradient(plan, &statistics)).unwrap())
        });
        gradients.collect()
    };
    for (got, expected) in steps(&mut backend).iter().zip(steps(&mut plain)) {
        let error = relative_error(got, &expected);
        assert!(error < 1e-4, "the gradient of a part is off by {error:e}");
    }
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn the_same_comes_out_twice_and_nothing_is_left_behind() {
    let free = || list().unwrap()[0].memory_free;
    let before = free();
    let plan = regional(32, 35);
    for precision in [Precision::Tf32, Precision::Bfloat16] {
        let bits = [(); 2].map(|()| {
            let mut backend = open(precision).unwrap();
            let (statistics, gradient) = step(&mut backend, &plan);
            let moments = statistics
                .moments
                .iter()
                .flatten()
                .flat_map(|moments| values(&moments.second));
            let bits: Vec<u32> = moments.chain(gradient).map(f32::to_bits).collect();
            let taken = before - free();
            let predicted = backend.memory(&Tiling::whole(&plan).unwrap());
            (bits, taken, predicted)
        });
        assert!(bits[0] == bits[1]);
        let (_, taken, predicted) = &bits[0];
        if list().unwrap()[0].name == "Emulated card" {
            let losses = losses::most_bytes(&plan, 2) as u64;
            assert_eq!(taken + losses, *predicted, "no losses were taken");
            assert_eq!(free(), before);
        }
    }
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn jobs_share_a_card() {
    let bits = || -> Vec<u32> {
        let (_, gradient) = step(&mut open(Precision::Tf32).unwrap(), &regional(32, 26));
        gradient.into_iter().map(f32::to_bits).collect()
    };
    let alone = bits();
    thread::scope(|scope| {
        let jobs = [(); 3].map(|()| scope.spawn(bits));
        for job in jobs {
            assert!(job.join().unwrap() == alone);
        }
    });
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn too_large_a_picture_is_an_error_of_memory_and_a_smaller_one_still_works() {
    let mut backend = open(Precision::Tf32).unwrap();
    let huge = Tiling::whole(&plan(16384, 32768)).unwrap();
    let error = backend.prepare(&huge).unwrap_err();
    assert!(matches!(error, Error::Memory(_)), "{error}");
    step(&mut backend, &plan(16, 16));
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn a_card_is_chosen_by_name_and_by_itself_only_if_it_is_quicker() {
    let opened = compute::open(settings::Device::Cuda(0), settings::Precision::Standard, "", 1).unwrap();
    assert!(opened.backend.description().starts_with("CUDA, "));
    assert!(opened.notes.is_empty(), "{:?}", opened.notes);
    assert!(opened.backend.free_memory().unwrap() > 0);
    let draft = compute::open(settings::Device::Cuda(0), settings::Precision::Draft, "", 1).unwrap();
    assert!(draft.backend.description().ends_with(", bfloat16"));
    let whole = Tiling::whole(&plan(64, 64)).unwrap();
    assert!(draft.backend.memory(&whole) < opened.backend.memory(&whole));
    let by_itself = compute::open(settings::Device::Auto, settings::Precision::Standard, "", 1).unwrap();
    assert!(by_itself.notes.is_empty(), "{:?}", by_itself.notes);
    if list().unwrap()[0].name == "Emulated card" {
        assert!(by_itself.backend.description().starts_with("CPU"));
    }
    let error = compute::open(settings::Device::Cuda(99), settings::Precision::Standard, "", 1)
        .err()
        .expect("an error");
    assert!(error.to_string().contains("cuda:99 cannot be used: there "), "{error}");
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn diagnostics_list_it() {
    let report: toml::Table = crate::diagnostics::report().unwrap().parse().unwrap();
    let card = &report["cuda:0"];
    assert_eq!(card["name"].as_str().unwrap(), list().unwrap()[0].name);
    assert!(card["memory_available"].as_integer() <= card["memory_total"].as_integer());
    assert!(!report.contains_key("problems"), "{report}");
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn misuse_is_refused() {
    let mut backend = open(Precision::Tf32).unwrap();
    let plan = plan(16, 16);
    let [_, canvas] = pictures(&plan);
    assert!(backend.forward(0, &canvas).is_err(), "not prepared");
    backend.prepare(&Tiling::whole(&plan).unwrap()).unwrap();
    assert!(backend.forward(1, &canvas).is_err(), "no such part");
    assert!(
        backend.forward(0, &canvas.narrow(2, 0, 8).unwrap()).is_err(),
        "another size"
    );
    let statistics = backend.forward(0, &canvas).unwrap();
    assert!(statistics.content.is_empty(), "no content is held");
    let asked = statistics_gradient(&plan, &statistics);
    backend.backward(&asked).unwrap();
    assert!(backend.backward(&asked).is_err(), "the forward pass is used up");
    assert!(CudaBackend::new(&NETWORK, 99, Precision::Tf32).is_err(), "no such card");
}
