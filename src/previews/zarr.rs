//! A Zarr in the pane beside a list: a group as a tree of shapes, types, chunks and codecs; an array as a
//! small picture, or its metadata.

use crate::error::{Kind, Result};
use crate::preview::{Ask, Band, Facts, Node, Picture, Preview, Previewer, Probe, Raster, Tree};
use crate::quantity;
use crate::raster::color::viridis;
use crate::scene::{Place, Scene as _, Wish};
use crate::store::Stores;
use crate::text;
use crate::zarr::{self, About, Form, Hierarchy, Member, Path, Plane, Series, Zarr};

/// Attributes shown of one member.
const ATTRIBUTES: usize = 60;

pub(super) const PREVIEWER: Previewer =
    Previewer { name: "zarr", matches, load: |stores, ask| Box::pin(load(stores, ask)) };

fn matches(probe: &Probe) -> bool {
    zarr::claims(&probe.location)
}

async fn load(stores: Stores, ask: Ask) -> Result<Preview> {
    // The metadata of the whole hold the coordinates of an array.
    let (zarr, _, path) = Zarr::find(&stores, &ask.probe.location, &ask.control, ask.max_bytes).await?;
    if path.is_empty() {
        return Ok(Preview::Tree(tree(&zarr)));
    }
    match zarr.hierarchy().array(&path) {
        Some((member, about)) if about.is_number() && !about.shape.is_empty() && !about.shape.contains(&0) => {
            array(&zarr, &path, (member, about), &ask).await
        }
        _ => {
            let zarr = Zarr::open(&stores, &zarr::home(&ask.probe.location), &ask.control, ask.max_bytes).await?;
            Ok(Preview::Tree(tree(&zarr)))
        }
    }
}

/// A small picture of an array, or a plot where it has one dimension; where there can be none its metadata say why.
async fn array(zarr: &Zarr, path: &Path, (member, about): (&Member, &About), ask: &Ask) -> Result<Preview> {
    let mut rows = about.facts();
    rows.extend(member.shown_attributes().into_iter().take(ATTRIBUTES));
    let named = member.words("long_name").or_else(|| member.words("standard_name"));
    let title = [Some(about.shape_and_type()), named.map(str::to_owned)].into_iter().flatten().collect::<Vec<_>>();
    let facts = Facts { title: title.join(" · "), rows };
    let painted = if about.shape.len() == 1 { plot(zarr, path, ask).await } else { picture(zarr, path, ask).await };
    match painted {
        Ok(raster) => Ok(Preview::Raster(Raster { facts, ..raster })),
        Err(err) if matches!(err.kind(), Kind::Unsupported | Kind::Limit | Kind::Invalid) => {
            let mut facts = facts;
            facts.rows.insert(0, ("Picture".into(), format!("none: {err}")));
            facts.rows.extend(err.hint().map(|hint| ("Hint".into(), hint.to_owned())));
            Ok(Preview::Facts(facts))
        }
        Err(err) => Err(err),
    }
}

async fn picture(zarr: &Zarr, path: &Path, ask: &Ask) -> Result<Raster> {
    let mut plane = Plane::open(zarr, path, None, &ask.control).await?;
    if ask.whole {
        plane = plane.placed(&ask.control).await?;
    }
    let about = plane.about();
    let wish = Wish { bands: about.first.clone(), window: about.whole(), pixels: ask.pixels, at: about.start() };
    let pixels = plane.read(&ask.control, wish).await?;
    let values = pixels.values.into_iter().next().unwrap_or_default();
    let ((low, high), rgba) = ask.control.blocking(move |_| Ok(paint(&values))).await?;
    let unit = about.bands.first().and_then(|band| band.unit.clone()).unwrap_or_default();
    let at = about.axes.iter().map(|axis| format!("{} 1 of {}", axis.name, text::count(axis.len)));
    let range = format!("{} … {} {unit}", quantity::plain(f64::from(low)), quantity::plain(f64::from(high)));
    let stretch = std::iter::once(range.trim_end().to_owned()).chain(at).collect::<Vec<_>>().join(" · ");
    let transform = if let Place::Affine(t) = about.place { Some(t) } else { None };
    let bounds = about.outline.iter().fold(None, |bounds: Option<[f64; 4]>, &[x, y]| {
        let [west, south, east, north] = bounds.unwrap_or([x, y, x, y]);
        Some([west.min(x), south.min(y), east.max(x), north.max(y)])
    });
    Ok(Raster {
        facts: Facts::default(),
        picture: Picture { width: pixels.width as u32, height: pixels.height as u32, rgba: rgba.into() },
        size: about.size,
        bands: about
            .bands
            .iter()
            .map(|band| Band {
                name: band.name.clone(),
                dtype: band.dtype.clone(),
                nodata: band.nodata,
                ..Band::default()
            })
            .collect(),
        crs: about.crs.clone(),
        bounds,
        transform,
        stretch,
    })
}

/// Values in the colours of viridis, from the second to the ninety-eighth of a hundred; nothing is transparent.
fn paint(values: &[f32]) -> ((f32, f32), Vec<u8>) {
    let mut known: Vec<f32> = values.iter().copied().filter(|v| v.is_finite()).collect();
    known.sort_unstable_by(f32::total_cmp);
    let quantile =
        |share: f64| known.get((known.len().saturating_sub(1) as f64 * share) as usize).copied().unwrap_or(f32::NAN);
    let (low, high) = (quantile(0.02), quantile(0.98));
    let (colours, width) = (viridis(), high - low);
    let colour = |v: &f32| {
        if !v.is_finite() {
            return [0; 4];
        }
        let share = if width > 0.0 { ((v - low) / width).clamp(0.0, 1.0) } else { 0.5 };
        let [r, g, b] = colours[(share * 255.0) as usize];
        [r, g, b, 255]
    };
    ((low, high), values.iter().flat_map(colour).collect())
}

/// A line over the positions of a one-dimensional array.
async fn plot(zarr: &Zarr, path: &Path, ask: &Ask) -> Result<Raster> {
    let array = zarr.array(path)?;
    let len = array.about().shape[0];
    let series = Series::read(&array, &ask.control, 0, &[0], (0, len)).await?;
    let encoding = array.encoding();
    let stretch = series.statistics().map_or_else(
        || "nothing but missing values".to_owned(),
        |(low, high, ..)| format!("{} … {}", encoding.words(low), encoding.words(high)),
    );
    let (width, height) = (ask.pixels.0.max(16), (ask.pixels.1 / 2).max(16));
    Ok(Raster {
        facts: Facts::default(),
        picture: curve(&series, width, height),
        size: (len, 1),
        bands: Vec::new(),
        crs: None,
        bounds: None,
        transform: None,
        stretch,
    })
}

/// Each column of pixels from its smallest to its largest value, joined to the one before.
fn curve(series: &Series, width: u32, height: u32) -> Picture {
    let mut rgba = vec![0; width as usize * height as usize * 4];
    let Some((low, high, ..)) = series.statistics() else { return Picture { width, height, rgba: rgba.into() } };
    let row = |v: f64| {
        let share = if high > low { (v - low) / (high - low) } else { 0.5 };
        ((1.0 - share) * f64::from(height - 1)) as usize
    };
    let (count, mut last) = (series.values.len(), None);
    let [r, g, b] = viridis()[190];
    for x in 0..width as usize {
        let (from, to) =
            (x * count / width as usize, ((x + 1) * count / width as usize).max(x * count / width as usize + 1));
        let here = series.values.get(from..to.min(count)).unwrap_or_default().iter().filter(|v| v.is_finite());
        let rows = here.map(|v| row(*v)).fold(None, |found: Option<(usize, usize)>, y| {
            Some(found.map_or((y, y), |(top, bottom)| (top.min(y), bottom.max(y))))
        });
        let joined = rows.map(|(top, bottom)| match last {
            Some((before_top, before_bottom)) => (top.min(before_bottom), bottom.max(before_top)),
            None => (top, bottom),
        });
        if let Some((top, bottom)) = joined {
            for y in top.saturating_sub(1)..=bottom {
                let at = (y * width as usize + x) * 4;
                rgba[at..at + 4].copy_from_slice(&[r, g, b, 255]);
            }
        }
        last = rows;
    }
    Picture { width, height, rgba: rgba.into() }
}

fn tree(zarr: &Zarr) -> Tree {
    let found = zarr.hierarchy();
    let mut nodes = Vec::new();
    let root = found.root().cloned().unwrap_or_default();
    for (path, member) in &found.members {
        let (depth, name) = match path.split_last() {
            Some((name, above)) => (above.len(), name.as_str()),
            None if matches!(root.form, Form::Group) => continue,
            None => (0, zarr.source().location().name().trim_end_matches('/')),
        };
        let depth = depth as u16;
        let target = zarr.source().member(path);
        nodes.push(Node { depth, name: text::fit(name, zarr::VALUE).into_owned(), detail: member.detail(), target });
        push_attributes(&mut nodes, depth + 1, member);
    }
    // A group's own attributes are many lines in files of climate models: its members come first.
    if matches!(root.form, Form::Group) && !root.attributes.is_empty() {
        let count = text::count(root.attributes.len() as u64);
        nodes.push(Node { depth: 0, name: "attributes".into(), detail: count, target: None });
        push_attributes(&mut nodes, 1, &root);
    }
    Tree { facts: facts(zarr, &root), nodes }
}

fn push_attributes(nodes: &mut Vec<Node>, depth: u16, member: &Member) {
    let attributes = member.shown_attributes();
    for (name, value) in attributes.iter().take(ATTRIBUTES) {
        nodes.push(Node { depth, name: name.clone(), detail: value.clone(), target: None });
    }
    if attributes.len() > ATTRIBUTES {
        let more = format!("and {} more", text::count((attributes.len() - ATTRIBUTES) as u64));
        nodes.push(Node { depth, name: "…".into(), detail: more, target: None });
    }
}

fn facts(zarr: &Zarr, root: &Member) -> Facts {
    let found: &Hierarchy = zarr.hierarchy();
    let (arrays, groups) = found.counts();
    let format = format!("Zarr v{}", found.version);
    let count = |n: usize, one: &str| format!("{} {one}{}", text::count(n as u64), if n == 1 { "" } else { "s" });
    let title = match &root.form {
        Form::Array(array) => format!("{format} array {}", array.shape_and_type()),
        _ if groups > 0 => format!("{format} group · {}, {}", count(arrays, "array"), count(groups, "group")),
        _ => format!("{format} group · {}", count(arrays, "array")),
    };
    let metadata = if found.consolidated { "consolidated" } else { "one document for each member" };
    let mut rows = vec![
        ("Format".to_owned(), format),
        ("Arrays".to_owned(), text::count(arrays as u64)),
        ("Groups".to_owned(), text::count(groups as u64)),
        ("Metadata".to_owned(), metadata.to_owned()),
    ];
    if let Form::Array(array) = &root.form {
        rows.extend(array.facts());
    }
    rows.push(("Stored bytes".to_owned(), "not computed".to_owned()));
    rows.extend(found.notes.iter().take(10).map(|note| ("Note".to_owned(), note.clone())));
    Facts { title, rows }
}
