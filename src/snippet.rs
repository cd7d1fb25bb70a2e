//! Ways to say where a thing is, for people and for other tools: addresses, URLs, paths, and lines of
//! code that open it. None holds a secret: tools find the keys themselves, by the name of a profile;
//! only the signed links do, and those are made when the user asks.

use crate::location::{Location, Scheme};
use crate::store::{Method, Origin, Reach};
use crate::text;

mod python;
mod quote;
mod shell;
mod sql;

/// What a snippet is written in: how it is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// An address, a path, a name.
    Plain,
    /// A command line.
    Shell,
    /// Python.
    Python,
    /// SQL of `DuckDB`.
    Sql,
}

/// What is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// This, as it stands.
    Text(String),
    /// A link that has to be signed first, for each location.
    Link {
        /// What the link allows.
        method: Method,
        /// Whether it stands in a command line of curl.
        is_command: bool,
    },
}

/// One way to copy a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its letter in the menu, different from all others there.
    pub letter: char,
    /// A word or two: `rasterio`.
    pub name: &'static str,
    /// How it is coloured.
    pub language: Language,
    /// What is copied.
    pub body: Body,
}

/// What a thing is, as far as snippets care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Parquet,
    Csv,
    Raster,
    Hdf,
    Zarr,
    StacCatalog,
    StacItem,
    StacApi,
    Other,
}

fn kind(location: &Location, media_type: Option<&str>) -> Kind {
    let media = media_type.unwrap_or_default().to_ascii_lowercase();
    let extension = match location.extension() {
        e if e.is_empty() => {
            location.name().trim_end_matches('/').rsplit_once('.').map_or("", |(_, e)| e).to_lowercase()
        }
        e => e,
    };
    let is_web = matches!(location.scheme(), Scheme::Http | Scheme::Https);
    match extension.as_str() {
        "parquet" | "geoparquet" => Kind::Parquet,
        "csv" | "tsv" => Kind::Csv,
        "tif" | "tiff" | "jp2" | "vrt" => Kind::Raster,
        "nc" | "nc4" | "h5" | "hdf5" | "he5" => Kind::Hdf,
        "zarr" => Kind::Zarr,
        _ if media.contains("parquet") => Kind::Parquet,
        _ if media.contains("tiff") || media.contains("jp2") => Kind::Raster,
        _ if media.contains("zarr") => Kind::Zarr,
        _ if media.contains("csv") => Kind::Csv,
        _ if media.contains("netcdf") || media.contains("hdf") => Kind::Hdf,
        _ if matches!(location.name(), "catalog.json" | "collection.json") => Kind::StacCatalog,
        _ if is_web && location.key().contains("/collections/") && location.key().contains("/items/") => Kind::StacItem,
        _ if is_web && location.key().contains("collections") => Kind::StacApi,
        "json" | "geojson" => Kind::StacItem,
        _ => Kind::Other,
    }
}

/// The address without the profile: what other tools and people understand.
fn plain(location: &Location) -> String {
    Location::new(location.scheme(), None, location.bucket(), location.key()).to_string()
}

/// The ways to copy one or several things, the most usual first. Of several only those that can be
/// written a line each.
pub fn offers(locations: &[Location], media_type: Option<&str>, reach: &Reach) -> Vec<Offer> {
    let Some(first) = locations.first() else { return Vec::new() };
    let mut menu = Menu { locations, out: Vec::new() };
    menu.lines('a', "address", |l| Some(l.to_string()));
    if first.profile().is_some() {
        menu.lines('s', "without profile", |l| Some(plain(l)));
    }
    if !matches!(first.scheme(), Scheme::Http | Scheme::Https) {
        menu.lines('u', "https URL", |l| reach.url(l));
    }
    let is_object = locations.iter().all(|l| l.scheme() == Scheme::S3 && !l.is_container());
    let can_sign = is_object && reach.origin != Origin::Nobody;
    if can_sign {
        menu.link('r', "link to read", Language::Plain, Method::Get, false);
        if locations.len() == 1 {
            menu.link('w', "link to write", Language::Plain, Method::Put, false);
        }
    }
    if !first.key().is_empty() && first.scheme() != Scheme::File {
        menu.lines('e', "key", |l| Some(l.key().to_owned()));
    }
    menu.lines('n', "name", |l| Some(l.name().trim_end_matches('/').to_owned()));
    menu.lines('v', "GDAL path", shell::gdal_path);
    if let [one] = locations {
        of_one(&mut menu, one, kind(one, media_type), reach, can_sign);
    } else {
        let line = |l: &Location| Some(secchi(l, kind(l, None)));
        menu.lines_in('S', "secchi", Language::Shell, line);
    }
    menu.out
}

/// What is offered for a thing of its kind.
fn of_one(menu: &mut Menu, one: &Location, kind: Kind, reach: &Reach, can_sign: bool) {
    use Language::{Python, Shell, Sql};
    let is_thing = !one.is_container() || kind == Kind::Zarr;
    let code = |text: String| Some(text);
    match kind {
        Kind::Parquet => {
            menu.text('D', "DuckDB", Sql, code(sql::select("read_parquet", one, reach)));
            menu.text('p', "geopandas", Python, python::parquet(one, reach, true));
            menu.text('P', "pyarrow", Python, python::parquet(one, reach, false));
        }
        Kind::Csv => {
            menu.text('D', "DuckDB", Sql, code(sql::select("read_csv", one, reach)));
            menu.text('p', "pandas", Python, python::csv(one, reach));
        }
        Kind::Raster => menu.text('t', "rasterio", Python, python::raster(one, reach)),
        Kind::Hdf => menu.text('x', "xarray", Python, python::hdf(one, reach)),
        Kind::Zarr => menu.text('x', "xarray", Python, python::zarr(one, reach)),
        Kind::StacCatalog => menu.text('p', "pystac", Python, python::stac(one, reach, false)),
        Kind::StacItem => {
            menu.text('p', "pystac", Python, python::stac(one, reach, true));
            menu.text('o', "odc-stac", Python, python::odc(one, reach));
        }
        Kind::StacApi => menu.text('p', "pystac-client", Python, python::client(one)),
        Kind::Other => {}
    }
    if matches!(kind, Kind::Raster | Kind::Zarr | Kind::Hdf) {
        menu.text('d', "gdalinfo", Shell, shell::gdalinfo(one, reach, kind == Kind::Zarr));
    }
    if can_sign {
        menu.link('c', "curl, signed", Shell, Method::Get, true);
        menu.link('C', "curl, upload", Shell, Method::Put, true);
    } else if is_thing && !one.is_container() {
        menu.text('c', "curl", Shell, reach.url(one).map(|url| curl(&url, one, Method::Get)));
    }
    menu.text('A', "aws s3 cp", Shell, shell::aws(one, reach));
    menu.text('R', "rclone", Shell, shell::rclone(one, reach));
    menu.text('S', "secchi", Shell, code(secchi(one, kind)));
}

/// The command line of secchi that shows a thing.
fn secchi(location: &Location, kind: Kind) -> String {
    let is_list = location.is_container() && kind != Kind::Zarr || matches!(kind, Kind::StacCatalog | Kind::StacApi);
    text::command_line(&[if is_list { "ls" } else { "preview" }.to_owned(), location.to_string()])
}

/// A link as a command line of curl.
pub fn curl(url: &str, location: &Location, method: Method) -> String {
    shell::curl(url, location, method)
}

/// What a person should know before they use what they copied elsewhere.
pub fn note(locations: &[Location], reach: &Reach) -> Option<String> {
    let is_s3 = locations.first().is_some_and(|l| l.scheme() == Scheme::S3);
    let profile = reach.profile.as_deref().unwrap_or_default();
    if !is_s3 {
        return None;
    }
    Some(match reach.origin {
        Origin::Program => {
            "The demo's keys live in this program alone: elsewhere only its signed links work, while it runs."
                .to_owned()
        }
        Origin::S3cfg => format!(
            "The keys of {} are in a file of s3cmd: other tools need them as [{}] in ~/.aws/credentials.",
            text::clean(profile),
            text::clean(profile)
        ),
        _ if locations.iter().any(|l| is_odd(l.key())) => {
            "Many tools cannot spell this key (//, .. or a / in front): a signed link works with all that take a URL."
                .to_owned()
        }
        _ => return None,
    })
}

/// Whether a key is one that URL libraries and file systems rewrite.
fn is_odd(key: &str) -> bool {
    key.starts_with('/') || key.contains("//") || key.split('/').any(|part| matches!(part, "." | ".."))
}

/// A menu being written.
struct Menu<'a> {
    locations: &'a [Location],
    out: Vec<Offer>,
}

impl Menu<'_> {
    fn text(&mut self, letter: char, name: &'static str, language: Language, text: Option<String>) {
        if let Some(text) = text {
            self.out.push(Offer { letter, name, language, body: Body::Text(text) });
        }
    }

    fn lines(&mut self, letter: char, name: &'static str, line: impl Fn(&Location) -> Option<String>) {
        self.lines_in(letter, name, Language::Plain, line);
    }

    /// A line for each location; nothing where one has none.
    fn lines_in(
        &mut self,
        letter: char,
        name: &'static str,
        language: Language,
        line: impl Fn(&Location) -> Option<String>,
    ) {
        let lines: Option<Vec<String>> = self.locations.iter().map(line).collect();
        self.text(letter, name, language, lines.map(|lines| lines.join("\n")));
    }

    fn link(&mut self, letter: char, name: &'static str, language: Language, method: Method, is_command: bool) {
        self.out.push(Offer { letter, name, language, body: Body::Link { method, is_command } });
    }
}

#[cfg(test)]
mod tests;
