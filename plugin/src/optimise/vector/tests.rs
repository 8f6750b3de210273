use candle_core::{DType, Device, Tensor};

use super::tensor::*;
use super::{admit, device, host};
use crate::Result;
use crate::optimise::problems::random;

fn vector(values: &[f32]) -> Tensor {
    Tensor::from_slice(values, values.len(), &Device::Cpu).unwrap()
}

#[test]
fn inner_products_are_good_to_twelve_digits() {
    for count in [1, 15, 16, 17, host::BLOCK, 3 * host::BLOCK + 5, 786_432] {
        let [a, b, w] = [1, 2, 3].map(|seed| random(seed, count, -1.0, 1.0));
        let exact: f64 = a.iter().zip(&b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
        let weighted: f64 = (0..count)
            .map(|i| f64::from(w[i]) * f64::from(a[i]) * f64::from(b[i]))
            .sum();
        let [a, b, w] = [a, b, w].map(|v| vector(&v));
        assert!((dot(&a, &b).unwrap() - exact).abs() < 1e-12 * count as f64);
        assert!((weighted_dot(&w, &a, &b).unwrap() - weighted).abs() < 1e-12 * count as f64);
    }
}

#[test]
fn sums_of_runs_are_good_to_six_digits() {
    for count in [1, device::RUN, 5 * device::RUN + 3, 786_432] {
        let a = vector(&random(1, count, 0.0, 1.0));
        let (runs, exact) = (device::sum(&a.sqr().unwrap()).unwrap(), dot(&a, &a).unwrap());
        assert!((runs - exact).abs() < 1e-6 * exact, "{runs} {exact}");
    }
}

#[test]
fn a_step_stops_at_the_box() {
    let (x, ascent) = (vector(&[0.5, 0.5, 0.5, 0.0]), vector(&[-2.0, 2.0, -0.5, 2.0]));
    let (point, along) = descend(&x, 0.5, &ascent, &vector(&[1.0, 2.0, 4.0, 8.0])).unwrap();
    assert_eq!(point.to_vec1::<f32>().unwrap(), [1.0, 0.0, 0.75, 0.0]);
    assert_eq!(along, 0.5 - 1.0 + 1.0);
}

#[test]
fn pixels_are_held_only_where_descent_leads_out() {
    let (x, g) = (
        vector(&[0.0, 0.0, 0.0, 1.0, 1.0, 0.5]),
        vector(&[1.0, -1.0, 0.0, -1.0, 1.0, 1.0]),
    );
    let free = free_pixels(&x, &g).unwrap().to_dtype(DType::F32).unwrap();
    let free = free.to_vec1::<f32>().unwrap();
    assert_eq!(free, [0.0, 1.0, 0.0, 0.0, 1.0, 1.0]);
}

#[test]
fn linear_combinations_are_what_they_say() {
    let [a, b, w] = [vector(&[1.0, 2.0]), vector(&[3.0, -4.0]), vector(&[0.0, 1.0])];
    let read = |t: Result<Tensor>| t.unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(read(add_scaled(&a, 2.0, &b)), [7.0, -6.0]);
    assert_eq!(dots(&[&a, &b, &w], &b).unwrap(), [-5.0, 25.0, -4.0]);
    let combined = add_combination(vector(&[1.0, 2.0]), &[2.0, -1.0], &[&b, &w]);
    assert_eq!(read(combined), [7.0, -7.0]);
    let (scaled, along) = scale_masked_then_dot(vector(&[3.0, -4.0]), -0.5, &w, &b).unwrap();
    assert_eq!((read(Ok(scaled)), along), (vec![0.0, 2.0], -8.0));
    // From (0, 1) to (1, 2), where the gradient goes from (1, -2) to (3, -4).
    let changed = change([&w, &a], [&vector(&[1.0, -2.0]), &b]).unwrap();
    assert_eq!(changed, [2.0, 8.0, 0.0, -1.0]);
    assert_eq!(
        read(
            halved_difference(&a, &b)
                .unwrap()
                .to_dtype(DType::F32)
                .map_err(Into::into)
        ),
        [-2.0, 6.0]
    );
    assert_eq!(read(difference(&a, &b)), [-2.0, 6.0]);
    assert_eq!(read(product(&a, &b)), [3.0, -8.0]);
    assert_eq!(read(scale(-0.5, b)), [-1.5, 2.0]);
}

#[test]
fn host_and_device_agree() {
    let [a, b, c] = [1, 2, 3].map(|seed| vector(&random(seed, 1000, -0.5, 1.5)));
    let (x, close) = (project(&a).unwrap(), |a: f64, b: f64| {
        assert!((a - b).abs() < 1e-4, "{a} {b}")
    });
    let same = |host: Tensor, device: Result<Tensor>| {
        let [host, device] = [host, device.unwrap()].map(|t| t.to_vec1::<f32>().unwrap());
        for (host, device) in host.iter().zip(device) {
            close(f64::from(*host), f64::from(device));
        }
    };
    close(dot(&a, &b).unwrap(), device::dot(&a, &b).unwrap());
    close(
        weighted_dot(&a, &b, &c).unwrap(),
        device::weighted_dot(&a, &b, &c).unwrap(),
    );
    same(add_scaled(&a, 0.3, &b).unwrap(), device::add_scaled(&a, 0.3, &b));
    same(x.clone(), device::project(&a));
    same(
        free_pixels(&x, &b).unwrap().to_dtype(DType::F32).unwrap(),
        device::free_pixels(&x, &b),
    );
}

#[test]
fn halves_are_within_half_a_percent_and_reckoned_with_as_they_are() {
    let [a, b, w] = [1, 2, 3].map(|seed| vector(&random(seed, 2 * host::BLOCK + 7, -2.0, 2.0)));
    let (half_a, half_b) = (halved(&a).unwrap(), halved(&b).unwrap());
    let [wide_a, wide_b] = [&half_a, &half_b].map(|half| half.to_dtype(DType::F32).unwrap());
    let values = |t: &Tensor| t.to_vec1::<f32>().unwrap();
    for (wide, exact) in values(&wide_a).iter().zip(values(&a)) {
        assert!((wide - exact).abs() <= 0.004 * exact.abs(), "{wide} for {exact}");
    }
    assert_eq!(dot(&half_a, &half_b).unwrap(), dot(&wide_a, &wide_b).unwrap());
    assert_eq!(
        dot(&half_a, &half_b).unwrap().signum(),
        device::dot(&half_a, &half_b).unwrap().signum()
    );
    assert_eq!(
        weighted_dot(&w, &half_a, &half_b).unwrap(),
        weighted_dot(&w, &wide_a, &wide_b).unwrap()
    );
    assert_eq!(
        values(&product(&w, &half_b).unwrap()),
        values(&product(&w, &wide_b).unwrap())
    );
    let combined = |b: &Tensor, c: &Tensor| {
        let combined = add_combination(a.copy().unwrap(), &[0.3, -0.7], &[b, c]).unwrap();
        (dots(&[b, c], &combined).unwrap(), values(&combined))
    };
    assert_eq!(combined(&half_b, &half_a), combined(&wide_b, &wide_a));
}

#[test]
fn many_vectors_at_once_are_as_one_by_one() {
    let length = 2 * host::BLOCK + 7;
    let vectors: Vec<Tensor> = (0..5)
        .map(|seed| halved(&vector(&random(seed, length, -1.0, 1.0))).unwrap())
        .collect();
    let others: Vec<&Tensor> = vectors.iter().collect();
    let a = vector(&random(9, length, -1.0, 1.0));
    for (found, other) in dots(&others, &a).unwrap().into_iter().zip(&others) {
        let size = dot(&other.abs().unwrap(), &a.abs().unwrap()).unwrap();
        let exact = dot(other, &a).unwrap();
        assert!((found - exact).abs() < 1e-7 * size, "{found} for {exact}");
    }
    let factors = [0.5, -2.0, 0.3, 0.0, 1e-3];
    let step = |sum: Tensor, (&factor, other): (&f64, &&Tensor)| add_scaled(&sum, factor, other).unwrap();
    let summed = factors.iter().zip(&others).fold(a.clone(), step);
    let combined = add_combination(a.copy().unwrap(), &factors, &others).unwrap();
    assert_eq!(combined.to_vec1::<f32>().unwrap(), summed.to_vec1::<f32>().unwrap());
    assert!(dots(&others, &a.narrow(0, 1, 5).unwrap()).is_err());
    assert!(add_combination(a, &factors, &others[1..]).is_err());
}

#[test]
fn a_view_is_read_as_it_is() {
    let whole = vector(&[1.0, 2.0, 3.0, 4.0]);
    let part = whole.narrow(0, 1, 2).unwrap();
    assert_eq!(dot(&part, &part).unwrap(), 13.0);
    assert!(dot(&part, &whole).is_err());
    let turned = whole.reshape((2, 2)).unwrap().t().unwrap();
    assert!(dot(&turned, &turned).is_err());
    let admitted = admit("view", &turned.clone().into(), &turned.into()).unwrap();
    assert_eq!(super::dot(&admitted, &admitted).unwrap(), 30.0);
}
