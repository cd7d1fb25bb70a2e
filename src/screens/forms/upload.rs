//! The form for uploading files and folders.

use super::{FormScreen, IF_EXISTS, Plan, address, local};
use crate::job::JobSpec;
use crate::location::{Location, Scheme};
use crate::screen::Cx;
use crate::store::CANNED_ACLS;
use crate::text;
use crate::transfer::Checksum;
use crate::widgets::form::{Column, Field, Form, Kind, Paths, Rows};
use serde_json::{Map, Value, json};

/// Storage classes of S3; the first stands for what the bucket does by itself.
const CLASSES: [&str; 8] = [
    "as the bucket has it",
    "STANDARD",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
];

/// How the server encrypts; the first stands for what the bucket does by itself.
const ENCRYPTIONS: [&str; 3] = ["as the bucket has it", "AES256", "aws:kms"];

/// What is shown only when it is asked for.
const MORE: [&str; 4] = ["checksum", "encryption", "kms", "acl"];

/// Most that S3 keeps of metadata, keys and values together, in bytes.
const METADATA_LIMIT: usize = 2048;
/// Most tags of an object.
const TAG_LIMIT: usize = 10;

/// What is uploaded, and where to.
pub struct UploadPlan {
    /// Templates of metadata: a name and its rows.
    templates: Vec<(String, Vec<Vec<String>>)>,
    /// The template whose rows are in the form.
    applied: usize,
    missing: Vec<(String, String)>,
}

impl UploadPlan {
    /// The form for uploading to `destination`.
    pub fn screen(destination: &Location, cx: &Cx) -> FormScreen<Self> {
        let templates: Vec<(String, Vec<Vec<String>>)> = cx
            .config
            .metadata_templates
            .iter()
            .map(|(name, rows)| (name.clone(), rows.iter().map(|(k, v)| vec![k.clone(), v.clone()]).collect()))
            .collect();
        let names = std::iter::once("none".to_owned()).chain(templates.iter().map(|(name, _)| name.clone()));
        let pairs = || Rows::new(vec![Column::text("key"), Column::text("value").weight(3)]);
        let fields = vec![
            Field::paths("files", "files", Paths::new("", true))
                .help("Letters find names, ↓ ↑ point, Enter opens a folder or takes a file, Ctrl-A takes a whole folder, Ctrl-X drops the last one"),
            Field::text("destination", "destination", &destination.to_string(), "s3://bucket/prefix/")
                .help("A prefix that ends in /, or the key of a single file"),
            Field::text("type", "content type", "", "guessed from each name")
                .help("What the server says the file is; empty: guessed from the suffix"),
            Field::choice("template", "template", names).help("Rows of metadata from the configuration; ← → choose"),
            Field::rows("metadata", "metadata", pairs())
                .help("Kept with each object; Enter behind the last cell adds a row, Ctrl-X removes one"),
            Field::rows("tags", "tags", pairs()).help("Tags of each object, at most 10"),
            Field::choice("class", "storage class", CLASSES).help("Where the server keeps it; ← → choose"),
            Field::choice("exists", "if it exists", IF_EXISTS)
                .help("fail: write nothing over; rename: x (1).tif; ask: a question, with an answer for all; ← → choose"),
            Field::toggle("more", "more", false, "checksum, encryption, access").help("Space shows or hides them"),
            Field::choice("checksum", "checksum", Checksum::ALL.map(Checksum::as_str))
                .help("How what arrives is proved; auto: CRC-32C where the server keeps it, else MD5, else it is read again"),
            Field::choice("encryption", "encryption", ENCRYPTIONS).help("How the server encrypts it; ← → choose"),
            Field::text("kms", "key id", "", "the key of the bucket").help("Of the key service, for aws:kms"),
            Field::choice("acl", "access", std::iter::once("as the bucket has it").chain(CANNED_ACLS))
                .help("Who may read it, by a canned access control list; ← → choose"),
        ];
        let plan = Self { templates, applied: 0, missing: Vec::new() };
        let mut form = Form::new("Upload", fields);
        MORE.into_iter().for_each(|id| form.show(id, false));
        FormScreen::new(plan, form, cx)
    }

    /// Swaps the rows of the former template for those of the chosen one.
    fn apply_template(&mut self, form: &mut Form) {
        let chosen = form.choice("template");
        if chosen == self.applied {
            return;
        }
        let rows_of = |i: usize| i.checked_sub(1).and_then(|i| self.templates.get(i)).map(|t| t.1.clone());
        let (old, new) = (rows_of(self.applied).unwrap_or_default(), rows_of(chosen).unwrap_or_default());
        if let Some(Kind::Rows(rows)) = form.field_mut("metadata").map(|f| &mut f.kind) {
            for row in &old {
                rows.remove_equal(row);
            }
            let there = rows.filled();
            new.into_iter().filter(|row| !there.contains(row)).for_each(|row| rows.push(row));
        }
        self.applied = chosen;
    }
}

impl Plan for UploadPlan {
    fn title(&self, form: &Form) -> String {
        format!("upload to {}", form.text("destination"))
    }

    fn follow(&mut self, form: &mut Form) {
        self.apply_template(form);
        let more = form.is_on("more");
        MORE.into_iter().for_each(|id| form.show(id, more));
        form.show("kms", more && form.choice("encryption") == 2);
        let local = Location::parse(form.text("destination")).is_ok_and(|l| l.scheme() == Scheme::File);
        form.set_note("metadata", local.then(|| "a local folder keeps no metadata, tags or classes".to_owned()));
    }

    fn spec(&self, form: &mut Form) -> Option<JobSpec> {
        let files = form.paths("files");
        if files.is_empty() {
            form.set_error("files", "choose at least one file or folder");
        }
        if let Some((path, why)) = self.missing.iter().find(|(path, _)| files.contains(path)) {
            form.set_error("files", format!("{path}: {why}"));
        }
        let destination = address(form, "destination");
        if let Some(to) = &destination {
            if to.is_account() {
                form.set_error("destination", "name a bucket: s3://bucket/prefix/");
            } else if files.len() > 1 && !to.is_container() {
                form.set_error("destination", "several files need a prefix, which ends in /");
            } else if matches!(to.scheme(), Scheme::Http | Scheme::Https) {
                form.set_error("destination", "nothing can be uploaded to a web address");
            }
        }
        let metadata = pairs(form, "metadata", check_metadata);
        let tags = pairs(form, "tags", |rows| {
            (rows.len() > TAG_LIMIT).then(|| format!("{} tags; an object has at most {TAG_LIMIT}", rows.len()))
        });
        let kind = form.text("type").trim().to_owned();
        if !kind.is_empty() && !kind.contains('/') {
            form.set_error("type", "a content type has a slash: image/tiff");
        }
        if form.focus_error() {
            return None;
        }
        let class = form.choice("class");
        let text_or_null = |text: &str| if text.is_empty() { Value::Null } else { json!(text) };
        let unless_first = |id: &str| if form.choice(id) == 0 { Value::Null } else { json!(form.text(id)) };
        let kms = if form.choice("encryption") == 2 { form.text("kms").trim() } else { "" };
        let sources: Vec<Value> = files.iter().map(|f| json!({ "path": local::to_path(f) })).collect();
        Some(JobSpec {
            kind: "upload".to_owned(),
            params: json!({
                "files": sources,
                "destination": destination?,
                "meta": {
                    "content_type": text_or_null(&kind),
                    "metadata": metadata,
                    "tags": tags,
                    "storage_class": if class == 0 { Value::Null } else { json!(CLASSES[class]) },
                    "encryption": unless_first("encryption"),
                    "encryption_key": text_or_null(kms),
                    "acl": unless_first("acl"),
                },
                "if_exists": form.text("exists"),
                "checksum": form.text("checksum"),
            }),
        })
    }

    fn local_field(&self) -> Option<&'static str> {
        Some("files")
    }

    fn local_facts(&mut self, form: &mut Form, facts: &local::Facts) {
        self.missing.clone_from(&facts.missing);
        let (files, bytes) = (text::count(facts.files), text::bytes(facts.bytes));
        let s = if facts.files == 1 { "" } else { "s" };
        let least = if facts.more { "more than " } else { "" };
        let mut words = if facts.files > 0 { format!("{least}{files} file{s}, {bytes}") } else { String::new() };
        if facts.open {
            words = if words.is_empty() { "the whole folder".to_owned() } else { format!("{words}, and the folder") };
        }
        // What is half typed is not there either: that is said once the focus has gone on.
        if let Some((path, why)) = facts.missing.first().filter(|_| form.focused_id() != Some("files")) {
            words = format!("{path}: {why}");
        }
        let guess = facts.first_file.as_deref().and_then(|path| {
            let name = path.rsplit('/').next()?;
            Some(format!("guessed for {name}: {}", crate::transfer::content_type(name)?))
        });
        form.set_note("type", guess.filter(|_| form.text("type").is_empty()));
        form.set_note("files", (!words.is_empty()).then_some(words));
    }
}

/// Rows of key and value as an object; `check` says what is wrong with all of them.
fn pairs(form: &mut Form, id: &'static str, check: impl Fn(&[Vec<String>]) -> Option<String>) -> Value {
    let rows = form.rows(id);
    let mut object = Map::new();
    let mut wrong = check(&rows);
    for row in &rows {
        let (key, value) = (row.first().cloned().unwrap_or_default(), row.get(1).cloned().unwrap_or_default());
        if key.is_empty() {
            wrong = Some(format!("the value `{value}` has no key"));
        } else if object.insert(key.clone(), Value::String(value)).is_some() {
            wrong = Some(format!("`{key}` stands there twice"));
        }
    }
    if let Some(wrong) = wrong {
        form.set_error(id, wrong);
    }
    Value::Object(object)
}

/// What S3 takes as metadata: keys are tokens of RFC 9110, values printable ASCII.
fn check_metadata(rows: &[Vec<String>]) -> Option<String> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    for row in rows {
        if let Some(key) = row.first().filter(|k| !k.chars().all(is_token)) {
            return Some(format!("`{key}` is no key: letters, digits, dots, dashes and underscores are"));
        }
        if let Some(value) = row.get(1).filter(|v| !v.chars().all(|c| (' '..='~').contains(&c))) {
            return Some(format!("`{value}` cannot be sent: values are printable ASCII"));
        }
    }
    let size: usize = rows.iter().flatten().map(String::len).sum();
    (size > METADATA_LIMIT).then(|| format!("{size} bytes; an object has at most {METADATA_LIMIT} of metadata"))
}
