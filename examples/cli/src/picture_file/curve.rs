//! Tone curves of ICC profiles: from a stored sample to light and back, evaluated in double precision.
//!
//! Colour libraries tabulate these curves for speed. A table over light of any affordable length is too coarse near
//! black, where an encoded sample changes fastest, for 16-bit samples to come back as they were; so the two curves of
//! every pixel are computed. The forms are those of the ICC specification (ICC.1:2010, 10.5 and 10.15).

use moxcms::ToneReprCurve;

/// A curve from encoded samples to light, both nominally 0 to 1. Beyond that range formulas go on, odd about 0, and
/// tables end.
#[derive(Clone, Debug, PartialEq)]
pub enum Curve {
    /// `(a x + b)^gamma + e` from `d` on, `c x + f` below.
    Formula(Formula),
    /// Two or more values of light at even distances.
    Table(Vec<f64>),
}

/// The parameters of [`Curve::Formula`], named as the ICC specification does.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Formula {
    gamma: f64,
    a: f64,
    b: f64,
    c: f64,
    d: f64,
    e: f64,
    f: f64,
}

impl Curve {
    /// sRGB's curve (IEC 61966-2-1).
    pub const SRGB: Self = Self::Formula(Formula {
        gamma: 2.4,
        a: 1.0 / 1.055,
        b: 0.055 / 1.055,
        c: 1.0 / 12.92,
        d: 0.04045,
        e: 0.0,
        f: 0.0,
    });

    /// The curve that a profile states; `None` for one that no version of the specification knows.
    pub fn new(curve: &ToneReprCurve) -> Option<Self> {
        let power = |gamma| {
            Self::Formula(Formula {
                gamma,
                a: 1.0,
                ..Formula::default()
            })
        };
        match curve {
            ToneReprCurve::Lut(values) => Some(match values[..] {
                [] => power(1.0),
                [fixed] => power(f64::from(fixed) / 256.0),
                _ => Self::Table(values.iter().map(|value| f64::from(*value) / 65535.0).collect()),
            }),
            ToneReprCurve::Parametric(parameters) => {
                let parameters: Vec<f64> = parameters.iter().copied().map(f64::from).collect();
                match parameters[..] {
                    [gamma] => Some(power(gamma)),
                    [gamma, a, b] => Some(Self::Formula(Formula {
                        gamma,
                        a,
                        b,
                        d: -b / a,
                        ..Formula::default()
                    })),
                    [gamma, a, b, c] => Some(Self::Formula(Formula {
                        gamma,
                        a,
                        b,
                        d: -b / a,
                        e: c,
                        f: c,
                        ..Formula::default()
                    })),
                    [gamma, a, b, c, d] => Some(Self::Formula(Formula {
                        gamma,
                        a,
                        b,
                        c,
                        d,
                        ..Formula::default()
                    })),
                    [gamma, a, b, c, d, e, f] => Some(Self::Formula(Formula {
                        gamma,
                        a,
                        b,
                        c,
                        d,
                        e,
                        f,
                    })),
                    _ => None,
                }
            }
        }
    }

    /// Whether every light comes from one sample, so that there is a way back.
    pub fn is_reversible(&self) -> bool {
        match self {
            Self::Formula(Formula { gamma, a, .. }) => *gamma > 0.0 && *a > 0.0,
            Self::Table(values) => values.is_sorted() && values.first() < values.last(),
        }
    }

    /// The light of an encoded sample.
    pub fn light(&self, encoded: f64) -> f64 {
        match self {
            Self::Formula(formula) => odd(encoded, |x| formula.light(x)),
            Self::Table(values) => {
                let last = values.len() - 1;
                let position = encoded.clamp(0.0, 1.0) * last as f64;
                let below = (position as usize).min(last - 1);
                values[below] + (values[below + 1] - values[below]) * (position - below as f64)
            }
        }
    }

    /// The encoded sample of a light; the inverse of [`Curve::light`] where there is one.
    pub fn encoded(&self, light: f64) -> f64 {
        match self {
            Self::Formula(formula) => odd(light, |y| formula.encoded(y)),
            Self::Table(values) => {
                let last = values.len() - 1;
                let above = values.partition_point(|value| *value < light).clamp(1, last);
                let (low, high) = (values[above - 1], values[above]);
                let between = if high > low {
                    ((light - low) / (high - low)).clamp(0.0, 1.0)
                } else {
                    0.0
                };
                ((above - 1) as f64 + between) / last as f64
            }
        }
    }
}

impl Formula {
    fn light(&self, encoded: f64) -> f64 {
        if encoded >= self.d {
            (self.a * encoded + self.b).powf(self.gamma) + self.e
        } else {
            self.c * encoded + self.f
        }
    }

    fn encoded(&self, light: f64) -> f64 {
        let knee = (self.a * self.d + self.b).max(0.0).powf(self.gamma) + self.e;
        if light >= knee {
            ((light - self.e).powf(self.gamma.recip()) - self.b) / self.a
        } else if self.c == 0.0 {
            self.d
        } else {
            (light - self.f) / self.c
        }
    }
}

/// `function` for numbers from 0 on, continued so that `f(-x) = -f(x)`.
fn odd(x: f64, function: impl Fn(f64) -> f64) -> f64 {
    if x < 0.0 { -function(-x) } else { function(x) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_are_those_of_the_specification() {
        assert!((Curve::SRGB.light(0.5) - 0.214_041_14).abs() < 1e-7);
        let gamma = Curve::new(&ToneReprCurve::Lut(vec![0x0240])).unwrap();
        assert!((gamma.light(0.5) - 0.5_f64.powf(2.25)).abs() < 1e-12);
        assert_eq!(Curve::new(&ToneReprCurve::Lut(vec![])).unwrap().light(0.3), 0.3);
        let table = Curve::new(&ToneReprCurve::Lut(vec![0, 0x4000, 0xffff])).unwrap();
        assert!((table.light(0.25) - 0.125).abs() < 1e-5 && table.light(2.0) == 1.0 && table.light(-1.0) == 0.0);
        // Offset curves: flat below the knee.
        let offset = Curve::new(&ToneReprCurve::Parametric(vec![2.0, 1.25, -0.25, 0.125])).unwrap();
        assert_eq!((offset.light(0.1), offset.light(1.0)), (0.125, 1.125));
        assert_eq!(Curve::new(&ToneReprCurve::Parametric(vec![1.0, 2.0])), None);
    }

    #[test]
    fn every_curve_has_its_way_back() {
        let table = (0..1024)
            .map(|index| ((f64::from(index) / 1023.0).powf(2.2) * 65535.0).round() as u16)
            .collect();
        for curve in [
            Curve::SRGB,
            Curve::new(&ToneReprCurve::Lut(vec![])).unwrap(),
            Curve::new(&ToneReprCurve::Lut(vec![0x01cd])).unwrap(),
            Curve::new(&ToneReprCurve::Lut(table)).unwrap(),
            Curve::new(&ToneReprCurve::Parametric(vec![1.8])).unwrap(),
            Curve::new(&ToneReprCurve::Parametric(vec![2.0, 0.9, 0.1])).unwrap(),
            Curve::new(&ToneReprCurve::Parametric(vec![2.0, 0.9, 0.1, 0.05])).unwrap(),
            Curve::new(&ToneReprCurve::Parametric(vec![
                3.0, 0.8, 0.2, 0.2, 0.1, 0.0, 0.001_952,
            ]))
            .unwrap(),
        ] {
            assert!(curve.is_reversible());
            for code in 0..=65535 {
                let encoded = f64::from(code) / 65535.0;
                let light = curve.light(encoded);
                assert!(
                    (curve.light(curve.encoded(light)) - light).abs() < 1e-9,
                    "{curve:?} at {code}"
                );
                // A table may be flat near black, where codes share one light.
                if !matches!(curve, Curve::Table(_)) {
                    assert!((curve.encoded(light) - encoded).abs() < 1e-6, "{curve:?} at {code}");
                }
            }
        }
        assert!(!Curve::Table(vec![1.0, 0.0]).is_reversible());
        assert!(!Curve::Table(vec![0.5, 0.5]).is_reversible());
        assert_eq!(Curve::SRGB.encoded(-0.5), -Curve::SRGB.encoded(0.5));
    }
}
