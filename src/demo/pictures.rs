//! Two pictures, painted: a Secchi disk going down, and a lake at dusk.

use super::noise::{fbm, hash, step, unit, value};
use super::scenes::encode;
use super::sink::{About, Sink};
use crate::error::Result;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

/// Key of the first.
pub(super) const DISK: &str = "pictures/secchi-disk.png";
/// Key of the second.
pub(super) const DUSK: &str = "pictures/lake-at-dusk.jpg";

/// Red, green, blue in 0..1.
type Colour = [f32; 3];

/// Writes both.
pub(super) fn write(sink: &Sink) -> Result<()> {
    sink.control.step("pictures");
    sink.put(DISK, &encode(&paint(640, 480, disk), ImageFormat::Png)?, About::of("image/png"))?;
    sink.put(DUSK, &encode(&paint(720, 450, dusk), ImageFormat::Jpeg)?, About::of("image/jpeg"))?;
    sink.control.advance(1);
    Ok(())
}

/// A picture of a colour for each `(x, y)`, both in units of its height.
fn paint(width: u32, height: u32, colour: fn(f32, f32) -> Colour) -> DynamicImage {
    let picture = RgbImage::from_fn(width, height, |x, y| {
        let grain = (unit(hash(x as i32, y as i32, 3)) - 0.5) / 128.0;
        let painted = colour(x as f32 / height as f32, y as f32 / height as f32);
        Rgb(painted.map(|v| ((v + grain).clamp(0.0, 1.0) * 255.0) as u8))
    });
    DynamicImage::ImageRgb8(picture)
}

fn mix(a: Colour, b: Colour, share: f32) -> Colour {
    std::array::from_fn(|i| a[i] + (b[i] - a[i]) * share)
}

/// Under water, looking a little down: the disk at some metres, its rope, the light from above.
fn disk(x: f32, y: f32) -> Colour {
    let water = mix([0.33, 0.72, 0.66], [0.02, 0.20, 0.27], step(-0.12, 0.95, y));
    // Shafts of light fan out from a sun above the picture and fade with depth.
    let slope = (x - 0.85) / (y + 0.55);
    let shaft = value(slope * 21.0, 1.7, 7) * 0.6 + value(slope * 47.0, 4.2, 8) * 0.4;
    let mut colour = mix(water, [0.80, 0.97, 0.88], (step(0.46, 0.95, shaft) * (1.0 - y).max(0.0).powi(2)) * 0.55);
    let ripple = fbm(x * 9.0, y * 46.0, 4, 12);
    colour = mix(colour, [0.93, 1.0, 0.96], step(0.50, 0.80, ripple) * (1.0 - step(0.0, 0.16, y)) * 0.8);

    let (centre_x, centre_y, radius, tilt) = (0.667, 0.60, 0.285, 0.40);
    let (u, v) = ((x - centre_x) / radius, (y - centre_y) / (radius * tilt));
    let far = u.hypot(v);
    let below = u.hypot(v - 0.085 / tilt);
    if below < 1.0 && far > 1.0 && v > 0.0 {
        colour = mix([0.30, 0.42, 0.42], colour, 0.45);
    }
    // The shadow that the disk throws into the water below it.
    let shadow = step(1.25, 0.2, u.hypot((v - 1.4) * 0.7)) * step(0.2, 0.9, v);
    colour = mix(colour, [0.01, 0.13, 0.19], 0.5 * shadow);
    let edge = step(1.012, 0.988, far);
    if edge > 0.0 {
        let (turn_u, turn_v) = (u * 0.80 - v * 0.60, u * 0.60 + v * 0.80);
        let soft = step(-0.012, 0.012, turn_u * turn_v);
        let caustic = step(0.52, 0.72, fbm(u * 3.1 + 3.0, v * 3.1, 4, 21)) * 0.22;
        let face = mix([0.05, 0.07, 0.08], [0.97, 0.98, 0.95], soft);
        let lit = mix(face, [1.0, 1.0, 0.93], caustic * (0.25 + 0.75 * soft));
        colour = mix(colour, mix(lit, water, 0.20 + 0.10 * v.max(0.0)), edge);
        if far > 0.955 {
            colour = mix(colour, [0.55, 0.66, 0.64], 0.55 * edge);
        }
        if far < 0.06 {
            colour = [0.62, 0.64, 0.60];
        }
    }
    // The rope, with a red mark each half metre.
    let sway = 0.006 * (y * 9.0).sin() * (centre_y - y).max(0.0);
    let rope = step(0.0062, 0.0036, (x - centre_x - sway).abs()) * f32::from(y < centre_y);
    let mark = (y * 8.3).fract() < 0.14;
    let twist = 0.85 + 0.15 * ((x + y) * 260.0).sin();
    let thread = if mark { [0.82, 0.20, 0.16] } else { [0.90 * twist, 0.86 * twist, 0.70 * twist] };
    colour = mix(colour, mix(thread, water, 0.16), rope);
    // Motes in the water.
    let (mx, my) = ((x * 70.0).floor(), (y * 70.0).floor());
    let mote = hash(mx as i32, my as i32, 33);
    let (dx, dy) = (x * 70.0 - mx - unit(mote), y * 70.0 - my - unit(mote.wrapping_mul(77_777_777)));
    let shine = step(0.22, 0.02, dx.hypot(dy)) * f32::from(mote.is_multiple_of(11));
    mix(colour, [0.86, 0.97, 0.90], shine * 0.35)
}

/// Evening: the sun is gone behind the hills, the water holds its light.
fn dusk(x: f32, y: f32) -> Colour {
    let shore = 0.56;
    if y < shore {
        return hills(x, y, shore);
    }
    // Ripples shift the reflection, more so nearer to the eye.
    let near = (y - shore) / (1.0 - shore);
    let wave = fbm(x * 5.0 / (0.25 + near), 3.0 + 34.0 * near.powf(0.6), 4, 52) - 0.5;
    let mirrored = (shore - (y - shore) * 0.92 + wave * 0.10 * (0.15 + near)).clamp(0.0, shore - 0.001);
    let mut colour = mix(hills(x + wave * 0.03, mirrored, shore), [0.05, 0.09, 0.17], 0.22 + 0.38 * near);
    let glint = step(0.62, 0.84, fbm(x * 16.0, 60.0 * near.powf(0.7), 3, 57)) * step(0.42, 0.0, (x - 0.98).abs());
    colour = mix(colour, [1.0, 0.74, 0.46], glint * (1.0 - near) * 0.6);
    // Reeds at the left.
    let blade = (x * 46.0).floor();
    let h = hash(blade as i32, 0, 61);
    let top = 0.60 + 0.30 * unit(h) + x * 0.55;
    let lean = (1.0 - y) * 0.06 * (unit(h.wrapping_mul(31)) - 0.3);
    let inside = ((x + lean) * 46.0 - blade - 0.5).abs() < 0.16 * step(top, 1.0, y).max(0.25);
    if inside && y > top && x < 0.42 { [0.02, 0.03, 0.05] } else { colour }
}

fn hills(x: f32, y: f32, shore: f32) -> Colour {
    let up = 1.0 - y / shore;
    let glow = step(1.1, 0.0, ((x - 0.98) * 0.75).hypot(up * 1.15));
    let mut sky = mix([0.99, 0.62, 0.33], [0.60, 0.34, 0.47], step(0.0, 0.34, up));
    sky = mix(sky, [0.10, 0.14, 0.32], step(0.22, 1.0, up));
    sky = mix(sky, [1.0, 0.83, 0.52], glow * 0.75);
    let cloud = fbm(x * 2.6, up * 15.0, 5, 71);
    sky =
        mix(sky, mix([0.96, 0.47, 0.36], [0.34, 0.22, 0.38], up), step(0.54, 0.72, cloud) * step(0.02, 0.25, up) * 0.8);
    let star = hash((x * 300.0) as i32, (y * 300.0) as i32, 91);
    if up > 0.55 && star.is_multiple_of(1201) {
        sky = mix(sky, [1.0, 1.0, 0.95], (up - 0.55) * 1.4);
    }
    // Nearest first.
    for (scale, tall, seed, colour) in
        [(6.0, 0.125, 83, [0.06, 0.06, 0.12]), (3.4, 0.22, 82, [0.19, 0.14, 0.25]), (2.2, 0.31, 81, [0.36, 0.24, 0.36])]
    {
        let trees = if seed == 83 { 0.022 * value(x * 95.0, 0.5, 84) } else { 0.0 };
        let ridge = tall * fbm(x * scale + 5.0, 0.5, 5, seed) + trees;
        if up < ridge {
            return mix(colour, [0.72, 0.42, 0.36], glow * 0.25);
        }
    }
    sky
}
