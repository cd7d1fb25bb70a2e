//! What a benchmark is asked to do.

use crate::error::{Context as _, Error, Kind, Result};
use crate::location::Location;
use serde::{Deserialize, Serialize};

/// A benchmark of random patch reads, as a TOML or JSON file describes it.
///
/// ```toml
/// title = "Sentinel-2 35VLH 2024, 10 m bands"
/// seed = 42          # the same seed draws the same patches in the same order
/// repeats = 10       # random patches that are timed
/// warmup = 1         # rounds before them that are not reported
/// patch = 512        # pixels a side; or { metres = 5100, snap = 60 }
/// concurrency = 8    # reads under way at once within a patch
/// verify = true      # all series must hold equal pixels
///
/// [[series]]
/// name = "cog"
/// format = "cog"
/// location = "s3://bucket/35VLH/2024/"   # every *.tif below it is one date, all of one shape
///
/// [[series]]
/// name = "zarr"
/// format = "zarr"
/// location = "s3://bucket/35VLH.zarr/2024"
/// array = "data"                         # (time, band, y, x)
/// ```
///
/// Every series is read at the same patches, over all its dates and bands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// A few words for lists and reports.
    #[serde(default)]
    pub title: String,
    /// Seed of patches and order.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// Patches that are timed, 1 to 100,000.
    #[serde(default = "default_repeats")]
    pub repeats: u32,
    /// Rounds before them whose times are not reported, at most 1,000.
    #[serde(default = "default_warmup")]
    pub warmup: u32,
    /// Files of a COG series, or chunks of a Zarr series, read at once within a patch: 1 to 256.
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
    /// Prove before timing, and by checksum after each repeat, that all series hold equal pixels.
    #[serde(default = "default_verify")]
    pub verify: bool,
    /// Size of a patch.
    #[serde(default)]
    pub patch: PatchSize,
    /// What is compared: at least one.
    #[serde(default)]
    pub series: Vec<Series>,
}

/// The side of a square patch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PatchSize {
    /// In pixels; its corner may lie on any pixel.
    Pixels(u64),
    /// On the ground. Needs a COG series, whose transform tells the size of a pixel.
    Metres {
        /// Side in the units of the coordinate system, mostly metres.
        metres: f64,
        /// Corners lie on multiples of this, so that bands of 10, 20 and 60 m can share patches;
        /// 0 for any pixel.
        #[serde(default)]
        snap: f64,
    },
}

impl Default for PatchSize {
    fn default() -> Self {
        Self::Pixels(512)
    }
}

/// How the pixels of a series are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One `GeoTIFF` for each date.
    Cog,
    /// One array for all dates.
    Zarr,
}

impl Format {
    /// As people write it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Cog => "COG",
            Self::Zarr => "Zarr",
        }
    }
}

/// One of the things compared: a time series of images in one place and one format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// Its name in samples and tables; unique.
    pub name: String,
    /// How it is stored.
    pub format: Format,
    /// Where: a folder of scenes, or a Zarr group.
    pub location: Location,
    /// Zarr: the array in that group, `data` where nothing is said; `""` if the location is the array.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub array: Option<String>,
    /// COG: the scenes, one a date, in order; absolute or relative to the location.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// COG, without `files`: only files whose name ends so, such as `B02_B03_B04_B08.tif`;
    /// `.tif` or `.tiff` where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
}

fn default_seed() -> u64 {
    42
}
fn default_repeats() -> u32 {
    10
}
fn default_warmup() -> u32 {
    1
}
fn default_concurrency() -> usize {
    8
}
fn default_verify() -> bool {
    true
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            title: String::new(),
            seed: default_seed(),
            repeats: default_repeats(),
            warmup: default_warmup(),
            concurrency: default_concurrency(),
            verify: default_verify(),
            patch: PatchSize::default(),
            series: Vec::new(),
        }
    }
}

impl Series {
    /// A series with nothing but these said.
    pub fn new(name: impl Into<String>, format: Format, location: Location) -> Self {
        Self { name: name.into(), format, location, array: None, files: Vec::new(), suffix: None }
    }
}

impl Spec {
    /// Reads TOML, or JSON where the text begins with `{`, and checks it.
    pub fn parse(text: &str) -> Result<Self> {
        let spec: Self = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).context(|| "reading the benchmark's description".to_owned())?
        } else {
            toml::from_str(text).map_err(|err| {
                let why = format!("the benchmark's description is not right: {}", err.message());
                Error::new(Kind::Invalid, why).with_source(err)
            })?
        };
        spec.validate()?;
        Ok(spec)
    }

    /// The same as a TOML file.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self)
            .map_err(|err| Error::new(Kind::Failed, format!("this cannot be written as TOML: {err}")).with_source(err))
    }

    /// What can be told to be wrong without opening anything, as a sentence.
    pub fn validate(&self) -> Result<()> {
        let within = |name: &str, value: u64, least: u64, most: u64| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(Error::usage(format!("`{name}` is {value}; it can be {least} to {most}")).with_hint("correct the file"))
        };
        within("repeats", u64::from(self.repeats), 1, 100_000)?;
        within("warmup", u64::from(self.warmup), 0, 1_000)?;
        within("concurrency", self.concurrency as u64, 1, 256)?;
        match self.patch {
            PatchSize::Pixels(0) => return Err(Error::usage("a patch of 0 pixels holds nothing to read")),
            PatchSize::Metres { metres, .. } if !(metres.is_finite() && metres > 0.0) => {
                return Err(Error::usage(format!("a patch of {metres} metres holds nothing to read")));
            }
            PatchSize::Metres { snap, .. } if !(snap.is_finite() && snap >= 0.0) => {
                return Err(Error::usage(format!("patches cannot be snapped to {snap} metres")));
            }
            PatchSize::Pixels(_) | PatchSize::Metres { .. } => {}
        }
        if self.series.is_empty() {
            return Err(Error::usage("the benchmark names no series to read").with_hint("add a [[series]] to the file"));
        }
        for (i, series) in self.series.iter().enumerate() {
            if series.name.trim().is_empty() {
                return Err(Error::usage(format!("series {} has no name", i + 1)));
            }
            if self.series[..i].iter().any(|other| other.name == series.name) {
                return Err(Error::usage(format!("two series are called `{}`", series.name)));
            }
            if series.format == Format::Zarr && !(series.files.is_empty() && series.suffix.is_none()) {
                let why = format!("series `{}` is Zarr: `files` and `suffix` are for COG", series.name);
                return Err(Error::usage(why));
            }
            if series.format == Format::Cog && series.array.is_some() {
                return Err(Error::usage(format!("series `{}` is COG: `array` is for Zarr", series.name)));
            }
        }
        Ok(())
    }

    /// Its title, or one made of its series.
    pub fn label(&self) -> String {
        if !self.title.trim().is_empty() {
            return self.title.clone();
        }
        let mut formats: Vec<&str> = self.series.iter().map(|s| s.format.label()).collect();
        formats.sort_unstable();
        formats.dedup();
        if formats.len() > 1 {
            return formats.join(" vs ");
        }
        self.series.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(" vs ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        repeats = 3
        patch = { metres = 5100, snap = 60 }
        [[series]]
        name = "a"
        format = "cog"
        location = "s3://b/2024/"
        [[series]]
        name = "b"
        format = "zarr"
        location = "s3://p@b/x.zarr"
    "#;

    #[test]
    fn toml_and_json_say_the_same() {
        let spec = Spec::parse(TEXT).expect("toml");
        assert_eq!((spec.seed, spec.repeats, spec.warmup, spec.verify), (42, 3, 1, true));
        assert_eq!(spec.patch, PatchSize::Metres { metres: 5100.0, snap: 60.0 });
        let json = serde_json::to_string(&spec).expect("json");
        assert_eq!(Spec::parse(&json).expect("json"), spec);
        assert_eq!(Spec::parse(&spec.to_toml().expect("toml")).expect("toml again"), spec);
        assert_eq!(spec.label(), "COG vs Zarr");
    }

    #[test]
    fn what_is_wrong_is_said_in_words() {
        let wrong = |change: fn(&mut Spec)| {
            let mut spec = Spec::parse(TEXT).expect("toml");
            change(&mut spec);
            spec.validate().expect_err("refused").to_string()
        };
        assert_eq!(wrong(|s| s.patch = PatchSize::Pixels(0)), "a patch of 0 pixels holds nothing to read");
        assert_eq!(wrong(|s| s.repeats = 0), "`repeats` is 0; it can be 1 to 100000");
        assert_eq!(wrong(|s| s.series[1].name = "a".into()), "two series are called `a`");
        assert!(wrong(|s| s.series.clear()).contains("no series"));
        assert!(wrong(|s| s.patch = PatchSize::Metres { metres: f64::NAN, snap: 0.0 }).contains("NaN"));
        let err = Spec::parse("repeat = 3").expect_err("unknown field");
        assert!(err.to_string().contains("unknown field `repeat`"), "{err}");
        assert!(Spec::parse("{").is_err());
    }
}
