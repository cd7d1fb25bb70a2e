//! One document: a catalog, a collection, an item, or a collection of items.

use crate::error::{Context, Error, Kind, Result};
use crate::location::Location;
use serde_json::{Map, Value};

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    /// A catalog.
    Catalog,
    /// A collection.
    Collection,
    /// An item.
    Item,
    /// Several items: a page of a search.
    Items,
}

impl Type {
    /// As the specification calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Catalog => "Catalog",
            Self::Collection => "Collection",
            Self::Item => "Item",
            Self::Items => "ItemCollection",
        }
    }
}

/// A STAC document, as far as it could be understood.
#[derive(Clone, Debug)]
pub struct Document {
    /// Where it was read.
    pub location: Location,
    /// What it is.
    pub kind: Type,
    /// Its id; empty where it has none.
    pub id: String,
    /// Its title; an item's is among its properties.
    pub title: Option<String>,
    /// Its description.
    pub description: Option<String>,
    /// Version of STAC it claims.
    pub version: String,
    /// An item's time, or `start/end`; of a collection its whole interval. `..` is open.
    pub datetime: Option<String>,
    /// West, south, east, north in degrees (six numbers with heights); empty where there is none.
    pub bbox: Vec<f64>,
    /// The collection that an item belongs to.
    pub collection: Option<String>,
    /// Licence.
    pub license: Option<String>,
    /// Names of providers with their roles.
    pub providers: Vec<String>,
    /// An item's properties; a collection's summaries.
    pub properties: Map<String, Value>,
    /// Links, in their order.
    pub links: Vec<Link>,
    /// Assets, in their order.
    pub assets: Vec<Asset>,
    /// The items of [`Type::Items`].
    pub items: Vec<Document>,
    /// Where it is not as the specification wants it: the first thing found.
    pub fault: Option<String>,
}

/// A link of a document.
#[derive(Clone, Debug)]
pub struct Link {
    /// What it is: `child`, `item`, `self`, `license`.
    pub rel: String,
    /// As written.
    pub href: String,
    /// Title.
    pub title: Option<String>,
    /// Media type.
    pub media_type: Option<String>,
    /// Where it leads; `None` where secchi cannot go (`ftp:`, `mailto:`).
    pub target: Option<Location>,
}

/// An asset: a file that belongs to an item or a collection.
#[derive(Clone, Debug)]
pub struct Asset {
    /// Its name among the assets.
    pub key: String,
    /// As written.
    pub href: String,
    /// Title.
    pub title: Option<String>,
    /// Media type.
    pub media_type: Option<String>,
    /// `data`, `thumbnail`, `metadata`.
    pub roles: Vec<String>,
    /// Bytes (`file:size`), where told.
    pub size: Option<u64>,
    /// Where it leads; `None` where secchi cannot go.
    pub target: Option<Location>,
}

/// A document below another one, as far as the link to it tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// What it seems to be: [`Type::Item`], or a catalog or collection by its name.
    pub kind: Type,
    /// Its id, guessed from its address: `area-1-1` of `./area-1-1/collection.json`.
    pub name: String,
    /// The link's title.
    pub title: Option<String>,
    /// Where it is.
    pub target: Location,
}

impl Document {
    /// The documents below: children first, then items, each in the order of its links.
    pub fn children(&self) -> Vec<Child> {
        let with_rel = |rel: &'static str| self.links.iter().filter(move |l| l.rel == rel);
        with_rel("child")
            .chain(with_rel("item"))
            .filter_map(|l| child(l).filter(|c| c.target != self.location))
            .collect()
    }
}

fn child(link: &Link) -> Option<Child> {
    let target = link.target.clone()?;
    let file = target.name().split('?').next().unwrap_or_default().trim_end_matches('/');
    let kind = match (link.rel.as_str(), file) {
        ("item", _) => Type::Item,
        (_, "collection.json") => Type::Collection,
        _ => Type::Catalog,
    };
    let stem = file.strip_suffix(".json").or_else(|| file.strip_suffix(".geojson")).unwrap_or(file);
    let folder = target.parent().map(|p| p.name().trim_end_matches('/').to_owned());
    let name = match folder {
        // `…/area-1-1/collection.json`: the folder has the telling name.
        Some(folder) if matches!(stem, "catalog" | "collection" | "item" | "index") && !folder.is_empty() => folder,
        _ => stem.to_owned(),
    };
    Some(Child { kind, name, title: link.title.clone(), target })
}

/// Reads a document found at `location`.
pub fn parse(location: &Location, bytes: &[u8]) -> Result<Document> {
    let json: Value = serde_json::from_slice(bytes).context(|| "not a STAC document".to_owned())?;
    document(location, &json)
}

fn document(location: &Location, json: &Value) -> Result<Document> {
    let not_stac = |why: &str| {
        Error::new(Kind::Invalid, format!("not a STAC document: {why}"))
            .with_hint("preview it instead, or open a catalog.json or collection.json")
    };
    let Value::Object(fields) = json else { return Err(not_stac("it is no JSON object")) };
    let kind = type_of(fields).ok_or_else(|| not_stac("it has no `stac_version` and no type of STAC"))?;
    let properties = object(fields.get("properties").or_else(|| fields.get("summaries")));
    let mut items = Vec::new();
    for feature in array(fields.get("features")) {
        // One broken feature does not hide the others.
        items.extend(document(location, feature));
    }
    let place = |value: &Value| link(location, value);
    let text = |name: &str| string(fields.get(name));
    let own = |name: &str| text(name).or_else(|| string(properties.get(name)));
    let first_extent = |kind: &str, field: &str| fields.get("extent")?.get(kind)?.get(field)?.get(0).cloned();
    let bbox = fields.get("bbox").cloned().or_else(|| first_extent("spatial", "bbox"));
    let datetime = match kind {
        Type::Item => item_time(&properties),
        _ => first_extent("temporal", "interval").as_ref().and_then(|i| interval(i.get(0), i.get(1))),
    };
    Ok(Document {
        location: location.clone(),
        kind,
        id: text("id").unwrap_or_default(),
        title: own("title"),
        description: own("description"),
        version: text("stac_version").unwrap_or_default(),
        datetime,
        bbox: array(bbox.as_ref()).iter().filter_map(Value::as_f64).collect(),
        collection: text("collection"),
        license: own("license"),
        providers: array(fields.get("providers").or_else(|| properties.get("providers")))
            .iter()
            .map(provider)
            .collect(),
        links: array(fields.get("links")).iter().map(place).collect(),
        assets: object(fields.get("assets")).iter().map(|(key, value)| asset(location, key, value)).collect(),
        items,
        fault: fault(kind, json),
        properties,
    })
}

/// What a document is; catalogs before 1.0 have no type, `GeoJSON` that is no STAC has no version.
fn type_of(fields: &Map<String, Value>) -> Option<Type> {
    let has_version = fields.get("stac_version").is_some_and(Value::is_string);
    match fields.get("type").and_then(Value::as_str) {
        Some("Catalog") if has_version => Some(Type::Catalog),
        Some("Collection") if has_version => Some(Type::Collection),
        Some("Feature") if has_version => Some(Type::Item),
        Some("FeatureCollection") => {
            let features = array(fields.get("features"));
            (has_version || features.first().is_some_and(|f| f.get("stac_version").is_some())).then_some(Type::Items)
        }
        None if has_version && fields.contains_key("extent") => Some(Type::Collection),
        None if has_version && fields.contains_key("links") => Some(Type::Catalog),
        _ => None,
    }
}

/// What the `stac` crate, which is strict, has against it.
fn fault(kind: Type, json: &Value) -> Option<String> {
    let checked = match kind {
        Type::Catalog => serde_json::from_value::<stac::Catalog>(json.clone()).err(),
        Type::Collection => serde_json::from_value::<stac::Collection>(json.clone()).err(),
        Type::Item => serde_json::from_value::<stac::Item>(json.clone()).err(),
        // Each of its items was asked already.
        Type::Items => None,
    };
    let missing_id =
        || json.get("id").and_then(Value::as_str).is_none_or(str::is_empty).then(|| "it has no id".to_owned());
    checked.map(|err| err.to_string()).or_else(|| if kind == Type::Items { None } else { missing_id() })
}

fn link(base: &Location, value: &Value) -> Link {
    let href = string(value.get("href")).unwrap_or_default();
    Link {
        rel: string(value.get("rel")).unwrap_or_default(),
        title: string(value.get("title")),
        media_type: string(value.get("type")),
        target: target(base, &href),
        href,
    }
}

fn asset(base: &Location, key: &str, value: &Value) -> Asset {
    let href = string(value.get("href")).unwrap_or_default();
    Asset {
        key: key.to_owned(),
        title: string(value.get("title")),
        media_type: string(value.get("type")),
        roles: array(value.get("roles")).iter().filter_map(|r| string(Some(r))).collect(),
        size: value.get("file:size").and_then(Value::as_u64),
        target: target(base, &href),
        href,
    }
}

fn target(base: &Location, href: &str) -> Option<Location> {
    if href.is_empty() || href.starts_with("mailto:") || href.starts_with("data:") {
        return None;
    }
    base.resolve(href).ok()
}

fn provider(value: &Value) -> String {
    let name = string(value.get("name")).unwrap_or_default();
    let roles: Vec<String> = array(value.get("roles")).iter().filter_map(|r| string(Some(r))).collect();
    if roles.is_empty() { name } else { format!("{name} ({})", roles.join(", ")) }
}

fn item_time(properties: &Map<String, Value>) -> Option<String> {
    string(properties.get("datetime"))
        .or_else(|| interval(properties.get("start_datetime"), properties.get("end_datetime")))
}

fn interval(start: Option<&Value>, end: Option<&Value>) -> Option<String> {
    match (string(start), string(end)) {
        (None, None) => None,
        (start, end) => Some(format!("{}/{}", start.as_deref().unwrap_or(".."), end.as_deref().unwrap_or(".."))),
    }
}

fn string(value: Option<&Value>) -> Option<String> {
    value?.as_str().filter(|s| !s.is_empty()).map(str::to_owned)
}

fn array(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn object(value: Option<&Value>) -> Map<String, Value> {
    value.and_then(Value::as_object).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Document> {
        parse(&Location::parse("s3://p@b/cat/a/doc.json").expect("location"), text.as_bytes())
    }

    #[test]
    fn children_are_named_and_typed_by_their_links() {
        let doc = read(
            r#"{"type":"Catalog","stac_version":"1.0.0","id":"a","description":"d","links":[
                {"rel":"item","href":"./i1/i1.json"},
                {"rel":"child","href":"../area/collection.json","title":"An area"},
                {"rel":"child","href":"s3://other/x/catalog.json"},
                {"rel":"child","href":"ftp://no/way.json"},
                {"rel":"self","href":"./doc.json"}]}"#,
        )
        .expect("a catalog");
        let seen: Vec<_> = doc.children().into_iter().map(|c| (c.kind, c.name, c.target.to_string())).collect();
        let expected = [
            (Type::Collection, "area", "s3://p@b/cat/area/collection.json"),
            (Type::Catalog, "x", "s3://other/x/catalog.json"),
            (Type::Item, "i1", "s3://p@b/cat/a/i1/i1.json"),
        ];
        assert_eq!(seen, expected.map(|(k, n, t)| (k, n.to_owned(), t.to_owned())));
        assert_eq!(doc.fault, None);
    }

    #[test]
    fn a_broken_item_is_shown_as_far_as_it_goes_and_its_fault_is_told() {
        let doc = read(
            r#"{"type":"Feature","stac_version":"1.0.0","id":7,"bbox":[1,"x",3],"geometry":5,
                "properties":{"datetime":"yesterday"},"assets":{"a":{"href":"../x.tif","file:size":12},"b":3}}"#,
        )
        .expect("an item");
        assert_eq!(doc.datetime.as_deref(), Some("yesterday"));
        assert_eq!(doc.assets.len(), 2);
        assert_eq!(doc.assets[0].target.as_ref().map(ToString::to_string).as_deref(), Some("s3://p@b/cat/x.tif"));
        assert!(doc.fault.is_some());
    }

    #[test]
    fn what_is_no_stac_says_so() {
        for text in
            ["", "[]", "{}", "{\"type\":\"Feature\"}", "{\"type\":\"FeatureCollection\",\"features\":[]}", "\u{1b}"]
        {
            let err = read(text).expect_err(text);
            assert!(err.to_string().starts_with("not a STAC document"), "{err}");
        }
    }
}
