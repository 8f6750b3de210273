use pentimento_plugin::canvas::Picture;
use pentimento_plugin::control::*;
use pentimento_plugin::filters::{Rendered, style_transfer};
use pentimento_plugin::settings::{Settings, manifest};
use std::cell::Cell;
struct C {
    n: Cell<usize>,
    t: std::time::Instant,
    verbose: bool,
}
impl Control for C {
    fn report(&self, r: &Report) -> Flow {
        self.n.set(self.n.get() + 1);
        if self.verbose || (r.step + 1) % 10 == 0 || r.step + 1 == r.step_count {
            eprintln!(
                "{:7.2}s {:3} L{}/{} {}/{} {:.3} loss {:?} left {:?} {}",
                self.t.elapsed().as_secs_f64(),
                self.n.get(),
                r.level + 1,
                r.level_count,
                r.step + 1,
                r.step_count,
                r.fraction,
                r.loss,
                r.seconds_left.map(|s| s.round()),
                r.stage
            );
        }
        Flow::Continue
    }
    fn wants_preview(&self) -> bool {
        false
    }
    fn log(&self, _: LogLevel, m: &str) {
        eprintln!("log: {m}");
    }
}
fn load(p: &str) -> Picture {
    let d = std::fs::read(p).unwrap();
    let mut it = d.splitn(4, |b| *b == b'\n');
    it.next();
    let wh: Vec<usize> = String::from_utf8_lossy(it.next().unwrap())
        .split(' ')
        .map(|v| v.parse().unwrap())
        .collect();
    it.next();
    let px = it.next().unwrap();
    let (w, h) = (wh[0], wh[1]);
    let mut s = vec![0f32; 3 * w * h];
    for i in 0..w * h {
        for c in 0..3 {
            s[c * w * h + i] = px[i * 3 + c] as f32 / 255.0;
        }
    }
    Picture::new(w, h, s).unwrap()
}
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let mut st = Settings::new(&manifest().filters[0]);
    for kv in &a[4..] {
        if let Some((k, v)) = kv.split_once('=') {
            st.set_text(k, v).unwrap();
        }
    }
    let (c, s) = (load(&a[1]), load(&a[2]));
    let ctl = C {
        n: Cell::new(0),
        t: std::time::Instant::now(),
        verbose: std::env::var("V").is_ok(),
    };
    match style_transfer::render(&c, &[(s, 1.0)], &st.resolve().unwrap(), &ctl).unwrap() {
        Rendered::Picture(p, o) => {
            let (w, h) = (p.width, p.height);
            let mut o2 = format!("P6\n{w} {h}\n255\n").into_bytes();
            for i in 0..w * h {
                for c in 0..3 {
                    o2.push((p.samples[c * w * h + i] * 255.0).round() as u8);
                }
            }
            std::fs::write(&a[3], o2).unwrap();
            eprintln!("{o:?} {} reports {:.1}s", ctl.n.get(), ctl.t.elapsed().as_secs_f64());
        }
        Rendered::Cancelled => eprintln!("cancelled"),
    }
}
