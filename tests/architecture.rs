//! The invariants of `lib.rs` that are about what is absent, asserted on the sources: imports go
//! down the floors, nothing goes in circles, and some names stay in their place.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

/// The floors from the ground up. A module may import those below it and nothing else of ours; those on
/// one floor do not import each other, except where [`WITHIN`] says so.
const FLOORS: [&[&str]; 29] = [
    &["text", "picture", "facts", "calendar"],
    &["quantity"],
    &["error"],
    &["location"],
    &["entry", "meter", "probe"],
    &["listing", "glob"],
    &["basket"],
    &["task"],
    &["action", "theme", "terminal"],
    &["widgets"],
    &["config"],
    &["keymap"],
    &["store"],
    &["raster", "catalog", "snippet"],
    &["scene"],
    &["zarr"],
    &["source", "du"],
    &["sources"],
    &["table"],
    &["tables"],
    &["preview"],
    &["previews"],
    &["transfer", "convert", "query", "bench", "demo", "map"],
    &["job", "jobs"],
    &["screen"],
    &["look"],
    &["screens"],
    &["app"],
    &["cli", "main", "lib"],
];

/// Pairs on one floor that may import each other's contract: the folder knows its contract.
const WITHIN: [(&str, &str); 2] = [("jobs", "job"), ("main", "cli")];

/// Names, and the only places that may say them.
const PLACES: [(&str, &[&str], &str); 8] = [
    ("AmazonS3Builder", &["store"], "clouds are opened by the store alone"),
    ("GoogleCloudStorageBuilder", &["store"], "clouds are opened by the store alone"),
    ("MicrosoftAzureBuilder", &["store"], "clouds are opened by the store alone"),
    ("HttpBuilder", &["store"], "clouds are opened by the store alone"),
    ("aws_", &["store/"], "the AWS SDK is the store's control plane and credentials"),
    // The tables in `mod.rs` name a module of ours that is called so.
    ("stac::", &["catalog", "sources/", "previews/stac", "previews/mod", "demo"], "catalogs are read in few places"),
    ("KeyEvent", &["keymap", "app", "terminal/", "widgets/input"], "screens know actions, not keys"),
    ("KeyCode", &["keymap", "app", "terminal/", "widgets/input"], "screens know actions, not keys"),
];

/// Names, and the places that must not say them.
const KEPT_OUT: [(&str, &[&str], &str); 3] = [
    ("gdal", &["screens/", "screen.rs", "widgets/", "app", "terminal"], "what draws does not read data"),
    ("gdal_sys", &["screens/", "screen.rs", "widgets/", "app", "terminal"], "what draws does not read data"),
    ("zarrs", &["screens/", "screen.rs", "widgets/", "app", "terminal"], "what draws does not read data"),
];

/// The one place for `unsafe`: what GDAL calls, and what is called beside it.
const UNSAFE: &str = "store/gdal";
/// Statics that are allowed: `(file, name)`, each with its reason beside it.
const STATICS: [(&str, &str); 2] = [
    // GDAL's table of file systems is one for the process, and what it calls back knows no state of ours.
    ("store/gdal.rs", "REGISTRY"),
    // A library is loaded once for the process, by functions that are called without any state.
    ("store/gdal/library.rs", "LIBRARY"),
];
/// Longest file. About 500 lines is the aim.
const LONGEST: usize = 700;

/// Sources by their path below `src/`: `terminal/caps.rs`.
type Sources = BTreeMap<String, String>;

/// `text` without comments and without what stands in quotes, line by line as before.
fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    while i < chars.len() {
        let word_before = i > 0 && (at(i - 1).is_alphanumeric() || at(i - 1) == '_');
        let end = match at(i) {
            '/' if at(i + 1) == '/' => (i..chars.len()).find(|&k| at(k) == '\n').unwrap_or(chars.len()),
            '/' if at(i + 1) == '*' => block_comment(&chars, i),
            'r' if !word_before || at(i.wrapping_sub(1)) == 'b' => raw_string(&chars, i).unwrap_or(i),
            '"' => quoted(&chars, i, '"'),
            // A character, not a lifetime.
            '\'' if at(i + 1) == '\\' || at(i + 2) == '\'' => quoted(&chars, i, '\''),
            _ => i,
        };
        if end == i {
            out.push(at(i));
            i += 1;
        } else {
            out.push(' ');
            out.extend(chars[i..end].iter().filter(|c| **c == '\n'));
            i = end;
        }
    }
    out
}

fn block_comment(chars: &[char], start: usize) -> usize {
    let (mut depth, mut i) = (0, start);
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('/', '*') => (depth, i) = (depth + 1, i + 2),
            ('*', '/') => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            return i;
        }
    }
    chars.len()
}

fn raw_string(chars: &[char], start: usize) -> Option<usize> {
    let hashes = chars[start + 1..].iter().take_while(|c| **c == '#').count();
    let open = start + 1 + hashes;
    (chars.get(open) == Some(&'"')).then_some(())?;
    let close = |k: usize| chars[k] == '"' && chars[k + 1..].iter().take_while(|c| **c == '#').count() >= hashes;
    Some((open + 1..chars.len()).find(|&k| close(k)).map_or(chars.len(), |k| k + 1 + hashes))
}

fn quoted(chars: &[char], start: usize, quote: char) -> usize {
    let mut i = start + 1;
    while i < chars.len() && chars[i] != quote {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    (i + 1).min(chars.len())
}

/// The code of a file without its unit tests: a test may know more than what it tests.
fn without_tests(code: &str) -> &str {
    code.split("#[cfg(test)]").next().unwrap_or(code)
}

/// The module of the ground plan that a file belongs to: `terminal/caps.rs` is `terminal`.
fn module(path: &str) -> &str {
    path.split(['/', '.']).next().unwrap_or(path)
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|f| f.contains(&module))
}

/// The modules that this code names from the crate's root: `crate::…`, also in `use crate::{a, b::c}`,
/// `secchi::…` in the binary, and `super::` as often as the file lies deep.
fn imports(path: &str, code: &str) -> BTreeSet<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut out = BTreeSet::new();
    let depth = path.trim_end_matches("/mod.rs").split('/').count();
    let up = "super::".repeat(depth);
    for root in ["crate::", "secchi::", &up] {
        for (at, _) in code.match_indices(root) {
            if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$' || c == ':') {
                continue;
            }
            let rest = code[at + root.len()..].trim_start();
            match rest.strip_prefix('{') {
                None => drop(out.insert(word(rest))),
                Some(group) => out.extend(heads(group).map(word)),
            }
        }
    }
    out.retain(|name| name != "super" && name.starts_with(|c: char| c.is_lowercase()));
    out
}

/// The first words of what a group of imports lists: `a::{b, c}, d}` gives `a` and `d`.
fn heads(group: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    group
        .split_inclusive([',', '{', '}'])
        .map_while(move |part| {
            let is_head = depth == 0;
            depth += i32::from(part.ends_with('{')) - i32::from(part.ends_with('}'));
            (is_head || depth >= 0).then_some(if is_head { part.trim_start() } else { "" })
        })
        .filter(|part| !part.is_empty())
}

/// Whether `name` stands in the code as a word; a name that ends in `_` or `::` is a prefix.
fn says(code: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + name.len()..].chars().next();
        // `catalog::stac::x` is a module of ours, `stac::x` the crate; `x.stac` is a field.
        !before.is_some_and(|c| is_word(c) || c == '.' || (c == ':' && !code[..at].ends_with("= ::")))
            && (name.ends_with(['_', ':']) || !after.is_some_and(is_word))
    })
}

fn lives_in(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| path.starts_with(place))
}

/// Everything that is wrong with the sources, a line each.
fn check(sources: &Sources) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in sources {
        let whole = code(text);
        let code = without_tests(&whole);
        let own = module(path);
        let Some(own_floor) = floor(own) else {
            wrong.push(format!("{path}: `{own}` has no floor: give it one in FLOORS"));
            continue;
        };
        for import in imports(path, code) {
            if import == own {
                continue;
            }
            // A function or type of `lib.rs` is not a module.
            let Some(below) = floor(&import) else {
                wrong.push(format!("{path}: `crate::{import}` has no floor: give it one in FLOORS"));
                continue;
            };
            let contract = WITHIN.contains(&(own, import.as_str()));
            if below > own_floor || (below == own_floor && !contract && own != "main") {
                wrong.push(format!("{path}: `crate::{import}` is not below `{own}`"));
            }
            edges.entry(own.to_owned()).or_default().insert(import);
        }
        names(path, &whole, &mut wrong);
        siblings(path, code, &mut wrong);
        let lines = text.lines().count();
        if lines > LONGEST {
            wrong.push(format!("{path}: {lines} lines: no file is longer than {LONGEST}"));
        }
    }
    if let Some(circle) = circle(&edges) {
        wrong.push(format!("imports go in a circle: {}", circle.join(" -> ")));
    }
    wrong
}

fn names(path: &str, code: &str, wrong: &mut Vec<String>) {
    for (name, places, why) in PLACES {
        if !lives_in(path, places) && says(code, name) {
            wrong.push(format!("{path}: `{name}` belongs to {}: {why}", places.join(", ")));
        }
    }
    for (name, places, why) in KEPT_OUT {
        if lives_in(path, places) && says(code, name) {
            wrong.push(format!("{path}: `{name}` does not belong here: {why}"));
        }
    }
    if !path.starts_with(UNSAFE) && says(code, "unsafe") {
        wrong.push(format!("{path}: `unsafe` only in {UNSAFE}"));
    }
    for line in code.lines() {
        let item = line
            .trim_start()
            .trim_start_matches("pub(crate) ")
            .trim_start_matches("pub(super) ")
            .trim_start_matches("pub ");
        if let Some(name) = item.strip_prefix("static ") {
            let name = name.trim_start_matches("mut ").split(':').next().unwrap_or_default().trim();
            if !STATICS.contains(&(path, name)) {
                wrong.push(format!("{path}: `static {name}`: no statics but constants"));
            }
        }
        if line.contains("thread_local!") {
            wrong.push(format!("{path}: `thread_local!`: no statics but constants"));
        }
    }
}

/// Files in a plural folder are listed by its `mod.rs` and do not know each other; screens open each
/// other through their contract, and popups through their table.
fn siblings(path: &str, code: &str, wrong: &mut Vec<String>) {
    let Some((folder, file)) = path.split_once('/') else { return };
    if !["sources", "tables", "previews", "jobs"].contains(&folder) || file == "mod.rs" {
        return;
    }
    let own = file.split(['/', '.']).next().unwrap_or_default();
    let prefix = format!("crate::{folder}::");
    for (at, _) in code.match_indices(&prefix) {
        let name: String = code[at + prefix.len()..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let is_module = name.starts_with(|c: char| c.is_lowercase());
        // A lower-case name that is called is a function of the table in `mod.rs`.
        let rest = &code[at + prefix.len() + name.len()..];
        if is_module && name != own && rest.starts_with("::") {
            wrong.push(format!("{path}: siblings do not import each other: `{prefix}{name}`"));
        }
    }
}

/// A circle of modules, if there is one. A contract and its folder count as one.
fn circle(edges: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn visit(
        at: &str,
        edges: &BTreeMap<String, BTreeSet<String>>,
        path: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> Option<Vec<String>> {
        if let Some(start) = path.iter().position(|p| p == at) {
            let mut circle = path[start..].to_vec();
            circle.push(at.to_owned());
            return Some(circle);
        }
        if !done.insert(at.to_owned()) {
            return None;
        }
        path.push(at.to_owned());
        let found = edges.get(at).into_iter().flatten().find_map(|next| visit(next, edges, path, done));
        path.pop();
        found
    }
    let mut done = BTreeSet::new();
    edges.keys().find_map(|start| visit(start, edges, &mut Vec::new(), &mut done))
}

/// How often each of `names` is in a `Cargo.lock`.
fn versions<'a>(lock: &str, names: &[&'a str]) -> BTreeMap<&'a str, usize> {
    names.iter().map(|n| (*n, lock.lines().filter(|l| *l == format!("name = \"{n}\"")).count())).collect()
}

fn read(folder: &Path, below: &str, out: &mut Sources) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|n| n.to_str()).expect("a name").to_owned();
        if path.is_dir() {
            read(&path, &format!("{below}{name}/"), out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.insert(format!("{below}{name}"), std::fs::read_to_string(&path).expect("a source"));
        }
    }
}

#[test]
fn the_house_stands_as_planned() {
    let mut sources = Sources::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut sources);
    assert!(sources.len() > 15, "the sources were found");
    let wrong = check(&sources);
    let mut report = String::new();
    for line in &wrong {
        writeln!(report, "  {line}").expect("to a string");
    }
    assert!(wrong.is_empty(), "{} things are not in their place:\n{report}", wrong.len());
}

#[test]
fn one_arrow_one_parquet_one_object_store() {
    let lock = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).expect("Cargo.lock");
    for (name, count) in
        versions(&lock, &["arrow", "arrow-array", "arrow-schema", "parquet", "object_store", "ratatui"])
    {
        assert_eq!(count, 1, "versions of {name}: two of them do not understand each other's types");
    }
    let two = "[[package]]\nname = \"arrow\"\nversion = \"1\"\n[[package]]\nname = \"arrow\"\n[[package]]\nname = \"arrow-ord\"\n";
    assert_eq!(versions(two, &["arrow"])["arrow"], 2);
}

fn bad(files: &[(&str, &str)]) -> Vec<String> {
    check(&files.iter().map(|(p, t)| ((*p).to_owned(), (*t).to_owned())).collect())
}

#[test]
fn an_import_that_goes_up_is_found_however_it_is_written() {
    for text in [
        "use crate::screens::browse;",
        "use crate::{error::{Error, Result}, app::App};",
        "fn f() { crate::app::run() }",
        "use crate::{\n    app,\n};",
    ] {
        let wrong = bad(&[("store/s3.rs", text)]);
        assert_eq!(wrong.len(), 1, "{text}: {wrong:?}");
        assert!(wrong[0].contains("is not below `store`"), "{wrong:?}");
    }
    assert_eq!(bad(&[("store/s3.rs", "use super::super::app::App;")]).len(), 1);
    assert_eq!(bad(&[("store.rs", "use super::app::App;"), ("store/s3.rs", "use super::app;")]).len(), 1);
    assert!(
        bad(&[("store/s3.rs", "use crate::error::Error; // crate::app\nconst A: &str = \"crate::app\";")]).is_empty()
    );
    assert!(bad(&[("store.rs", "fn f() {}\n#[cfg(test)]\nmod tests { use crate::app::App; }")]).is_empty());
    assert!(bad(&[("theme.rs", "use crate::terminal::Caps;")])[0].contains("not below"), "on the same floor");
    assert!(bad(&[("jobs/upload.rs", "use crate::job::Job;")]).is_empty(), "a folder knows its contract");
    assert!(bad(&[("cellar.rs", "")])[0].contains("has no floor"));
}

#[test]
fn a_circle_is_found() {
    let wrong = bad(&[("job.rs", "use crate::jobs::table;"), ("jobs/mod.rs", "use crate::job::Job;")]);
    assert!(wrong.iter().any(|w| w.contains("circle: job -> jobs -> job")), "{wrong:?}");
}

#[test]
fn names_outside_their_place_are_found() {
    let cases = [
        ("jobs/upload.rs", "let b = AmazonS3Builder::new();"),
        ("store.rs", "use aws_sdk_s3::Client;"),
        ("screens/stac.rs", "use stac::Item;"),
        ("screens/browse.rs", "use gdal::Dataset;"),
        ("widgets/chart.rs", "use zarrs::array::Array;"),
        ("screens/form.rs", "fn key(k: KeyEvent) {}"),
        ("store/s3.rs", "unsafe { x() }"),
        ("task.rs", "pub(crate) static COUNT: AtomicU64 = AtomicU64::new(0);"),
        ("task.rs", "thread_local! { static X: u8 = 1; }"),
        ("previews/zarr.rs", "use crate::previews::cog::look;"),
    ];
    for (path, text) in cases {
        assert_eq!(bad(&[(path, text)]).len(), 1, "{path}: {text}: {:?}", bad(&[(path, text)]));
    }
    let fine = [
        ("store/sdk.rs", "use aws_sdk_s3::Client;"),
        ("store/gdal.rs", "unsafe { x() }"),
        ("sources/stac_static.rs", "use stac::Item;"),
        ("screens/browse.rs", "/* gdal */ fn f<'a>(x: &'a str) -> &'static str { \"unsafe gdal\" } // zarrs"),
        ("screens/browse.rs", "let q = '\"'; let r = r#\"gdal \"quoted\" unsafe\"#; let path = entry.stac;"),
        ("task.rs", "const X: &'static str = \"static A\";"),
        ("previews/mod.rs", "use crate::previews::cog;"),
    ];
    for (path, text) in fine {
        assert_eq!(bad(&[(path, text)]), Vec::<String>::new(), "{path}: {text}");
    }
}

#[test]
fn a_file_that_grew_too_long_is_found() {
    assert!(bad(&[("text.rs", &"\n".repeat(LONGEST + 1))])[0].contains("701 lines"));
    assert!(bad(&[("text.rs", &"\n".repeat(LONGEST))]).is_empty());
}
