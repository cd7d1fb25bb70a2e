//! STAC documents as a tree: what it is, where and when, its properties, assets, links.

use crate::catalog::{self, Document};
use crate::preview::{Ask, Facts, Node, Preview, Previewer, Probe, Tree};
use crate::text;
use serde_json::Value;

/// JSON whose first bytes name the version of STAC it follows. By name it cannot be told from any
/// other JSON.
pub(super) const PREVIEWER: Previewer = Previewer {
    name: "stac",
    matches,
    load: |stores, ask: Ask| {
        Box::pin(async move {
            let location = &ask.probe.location;
            let document = match whole(&ask.probe) {
                Some(bytes) => catalog::parse(location, bytes)?,
                None => catalog::fetch(&stores, location, &ask.control.meter).await?,
            };
            Ok(Preview::Tree(tree(&document)))
        })
    },
};

/// Characters of a value that are shown.
const VALUE: usize = 400;
/// Links of one relation that are shown.
const LINKS: usize = 200;

fn matches(probe: &Probe) -> bool {
    let Some(head) = &probe.head else { return false };
    let start = head.trim_ascii_start();
    start.starts_with(b"{") && head.windows(14).any(|w| w == b"\"stac_version\"")
}

/// The first bytes, where they are all.
fn whole(probe: &Probe) -> Option<&[u8]> {
    let head = probe.head.as_ref()?;
    (probe.size == Some(head.len() as u64)).then_some(head)
}

fn tree(document: &Document) -> Tree {
    let mut nodes = Vec::new();
    if !document.properties.is_empty() {
        nodes.push(node(0, "properties", &text::count(document.properties.len() as u64)));
        for (name, value) in &document.properties {
            unfold(&mut nodes, 1, name, value);
        }
    }
    assets(&mut nodes, document);
    links(&mut nodes, document);
    if !document.items.is_empty() {
        nodes.push(node(0, "items", &text::count(document.items.len() as u64)));
        for item in &document.items {
            nodes.push(node(1, &item.id, item.datetime.as_deref().unwrap_or_default()));
        }
    }
    Tree { facts: facts(document), nodes }
}

fn facts(document: &Document) -> Facts {
    let name = document.title.as_deref().unwrap_or(&document.id);
    let mut rows = vec![("type".to_owned(), format!("{}, STAC {}", document.kind.as_str(), document.version))];
    let mut fact = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|v| !v.is_empty()) {
            rows.push((name.to_owned(), short(&value)));
        }
    };
    fact("id", Some(document.id.clone()));
    fact("title", document.title.clone());
    fact("description", document.description.clone());
    fact("datetime", document.datetime.clone());
    fact("bbox", Some(document.bbox.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")));
    fact("collection", document.collection.clone());
    fact("license", document.license.clone());
    fact("providers", Some(document.providers.join("; ")));
    fact("not as specified", document.fault.clone());
    Facts { title: format!("STAC {} {name}", document.kind.as_str()), rows }
}

fn assets(nodes: &mut Vec<Node>, document: &Document) {
    if document.assets.is_empty() {
        return;
    }
    nodes.push(node(0, "assets", &text::count(document.assets.len() as u64)));
    for asset in &document.assets {
        let size = asset.size.map(text::bytes);
        let roles = (!asset.roles.is_empty()).then(|| asset.roles.join(", "));
        let parts = [size, asset.media_type.clone(), roles, asset.title.clone()];
        let detail = parts.into_iter().flatten().collect::<Vec<_>>().join(" · ");
        nodes.push(Node { target: asset.target.clone(), ..node(1, &asset.key, &detail) });
    }
}

/// Links by what they are; of a thousand items only some.
fn links(nodes: &mut Vec<Node>, document: &Document) {
    if document.links.is_empty() {
        return;
    }
    nodes.push(node(0, "links", &text::count(document.links.len() as u64)));
    let mut seen = std::collections::HashMap::<&str, usize>::new();
    for link in &document.links {
        let count = seen.entry(&link.rel).or_default();
        *count += 1;
        if *count > LINKS {
            continue;
        }
        let detail = match &link.title {
            Some(title) => format!("{title} · {}", link.href),
            None => link.href.clone(),
        };
        nodes.push(Node { target: link.target.clone(), ..node(1, &link.rel, &detail) });
    }
    let hidden: usize = seen.values().map(|n| n.saturating_sub(LINKS)).sum();
    if hidden > 0 {
        nodes.push(node(1, "…", &format!("and {} more", text::count(hidden as u64))));
    }
}

/// A value: objects one line a field, down to a few levels; the rest in one line.
fn unfold(nodes: &mut Vec<Node>, depth: u16, name: &str, value: &Value) {
    match value {
        Value::Object(fields) if depth < 4 && !fields.is_empty() => {
            nodes.push(node(depth, name, ""));
            for (name, value) in fields {
                unfold(nodes, depth + 1, name, value);
            }
        }
        Value::String(text) => nodes.push(node(depth, name, text)),
        other => nodes.push(node(depth, name, &other.to_string())),
    }
}

fn node(depth: u16, name: &str, detail: &str) -> Node {
    Node { depth, name: name.to_owned(), detail: short(detail), target: None }
}

/// One line of bounded length.
fn short(value: &str) -> String {
    let line = value.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= VALUE { line } else { line.chars().take(VALUE).chain(['…']).collect() }
}
