//! The form for adding and editing a place. It writes two small files: `config.toml`, which holds no
//! secret, and, where keys were typed, `~/.aws/credentials`.

use crate::action::Action;
use crate::config::{self, Addressing, Config, NewKeys, Place};
use crate::error::{Error, Kind, Result};
use crate::location::{Location, Scheme};
use crate::screen::{Cx, Flow, PlaceDraft, Screen, popup};
use crate::store::{Origin, credentials};
use crate::widgets::form::{Entered, Field, Form};
use crate::widgets::input::Edit;
use ratatui::Frame;
use ratatui::layout::Rect;
use std::path::{Path, PathBuf};

/// How one gets in, in the order of the form's choice.
const ACCESS: [&str; 4] = ["type keys", "a profile", "environment", "no keys"];
const TYPED: usize = 0;
const PROFILE: usize = 1;
const ENVIRONMENT: usize = 2;
const ANONYMOUS: usize = 3;

/// What may be written, in the order of the form's choice.
const LOCK: [&str; 3] = ["locked", "locked for commands too", "allowed"];

/// The screen.
pub(in crate::screens) struct PlaceForm {
    draft: PlaceDraft,
    /// Decides which fields there are.
    scheme: Scheme,
    form: Form,
    /// Names of profiles that hold credentials.
    profiles: Vec<String>,
    /// Where keys are written; `None` without a home folder.
    credentials: Option<PathBuf>,
    home: Option<PathBuf>,
    /// Esc was pressed once on a form with something in it.
    leaving: bool,
    height: u16,
}

impl PlaceForm {
    pub(in crate::screens) fn open(draft: PlaceDraft, cx: &Cx) -> Self {
        let scheme = draft.place.scheme();
        let has_keys = |p: &crate::store::Profile| matches!(p.origin, Origin::Aws | Origin::S3cfg);
        let profiles: Vec<String> = credentials::profiles_in(&cx.stores.options().environment)
            .into_iter()
            .filter(|p| has_keys(p) && p.credentials != "none")
            .map(|p| p.name)
            .collect();
        let credentials = credentials::credentials_file(&cx.stores.options().environment);
        let home = cx.stores.options().environment.home();
        let submit = if draft.former.is_some() { "Save and check" } else { "Add and check" };
        let form = Form::new(submit, fields(&draft, scheme, &profiles));
        let mut screen = Self { draft, scheme, form, profiles, credentials, home, leaving: false, height: 0 };
        screen.fill();
        screen.follow();
        screen
    }

    /// Chooses what the place has.
    fn fill(&mut self) {
        let place = &self.draft.place;
        let profile = place.profile.clone().unwrap_or_else(|| self.draft.name.clone());
        let at = self.profiles.iter().position(|p| *p == profile);
        let is_new = self.draft.former.is_none();
        if self.scheme == Scheme::S3 {
            let access = match at {
                _ if place.anonymous => ANONYMOUS,
                Some(_) => PROFILE,
                None if is_new => TYPED,
                None => ENVIRONMENT,
            };
            self.form.set_choice("access", access);
        } else {
            self.form.set_choice("access", usize::from(place.anonymous));
        }
        self.form.set_choice("profile", at.unwrap_or(0));
        self.form.set_choice(
            "addressing",
            match place.addressing {
                None => 0,
                Some(Addressing::Path) => 1,
                Some(Addressing::Virtual) => 2,
            },
        );
        self.form.set_choice(
            "lock",
            match place.read_only {
                None => 0,
                Some(true) => 1,
                Some(false) => 2,
            },
        );
        if !self.draft.needs.is_empty() {
            self.form.set_note("name", Some(format!("needs {}", self.draft.needs)));
        }
    }

    fn is_s3(&self) -> bool {
        self.scheme == Scheme::S3
    }

    /// Shows what matters, and says what will be written.
    fn follow(&mut self) {
        if !self.is_s3() {
            return;
        }
        let access = self.form.choice("access");
        for id in ["key", "secret", "token"] {
            self.form.show(id, access == TYPED);
        }
        self.form.show("profile", access == PROFILE && !self.profiles.is_empty());
        let name = self.form.text("name").trim().to_owned();
        let note = match access {
            TYPED => {
                let file = self
                    .credentials
                    .as_ref()
                    .map_or_else(|| "~/.aws/credentials".into(), |f| short(f, self.home.as_deref()));
                let verb = if self.replaces(&name) { "replace those of" } else { "are added as" };
                Some(format!("the keys {verb} the profile `{name}` in {file} (mode 600); nowhere else"))
            }
            PROFILE if self.profiles.is_empty() => Some("there are no profiles with keys in ~/.aws or ~/.s3cfg".into()),
            ENVIRONMENT => Some("AWS_ACCESS_KEY_ID and its like, else the default profile".into()),
            ANONYMOUS => Some("public data: requests are sent unsigned".into()),
            _ => None,
        };
        self.form.set_note("access", note);
    }

    /// Whether typed keys go into a profile that this place uses already.
    fn replaces(&self, name: &str) -> bool {
        self.draft.former.as_deref() == Some(name)
            && self.draft.place.profile.as_deref().is_none_or(|p| p == name)
            && self.profiles.iter().any(|p| p == name)
    }

    fn trimmed(&self, id: &str) -> Option<String> {
        Some(self.form.text(id).trim().to_owned()).filter(|t| !t.is_empty())
    }

    /// The place as the form says, and the keys that were typed; else what is wrong stands in the form.
    fn read(&mut self, cx: &Cx) -> Option<(String, Place, Option<NewKeys>)> {
        let name = self.form.text("name").trim().to_owned();
        if self.draft.former.as_deref() != Some(&*name) && cx.config.places.contains_key(&name) {
            self.form.set_error("name", "a place of this name is there already");
        }
        let mut place = Place { template: self.draft.place.template.clone(), is_table: true, ..Place::default() };
        place.note = self.trimmed("note");
        place.account = self.trimmed("account");
        place.endpoint = self.trimmed("endpoint");
        place.region = self.trimmed("region");
        place.ca_bundle = self.trimmed("ca").map(PathBuf::from);
        place.addressing =
            [None, Some(Addressing::Path), Some(Addressing::Virtual)][self.form.choice("addressing").min(2)];
        place.read_only = [None, Some(true), Some(false)][self.form.choice("lock").min(2)];
        place.address = self.address(&name);
        let mut keys = None;
        if self.is_s3() {
            match self.form.choice("access") {
                TYPED => keys = Some(self.typed_keys()),
                PROFILE => self.chosen_profile(&name, &mut place),
                ANONYMOUS => place.anonymous = true,
                _ => {}
            }
            if self.draft.place.template.as_deref() == Some("minio") && place.endpoint.is_none() {
                self.form.set_error("endpoint", "the address of the server is needed: http://host:9000");
            }
        } else {
            place.anonymous = self.form.choice("access") == 1;
        }
        if let Some(ca) = &place.ca_bundle
            && !Location::file(ca).to_path().is_some_and(|p| p.is_file())
        {
            self.form.set_error("ca", "there is no such file");
        }
        if let Err(err) = place.check(&name) {
            let words = err.to_string();
            let field = ["endpoint", "account"].into_iter().find(|f| words.contains(f));
            let field = field.unwrap_or(if words.contains("name for a place") { "name" } else { "start" });
            self.form.set_error(field, said(&err, &name));
        }
        if self.form.focus_error() { None } else { Some((name, place, keys)) }
    }

    /// Where the place starts, as it is written into the file; `None` is the list of its buckets.
    fn address(&mut self, name: &str) -> Option<String> {
        let typed = self.trimmed("start");
        let scheme = match self.scheme {
            Scheme::S3 | Scheme::Gs | Scheme::Az => self.scheme.as_str(),
            _ => {
                if typed.is_none() || typed.as_deref() == Some("https://") {
                    self.form.set_error("start", "an address is needed");
                }
                return typed;
            }
        };
        let Some(typed) = typed else {
            if scheme != "s3" {
                self.form.set_error("start", "the name of a bucket or container is needed");
            }
            return None;
        };
        let rest = typed.split_once("://").map_or(typed.as_str(), |(_, rest)| rest);
        let rest = rest.strip_prefix(&format!("{name}@")).unwrap_or(rest);
        (!rest.is_empty()).then(|| format!("{scheme}://{rest}"))
    }

    fn typed_keys(&mut self) -> NewKeys {
        let trimmed = |text: &str| text.trim().to_owned();
        let keys = NewKeys {
            id: trimmed(self.form.text("key")),
            secret: trimmed(self.form.secret("secret")),
            token: Some(trimmed(self.form.secret("token"))).filter(|t| !t.is_empty()),
        };
        for (id, value, words) in [
            ("key", &keys.id, "the access key is needed: a word without spaces"),
            ("secret", &keys.secret, "the secret key is needed: a word without spaces"),
        ] {
            if value.is_empty() || value.contains(char::is_whitespace) {
                self.form.set_error(id, words);
            }
        }
        keys
    }

    fn chosen_profile(&mut self, name: &str, place: &mut Place) {
        match self.profiles.get(self.form.choice("profile")) {
            // A profile of the place's own name needs no word.
            Some(profile) if profile != name => place.profile = Some(profile.clone()),
            Some(_) => {}
            None => self.form.set_error("access", "there is no profile to choose: type keys"),
        }
    }

    fn submit(&mut self, cx: &mut Cx) -> Flow {
        self.form.clear_errors();
        let Some((name, place, keys)) = self.read(cx) else { return Flow::Done };
        match self.save(&name, &place, keys.as_ref(), cx) {
            Ok(config) => {
                cx.set_config(config);
                cx.toast(format!("`{name}` is saved"));
                Flow::Close
            }
            Err(err) => {
                let field = if keys.is_some() && err.kind() == Kind::Exists { "key" } else { "name" };
                self.form.set_error(field, said(&err, &name));
                self.form.focus_error();
                Flow::Done
            }
        }
    }

    /// Writes the files; gives the configuration as it is then. The keys go first: a place without its
    /// keys would be worse than keys without a place.
    fn save(&self, name: &str, place: &Place, keys: Option<&NewKeys>, cx: &Cx) -> Result<Config> {
        if let Some(keys) = keys {
            let file = self.credentials.as_deref();
            let file = file.ok_or_else(|| Error::usage("there is no home folder to keep keys in"))?;
            config::save_keys(file, name, keys, self.replaces(name))?;
        }
        let file = cx.config.file(&cx.folders);
        config::save_place(&file, self.draft.former.as_deref(), name, place)?;
        Config::load(&file)
    }
}

/// An error with its hint, without what the form says by itself.
fn said(err: &Error, name: &str) -> String {
    let words = err.to_string();
    let words = words.strip_prefix(&format!("[places] {name}: ")).unwrap_or(&words).to_owned();
    err.hint().filter(|_| err.kind() != Kind::Failed).map_or(words.clone(), |hint| format!("{words}; {hint}"))
}

/// A path below the home folder as a person writes it.
fn short(path: &Path, home: Option<&Path>) -> String {
    match home.and_then(|home| path.strip_prefix(home).ok()) {
        Some(rest) => format!("~/{}", rest.display()),
        None => path.display().to_string(),
    }
}

fn fields(draft: &PlaceDraft, scheme: Scheme, profiles: &[String]) -> Vec<Field> {
    let place = &draft.place;
    let said = |text: &Option<String>| text.clone().unwrap_or_default();
    let name = Field::text("name", "name", &draft.name, "a short name")
        .help("It stands before a bucket, here and for commands: s3://NAME@bucket/key");
    let note =
        Field::text("note", "note", &said(&place.note), "anything worth remembering").help("Shown beside the place");
    let lock = Field::choice("lock", "writing", LOCK)
        .help("locked: R in a list unlocks it for a session; for commands too: put, convert and mb refuse as well; ← → choose");
    let start = place.address.as_deref().unwrap_or_default();
    let rest = start.split_once("://").map_or(start, |(_, rest)| rest);
    match scheme {
        Scheme::S3 => {
            let ca = place.ca_bundle.as_ref().map(|p| p.to_string_lossy().into_owned());
            vec![
                name,
                Field::text("endpoint", "endpoint", &said(&place.endpoint), "Amazon, or the profile's")
                    .help("https://host, as the operators of the server give it; empty: Amazon"),
                Field::text("region", "region", &said(&place.region), "the profile's, or found for each bucket")
                    .help("Many servers take any; Amazon's is found for each bucket"),
                Field::text("start", "starts at", rest, "the list of buckets")
                    .help("bucket/ or bucket/prefix/; empty: the list of buckets"),
                Field::choice("access", "access", ACCESS).help("Where the keys come from; ← → choose"),
                Field::text("key", "access key", "", "its id").help("aws_access_key_id: the name of the key"),
                Field::secret("secret", "secret key", "typed or pasted; it is not shown")
                    .help("aws_secret_access_key: kept in ~/.aws/credentials and nowhere else"),
                Field::secret("token", "session token", "only with temporary keys")
                    .help("aws_session_token; empty for lasting keys"),
                Field::choice("profile", "profile", profiles.iter().map(String::as_str))
                    .help("A profile of ~/.aws or a file of s3cmd; ← → or a letter choose"),
                Field::choice("addressing", "addressing", ["as usual", "path", "virtual host"])
                    .help("as usual: host/bucket for an endpoint, bucket.host for Amazon; ← → choose"),
                Field::text("ca", "certificates", &ca.unwrap_or_default(), "the system's")
                    .help("A PEM file of certificates to trust too, for servers with an authority of their own"),
                lock,
                note,
            ]
        }
        Scheme::Gs | Scheme::Az => {
            let mut fields = vec![name];
            if scheme == Scheme::Az {
                fields.push(
                    Field::text("account", "account", &said(&place.account), "AZURE_STORAGE_ACCOUNT_NAME")
                        .help("The storage account; empty: the environment's"),
                );
            }
            let what = if scheme == Scheme::Az { "container/prefix/" } else { "bucket/prefix/" };
            let placeholder = ["container/", "bucket/"].contains(&rest);
            fields.push(
                Field::text("start", "starts at", if placeholder { "" } else { rest }, what)
                    .help("The bucket or container, and a prefix where one is wanted"),
            );
            fields.push(
                Field::choice("access", "access", ["environment", "no keys"])
                    .help("environment: its variables or a login on this computer; no keys: public data; ← → choose"),
            );
            fields.extend([lock, note]);
            fields
        }
        _ => vec![
            name,
            Field::text("start", "address", start, "https://…/catalog.json, or a folder")
                .help("A catalog on the web, or a folder of this computer"),
            note,
        ],
    }
}

impl Screen for PlaceForm {
    fn contexts(&self) -> &'static [&'static str] {
        &["form"]
    }

    fn title(&self) -> String {
        match &self.draft.former {
            Some(name) => format!("edit {name}"),
            None => "add a place".to_owned(),
        }
    }

    fn is_popup(&self) -> bool {
        true
    }

    fn wants_text(&self) -> bool {
        true
    }

    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        if action == Action::Back {
            if self.form.is_touched() && !self.leaving {
                self.leaving = true;
                let key = cx.keymap.label(&["form"], Action::Back);
                cx.toast(format!("{key} again leaves it unsaved"));
                return Flow::Done;
            }
            return Flow::Close;
        }
        self.leaving = false;
        match action {
            Action::NextPane => self.form.next(),
            Action::PrevPane => self.form.prev(),
            Action::Down => self.form.down(),
            Action::Up => self.form.up(),
            Action::NextChoice => drop(self.form.choose(true)),
            Action::PrevChoice => drop(self.form.choose(false)),
            Action::Submit => return self.submit(cx),
            Action::Enter => match self.form.enter() {
                Entered::Submit => return self.submit(cx),
                Entered::Cancel => return Flow::Close,
                Entered::Moved => {}
            },
            Action::Close => return Flow::Close,
            _ => return Flow::Ignored,
        }
        self.follow();
        Flow::Done
    }

    fn edit(&mut self, edit: &Edit, _cx: &mut Cx) -> Flow {
        self.leaving = false;
        self.form.edit(edit);
        self.follow();
        Flow::Done
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let title = match &self.draft.former {
            Some(name) => format!("edit the place {name}"),
            None => "add a place".to_owned(),
        };
        let key = |action| cx.keymap.label(&["form"], action);
        let hint = format!("{} next  {} save  {} leave", key(Action::NextPane), key(Action::Submit), key(Action::Back));
        popup::form(frame, area, &mut self.form, &mut self.height, (&title, &hint), cx);
    }
}
