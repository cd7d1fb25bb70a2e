//! `preview`: what the screen shows, on stdout or as a PNG.

use super::out;
use crate::error::{Context as _, Error, Result};
use crate::location::Location;
use crate::preview::{Ask, Loaded, Picture, Preview, Probe};
use crate::previews;
use crate::query::{Engine, Settings, Source};
use crate::store::Stores;
use crate::table::{Rows, Window, shown, to_json_rows};
use crate::task::Control;
use crate::text;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Options of `preview`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The file
    pub location: String,
    /// Rows of a table, lines of a text
    #[arg(long, default_value_t = 20)]
    pub rows: usize,
    /// Rows to skip
    #[arg(long, default_value_t = 0)]
    pub offset: u64,
    /// Columns of a table
    #[arg(long, value_delimiter = ',')]
    pub columns: Option<Vec<String>>,
    /// Only rows of a table for which this holds: "h_mean > 3 AND name LIKE 'A%'"
    #[arg(long, value_name = "SQL", conflicts_with_all = ["rgb", "band", "png"])]
    pub filter: Option<String>,
    /// Bands shown as red, green and blue, counted from 1; or one band
    #[arg(long, visible_alias = "bands", value_delimiter = ',', value_name = "R,G,B", conflicts_with = "band")]
    pub rgb: Option<Vec<usize>>,
    /// The band shown, counted from 1
    #[arg(long, value_name = "N")]
    pub band: Option<usize>,
    /// Largest width and height of a picture
    #[arg(long, value_name = "WxH", value_parser = size, default_value = "512x512")]
    pub size: (u32, u32),
    /// Write the picture to this PNG file
    #[arg(long, value_name = "FILE")]
    pub png: Option<PathBuf>,
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let (w, h) = text.split_once('x').ok_or("a size is WIDTHxHEIGHT")?;
    let side = |s: &str| s.parse().ok().filter(|n| (1..=16_384).contains(n)).ok_or("a side is 1 to 16384 pixels");
    Ok((side(w)?, side(h)?))
}

/// Begins with what takes longest, while all else is set up: GDAL's library is needed for a raster.
pub(super) fn prepare(args: &Args) {
    if args.filter.is_none() && Location::parse(&args.location).is_ok_and(|at| previews::is_raster(&Probe::new(at))) {
        drop(tokio::task::spawn_blocking(crate::store::gdal::set_up));
    }
}

/// Loads and prints.
pub(super) async fn run(stores: &Stores, args: Args, json: bool) -> Result<()> {
    let mut location = Location::parse(&args.location)?;
    if location.to_path().is_some_and(|p| p.is_dir()) {
        location = location.as_container();
    }
    if let Some(filter) = &args.filter {
        let loaded = out::about(filtered(stores, &location, filter, &args).await, "filtering", &location)?;
        return if json { out::json(&as_json(&location, &loaded)?) } else { print(&loaded) };
    }
    let mut ask = Ask::new(Probe::new(location.clone()), stores.meter().child());
    ask.rows = args.rows;
    ask.lines = Some(args.rows);
    ask.offset = args.offset;
    ask.columns = args.columns;
    ask.bands = args.rgb.or(args.band.map(|b| vec![b]));
    ask.pixels = args.size;
    ask.whole = true;
    let loaded = out::about(previews::load(stores.clone(), ask).await, "previewing", &location)?;
    if let Some(file) = &args.png {
        let Preview::Raster(raster) = &loaded.preview else {
            return Err(Error::usage(format!("{location} is not a picture: --png does not fit")));
        };
        write_png(&raster.picture, file)?;
    }
    if json { out::json(&as_json(&location, &loaded)?) } else { print(&loaded) }
}

/// The rows of a table that fulfil a condition, as SQL finds them.
async fn filtered(stores: &Stores, location: &Location, filter: &str, args: &Args) -> Result<Loaded> {
    let engine = Engine::new(stores.clone(), Settings::here())?;
    let control = Control::new(stores.meter().child());
    let answer = engine.filter(&Source::At(location.clone()), filter, &[], &control).await?.into_rows();
    let window = Window { rows: args.rows, offset: args.offset, columns: args.columns.clone() };
    let batch = answer.window(window).await?;
    let cost = answer.reading().cost;
    let rows: std::sync::Arc<dyn Rows> = answer;
    Ok(Loaded { format: "table", preview: Preview::Table(shown(&rows, &batch, args.offset)), cost })
}

/// Writes a PNG: whole or not at all.
fn write_png(picture: &Picture, file: &std::path::Path) -> Result<()> {
    let what = || format!("writing {}", file.display());
    let image = image::RgbaImage::from_raw(picture.width, picture.height, picture.rgba.to_vec())
        .ok_or_else(|| Error::invalid("the picture has another size than it says"))?;
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(std::path::Path::new("."));
    let mut temporary = tempfile::NamedTempFile::new_in(folder).context(what)?;
    image
        .write_to(&mut std::io::BufWriter::new(temporary.as_file_mut()), image::ImageFormat::Png)
        .map_err(|err| Error::new(crate::error::Kind::Failed, "the PNG cannot be written").with_source(err))
        .context(what)?;
    temporary.as_file().sync_all().context(what)?;
    temporary.persist(file).map_err(|err| Error::from(err.error)).context(what)?;
    Ok(())
}

fn as_json(location: &Location, loaded: &Loaded) -> Result<Value> {
    let facts = |facts: &crate::preview::Facts| {
        facts
            .rows
            .iter()
            .filter(|(_, v)| !v.is_empty())
            .map(|(k, v)| (k.clone(), json!(v)))
            .collect::<serde_json::Map<_, _>>()
    };
    let mut object = json!({ "location": location, "format": loaded.format });
    let fields = match &loaded.preview {
        Preview::Table(t) => json!({
            "kind": "table",
            "columns": t.columns,
            "rows": rows(t)?,
            "offset": t.offset,
            "total_rows": t.total_rows,
            "total_columns": t.total_columns,
            "facts": facts(&t.facts),
        }),
        Preview::Raster(r) => json!({
            "kind": if r.transform.is_some() || r.crs.is_some() || loaded.format != "image" { "raster" } else { "image" },
            "width": r.size.0,
            "height": r.size.1,
            "bands": r.bands,
            "crs": r.crs,
            "bounds": r.bounds,
            "transform": r.transform,
            // Of the pixels read: of all of them, or of an overview.
            "statistics": r.bands.iter().find_map(|b| b.exact).map(|exact| if exact { "exact" } else { "approximate" }),
            "stretch": r.stretch,
            "picture": { "width": r.picture.width, "height": r.picture.height },
            "facts": facts(&r.facts),
        }),
        Preview::Tree(t) => json!({
            "kind": if loaded.format == "stac" { "stac" } else { "tree" },
            "nodes": t.nodes,
            "facts": facts(&t.facts),
        }),
        Preview::Text(t) => json!({ "kind": "text", "lines": t.lines, "truncated": t.truncated }),
        Preview::Facts(f) => json!({ "kind": "facts", "facts": facts(f) }),
        Preview::Hex(h) => {
            let hex: String = h.bytes.iter().take(4096).fold(String::new(), |mut out, b| {
                use std::fmt::Write as _;
                // Writing to a string cannot fail.
                let _ = write!(out, "{b:02x}");
                out
            });
            json!({ "kind": "hex", "offset": h.offset, "size": h.size, "hex": hex })
        }
    };
    if let (Value::Object(object), Value::Object(fields)) = (&mut object, fields) {
        object.extend(fields);
        object.insert("cost".into(), json!(loaded.cost));
    }
    Ok(object)
}

/// Rows as JSON objects.
fn rows(table: &crate::preview::Table) -> Result<Vec<Value>> {
    let mut buffer = Vec::new();
    let mut writer = arrow::json::WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, arrow::json::writer::JsonArray>(&mut buffer);
    let failed =
        |err: arrow::error::ArrowError| Error::unsupported("these rows cannot be written as JSON").with_source(err);
    writer.write(&table.batch).map_err(failed)?;
    writer.finish().map_err(failed)?;
    drop(writer);
    // Times that no calendar holds have no form in Arrow's JSON.
    if memchr::memmem::find(&buffer, b"\"ERROR: ").is_some() {
        return Ok(to_json_rows(table));
    }
    if buffer.is_empty() { Ok(Vec::new()) } else { Ok(serde_json::from_slice(&buffer)?) }
}

fn print(loaded: &Loaded) -> Result<()> {
    let facts = |facts: &crate::preview::Facts| -> Result<()> {
        if !facts.title.is_empty() {
            out::line(&text::clean(&facts.title))?;
        }
        for (name, value) in &facts.rows {
            out::line(format!("  {:<16} {}", text::clean(name), text::clean(value)).trim_end())?;
        }
        Ok(())
    };
    match &loaded.preview {
        Preview::Table(t) => {
            out::line(&text::clean(&t.facts.title))?;
            let table = arrow::util::pretty::pretty_format_batches(std::slice::from_ref(&t.batch))
                .map_err(|err| Error::unsupported("these rows cannot be shown").with_source(err))?;
            for line in table.to_string().lines() {
                out::line(&text::clean(line))?;
            }
        }
        Preview::Raster(r) => facts(&r.facts)?,
        Preview::Facts(f) => facts(f)?,
        Preview::Tree(t) => {
            facts(&t.facts)?;
            for node in &t.nodes {
                let indent = "  ".repeat(node.depth as usize);
                out::line(format!("{indent}{}  {}", text::clean(&node.name), text::clean(&node.detail)).trim_end())?;
            }
        }
        Preview::Text(t) => {
            for line in &t.lines {
                out::line(&text::clean(line))?;
            }
        }
        Preview::Hex(h) => {
            for (i, chunk) in h.bytes.chunks(16).take(32).enumerate() {
                let digits: Vec<String> = chunk.iter().map(|b| format!("{b:02x}")).collect();
                out::line(&format!("{:08x}  {}", h.offset as usize + i * 16, digits.join(" ")))?;
            }
        }
    }
    out::say(&loaded.cost.to_string());
    Ok(())
}
