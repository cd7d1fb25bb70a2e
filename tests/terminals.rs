//! Pictures in real terminals, as they are seen: a screenshot is compared with the picture that was to be shown.
//!
//! The screenshots stay in the build's folder (`target/tmp/terminals/`) to be looked at.
#![allow(clippy::print_stderr, reason = "what is skipped says so")]

use image::imageops::{FilterType, resize};
use image::{Rgb, RgbImage};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// An unoptimised build and a terminal that draws without a graphics card, on a busy computer.
const PATIENCE: Duration = Duration::from_mins(2);
/// The frame around the picture, by which it is found.
const FRAME: Rgb<u8> = Rgb([255, 0, 255]);

/// A picture that looks like nothing else when it is moved, turned or mirrored.
fn picture() -> RgbImage {
    let (width, height) = (240, 180);
    RgbImage::from_fn(width, height, |x, y| {
        let edge = x.min(y).min(width - 1 - x).min(height - 1 - y);
        let (u, v) = (x as f32 / width as f32, y as f32 / height as f32);
        let near = |cx: f32, cy: f32, r: f32| (u - cx).hypot((v - cy) * 0.75) < r;
        // Nowhere flat: a blank is not to be like any part of it.
        let wave = 40.0 * ((x as f32 + 0.7 * y as f32) / 5.0).sin();
        let lit = |v: f32| (v + wave).clamp(0.0, 255.0) as u8;
        match () {
            () if edge < 8 => FRAME,
            () if near(0.3, 0.35, 0.16) => Rgb([lit(230.0), lit(200.0), 60]),
            () if near(0.72, 0.7, 0.1) => Rgb([lit(50.0), lit(50.0), lit(60.0)]),
            () if v > 0.5 + 0.25 * (u * 9.0).sin() * (1.0 - u) => Rgb([lit(40.0 + 120.0 * u), lit(130.0), 60]),
            () => Rgb([lit(90.0), lit(150.0 + 60.0 * v), lit(235.0 - 120.0 * u)]),
        }
    })
}

/// Brightness of a picture, row by row (Rec. 709).
fn luma(of: &RgbImage) -> Vec<f64> {
    of.pixels().map(|Rgb([r, g, b])| 0.2126 * f64::from(*r) + 0.7152 * f64::from(*g) + 0.0722 * f64::from(*b)).collect()
}

/// Structural similarity of two pictures of one size, from -1 to 1: the mean over windows of 8 x 8 pixels
/// (Wang et al. 2004, equation 13, with K1 = 0.01, K2 = 0.03, L = 255).
fn similarity(a: &RgbImage, b: &RgbImage) -> f64 {
    assert_eq!(a.dimensions(), b.dimensions());
    let (width, height) = (a.width() as usize, a.height() as usize);
    let (one, other) = (luma(a), luma(b));
    let (c1, c2) = ((0.01_f64 * 255.0).powi(2), (0.03_f64 * 255.0).powi(2));
    let mut all = Vec::new();
    for top in (0..height.saturating_sub(7)).step_by(4) {
        for left in (0..width.saturating_sub(7)).step_by(4) {
            let at =
                |from: &[f64]| -> Vec<f64> { (0..64).map(|i| from[(top + i / 8) * width + left + i % 8]).collect() };
            let (x, y) = (at(&one), at(&other));
            let mean = |v: &[f64]| v.iter().sum::<f64>() / 64.0;
            let (mx, my) = (mean(&x), mean(&y));
            let with = |p: &[f64], mp: f64, q: &[f64], mq: f64| {
                p.iter().zip(q).map(|(p, q)| (p - mp) * (q - mq)).sum::<f64>() / 63.0
            };
            let (vx, vy, cov) = (with(&x, mx, &x, mx), with(&y, my, &y, my), with(&x, mx, &y, my));
            all.push((2.0 * mx * my + c1) * (2.0 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2)));
        }
    }
    all.iter().sum::<f64>() / all.len().max(1) as f64
}

/// What the screen shows within the frame's colour, at least 150 pixels across.
fn framed(screen: &RgbImage) -> Option<RgbImage> {
    let frame = |p: &Rgb<u8>| p.0[0] > 190 && p.0[1] < 90 && p.0[2] > 190;
    let (mut left, mut top, mut right, mut bottom) = (u32::MAX, u32::MAX, 0, 0);
    for (x, y, pixel) in screen.enumerate_pixels().filter(|(_, _, pixel)| frame(pixel)) {
        let _ = pixel;
        (left, top, right, bottom) = (left.min(x), top.min(y), right.max(x), bottom.max(y));
    }
    let (width, height) = ((right + 1).checked_sub(left)?, (bottom + 1).checked_sub(top)?);
    (width >= 150 && height >= 100).then(|| image::imageops::crop_imm(screen, left, top, width, height).to_image())
}

/// A terminal with the program in it; it ends when this is dropped.
struct Terminal {
    child: Child,
    screen: String,
    /// What the terminal itself complains of.
    log: PathBuf,
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The script takes the terminal and its screen with it.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

impl Terminal {
    fn start(kind: &str, home: &Path, args: &[&str]) -> Self {
        let told = home.join("screen");
        let mut command = Command::new("bash");
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/services/terminal.sh")).arg(kind).arg(&told);
        command.arg(env!("CARGO_BIN_EXE_secchi")).args(args);
        for (name, folder) in [("SECCHI_STATE_DIR", "state"), ("SECCHI_CONFIG_DIR", "config"), ("HOME", "home")] {
            command.env(name, home.join(folder));
        }
        let log = home.join("log");
        command.stderr(std::fs::File::create(&log).expect("a log"));
        command.env("LANG", "C.UTF-8").env_remove("NO_COLOR").stdin(Stdio::null());
        let mut child = command.spawn().expect("bash");
        let began = Instant::now();
        let screen = loop {
            match std::fs::read_to_string(&told) {
                Ok(number) if !number.trim().is_empty() => break number.trim().to_owned(),
                _ => {}
            }
            assert!(child.try_wait().expect("waits").is_none(), "{kind} did not start");
            assert!(began.elapsed() < PATIENCE, "no screen for {kind}");
            std::thread::sleep(Duration::from_millis(20));
        };
        Self { child, screen, log }
    }

    /// What is seen now.
    fn shot(&self, to: &Path) -> Option<RgbImage> {
        let display = format!(":{}", self.screen);
        let taken = Command::new("import").args(["-window", "root"]).arg(to).env("DISPLAY", display).status();
        taken.is_ok_and(|status| status.success()).then(|| image::open(to).ok().map(|i| i.to_rgb8())).flatten()
    }
}

fn has(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(program).is_file())
}

/// Shows the picture in a terminal until it is at least so similar there.
fn shows(kind: &str, needs: &[&str], args: &[&str], least: f64) {
    if let Some(missing) = needs.iter().chain(&["Xvfb", "import"]).find(|program| !has(program)) {
        assert!(std::env::var_os("CI").is_none(), "CI installs {missing}");
        eprintln!("skipped: {missing} is not installed");
        return;
    }
    let home = tempfile::tempdir().expect("a folder");
    let file = home.path().join("lake.png");
    let source = picture();
    source.save(&file).expect("writes");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("terminals");
    std::fs::create_dir_all(&folder).expect("a folder");
    let to = folder.join(format!("{kind}{}.png", args.join("")));
    let args = [args, &[file.to_str().expect("a path")]].concat();
    let terminal = Terminal::start(kind, home.path(), &args);
    let (began, mut best) = (Instant::now(), f64::MIN);
    while best < least {
        assert!(began.elapsed() < PATIENCE, "{kind} shows something else (similarity {best:.2}): {}", to.display());
        std::thread::sleep(Duration::from_millis(200));
        let Some(shown) = terminal.shot(&to).as_ref().and_then(framed) else { continue };
        let shown = resize(&shown, source.width(), source.height(), FilterType::Triangle);
        best = best.max(similarity(&shown, &source));
    }
    eprintln!("{kind}: similarity {best:.3}");
    // Kitty tells of each sequence that it does not understand.
    let log = std::fs::read_to_string(&terminal.log).unwrap_or_default();
    assert!(!log.contains("PARSE ERROR"), "{kind}: {log}");
}

#[test]
fn what_is_blank_shifted_or_mirrored_is_not_similar() {
    let source = picture();
    assert!(similarity(&source, &source) > 0.999);
    let blank = RgbImage::from_pixel(source.width(), source.height(), Rgb([128; 3]));
    let shifted = RgbImage::from_fn(source.width(), source.height(), |x, y| {
        *source.get_pixel((x + 12) % source.width(), (y + 9) % source.height())
    });
    for (name, other) in
        [("blank", blank), ("shifted", shifted), ("mirrored", image::imageops::flip_horizontal(&source))]
    {
        let found = similarity(&source, &other);
        assert!(found < 0.55, "{name}: {found}");
    }
}

#[test]
fn xterm_shows_sixels() {
    shows("xterm", &["xterm"], &["--graphics", "auto"], 0.8);
}

#[test]
fn kitty_shows_pictures() {
    shows("kitty", &["kitty"], &["--graphics", "auto"], 0.8);
}

#[test]
fn tmux_shows_half_blocks() {
    shows("tmux", &["xterm", "tmux"], &["--graphics", "auto"], 0.6);
}

#[test]
fn sextants_and_braille_are_the_picture_too() {
    shows("xterm", &["xterm"], &["--graphics", "sextants"], 0.6);
    shows("xterm", &["xterm"], &["--graphics", "braille"], 0.55);
}
