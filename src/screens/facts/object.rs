//! One object, or one version of it.

use super::act::{Act, What};
use super::edit::Editor;
use super::rows::{Panes, Row};
use super::{CONTEXTS, age, bars, copy, may_write, stamp, toggle_read_only};
use crate::action::Action;
use crate::entry::{Stat, Version};
use crate::error::{Error, Kind, Result};
use crate::location::{Location, Scheme};
use crate::preview::Probe;
use crate::screen::{Cx, Flow, Open, Screen};
use crate::store::{Access, Fact, Stores, Told};
use crate::task::Feed;
use crate::text;
use crate::theme::Role;
use crate::widgets::input::Edit;
use futures::stream::{self, BoxStream, StreamExt as _};
use ratatui::Frame;
use ratatui::layout::Rect;
use std::collections::BTreeMap;

/// More versions of one object are not read.
const MOST: usize = 5_000;

/// Facts of an object, and why it has no tags where it has none.
type Known = Result<(Stat, Fact<BTreeMap<String, String>>)>;

/// What arrives, in any order.
enum Piece {
    Stat(Box<Known>),
    Access(Fact<Access>),
    Versioning(Fact<Told>),
    Versions(Result<Vec<Version>>),
    /// All versions were read.
    Read,
}

fn pieces(stores: &Stores, at: &Location) -> BoxStream<'static, Result<Piece>> {
    let open = |stores: Stores, at: Location| async move { stores.open(&at, stores.meter()).await };
    let ask = || (stores.clone(), at.clone());
    let stat = stream::once({
        let (stores, at) = ask();
        async move {
            let found = async { open(stores, at.clone()).await?.stat_and_tags(&at).await }.await;
            Piece::Stat(Box::new(found))
        }
    });
    let access = stream::once({
        let (stores, at) = ask();
        async move {
            Piece::Access(match open(stores, at.clone()).await {
                Ok(handle) => handle.access(&at).await,
                Err(err) => Fact::Failed(err.to_string()),
            })
        }
    });
    let mut all = vec![stat.boxed(), access.boxed()];
    if at.version().is_none() {
        let (stores, at) = ask();
        let versions = stores.versions(&at, false).map(Piece::Versions).chain(stream::iter([Piece::Read]));
        let versioning = stream::once(async move {
            Piece::Versioning(match open(stores, at).await {
                Ok(handle) => handle.versioning().await,
                Err(err) => Fact::Failed(err.to_string()),
            })
        });
        all.extend([versions.boxed(), versioning.boxed()]);
    }
    stream::select_all(all).map(Ok).boxed()
}

/// The screen.
pub(in crate::screens) struct ObjectFacts {
    location: Location,
    feed: Feed<Piece>,
    stat: Option<Known>,
    access: Option<Fact<Access>>,
    versioning: Option<Fact<Told>>,
    versions: Vec<Version>,
    no_versions: Option<Error>,
    all_read: bool,
    /// The versions are those of an earlier look, until the first of this one arrive.
    stale: bool,
    panes: Panes,
    act: Act,
    editor: Option<Editor>,
    /// The form was asked for before there was anything to put into it.
    edit_then: bool,
}

impl ObjectFacts {
    pub(in crate::screens) fn open(location: Location, cx: &mut Cx) -> Self {
        cx.last_command = Some(vec!["stat".to_owned(), location.to_string()]);
        let feed = Feed::spawn(&cx.waker, pieces(&cx.stores, &location));
        let mut screen = Self {
            location,
            feed,
            stat: None,
            access: None,
            versioning: None,
            versions: Vec::new(),
            no_versions: None,
            all_read: false,
            stale: false,
            panes: Panes::default(),
            act: Act::default(),
            editor: None,
            edit_then: false,
        };
        screen.lay_out();
        screen
    }

    fn reload(&mut self, cx: &Cx) {
        self.feed = Feed::spawn(&cx.waker, pieces(&cx.stores, &self.location));
        (self.stale, self.all_read, self.no_versions) = (true, false, None);
    }

    fn take(&mut self, piece: Piece) {
        match piece {
            Piece::Stat(stat) => {
                if let (Some(editor), Ok((stat, _))) = (&mut self.editor, stat.as_ref()) {
                    editor.seen(stat);
                }
                self.stat = Some(*stat);
            }
            Piece::Access(access) => self.access = Some(access),
            Piece::Versioning(fact) => self.versioning = Some(fact),
            Piece::Versions(found) => {
                if std::mem::take(&mut self.stale) {
                    self.versions.clear();
                }
                match found {
                    Ok(found) => {
                        self.versions.extend(found);
                        self.versions.truncate(MOST);
                    }
                    Err(err) => self.no_versions = Some(err),
                }
            }
            Piece::Read => self.all_read = true,
        }
    }

    fn is_s3(&self) -> bool {
        self.location.scheme() == Scheme::S3
    }

    fn current(&self) -> Option<&Version> {
        self.versions.iter().find(|v| v.current)
    }

    fn is_deleted(&self) -> bool {
        self.current().is_some_and(|v| v.deleted)
    }

    fn lay_out(&mut self) {
        let mut first = self.object_rows();
        if let Some(Ok((stat, tags))) = &self.stat {
            first.extend(metadata_rows(stat, tags, self.is_s3()));
        }
        let second = self.version_rows();
        self.panes.set(first, second);
    }

    fn object_rows(&self) -> Vec<Row> {
        let mut rows = vec![Row::heading("Object", "")];
        match &self.stat {
            None => rows.push(Row::note("", "asking…")),
            Some(Err(err)) if err.kind() == Kind::NotFound && self.is_deleted() => {
                let at = stamp(self.current().and_then(|v| v.modified));
                rows.push(Row::new("deleted", format!("{at} UTC")).role(Role::Bad));
                rows.push(Row::note("", "a mark of deletion hides it: its old versions are still there"));
            }
            Some(Err(err)) => {
                rows.push(Row::new("", err.to_string()).role(Role::Bad));
                rows.extend(err.hint().map(|hint| Row::note("", hint)));
                rows.extend(err.request_id().map(|id| Row::note("request id", id)));
            }
            Some(Ok((stat, _))) => rows.extend(stat_rows(stat, self.is_s3())),
        }
        if self.is_s3() && matches!(self.stat, Some(Ok(_))) {
            rows.extend(access_rows(self.access.as_ref()));
        }
        rows
    }

    fn version_rows(&self) -> Vec<Row> {
        if self.location.version().is_some() {
            return Vec::new();
        }
        let more = if self.all_read || self.no_versions.is_some() { "" } else { "…" };
        let count = match self.versions.len() {
            0 => more.to_owned(),
            n => format!("{}{more}", text::count(n as u64)),
        };
        let mut rows = vec![Row::heading("Versions", count)];
        if let Some(err) = &self.no_versions {
            rows.push(Row::note("", err.to_string()));
            return rows;
        }
        // The row stands from the beginning: rows that come later would move the others under the cursor.
        match &self.versioning {
            None => rows.push(Row::note("versioning", "asking…")),
            Some(fact) => rows.extend(fact.known().map(|told| Row::note("versioning", told.lines.join(" ")))),
        }
        let sizes = self.versions.iter().map(|v| text::bytes(v.size.unwrap_or_default()).len()).max().unwrap_or(0);
        rows.extend(self.versions.iter().enumerate().map(|(i, v)| version_row(i, v, sizes)));
        if self.versions.is_empty() && self.all_read {
            rows.push(Row::note("", "none"));
        }
        if self.versions.len() >= MOST {
            rows.push(Row::note("", format!("more than {} are not read", text::count(MOST as u64))));
        }
        rows
    }

    fn chosen(&self) -> Option<&Version> {
        self.versions.get(self.panes.row()?.version?)
    }

    fn look(&self, cx: &mut Cx) -> Flow {
        let probe = match (self.chosen(), &self.stat) {
            (Some(v), _) if v.deleted => {
                cx.toast("a mark of deletion holds no bytes: look at an older version");
                return Flow::Done;
            }
            (Some(v), _) => Probe { size: v.size, etag: v.etag.clone(), ..Probe::new(v.location.clone()) },
            (None, Some(Ok((stat, _)))) => {
                Probe { size: Some(stat.size), etag: stat.etag.clone(), ..Probe::new(self.location.clone()) }
            }
            _ => return Flow::Done,
        };
        Flow::Open(crate::screens::open_thing(probe))
    }

    /// Shows the facts of the version under the cursor.
    fn facts_of_version(&self, cx: &mut Cx) -> Flow {
        match self.chosen() {
            Some(v) if v.deleted => cx.toast("a mark of deletion has no facts of its own"),
            Some(v) => return Flow::Open(Open::Facts(v.location.clone())),
            None => {}
        }
        Flow::Done
    }

    fn edit_it(&mut self, cx: &mut Cx) {
        if self.location.version().is_some() {
            cx.toast("an old version cannot be changed: restore it, then change it");
            return;
        }
        match &self.stat {
            _ if !self.is_s3() => cx.toast("this store keeps no metadata that could be changed"),
            Some(Ok((stat, tags))) => {
                if may_write(&self.location, cx) {
                    self.editor = Some(Editor::open(stat, tags, cx));
                }
            }
            Some(Err(_)) => cx.toast("there is nothing to change"),
            // As soon as they are there.
            None => self.edit_then = true,
        }
    }

    fn restore(&mut self, cx: &mut Cx) {
        let Some(version) = self.chosen().cloned() else {
            let words = if self.versions.is_empty() { "there are no versions" } else { "put the cursor on a version" };
            cx.toast(words);
            self.panes.go_to_versions();
            return;
        };
        let seen = self.current().map(|v| v.id.clone());
        let warning = warning(self.versioning.as_ref(), &self.versions, &version);
        ask_restore(&mut self.act, version, seen, warning, cx);
    }

    fn undelete(&mut self, cx: &mut Cx) {
        if !self.is_deleted() {
            cx.toast("it is not deleted");
        } else if may_write(&self.location, cx) {
            self.act.ask(What::Undelete { at: self.location.clone() });
        }
    }

    fn hints(&self, cx: &Cx) -> Vec<(Action, &'static str)> {
        let mut hints = Vec::new();
        if self.is_s3() && self.location.version().is_none() {
            hints.push((Action::EditFacts, "edit"));
        }
        hints.push((Action::Enter, "look at it"));
        if self.versions.len() > 1 {
            hints.push((Action::Restore, "restore"));
        }
        if self.is_deleted() {
            hints.push((Action::Undelete, "undelete"));
        }
        hints.push((Action::Yank, "copy"));
        let lock = if super::is_writable(&self.location, cx) { "forbid writing" } else { "allow writing" };
        hints.extend([(Action::ReadOnly, lock), (Action::Help, "all keys")]);
        hints
    }
}

/// Asks for a restore, where it makes sense and is allowed.
pub(super) fn ask_restore(act: &mut Act, version: Version, seen: Option<String>, warning: Option<String>, cx: &mut Cx) {
    if version.current {
        let words =
            if version.deleted { "this mark hides it: undelete it instead" } else { "this is the current version" };
        cx.toast(words);
    } else if version.deleted {
        cx.toast("a mark of deletion holds no bytes: choose an older version");
    } else if may_write(&version.location, cx) {
        act.ask(What::Restore { version: Box::new(version), seen, warning });
    }
}

/// What a restore overwrites: where nothing new is kept, the version `null`.
pub(super) fn warning(versioning: Option<&Fact<Told>>, versions: &[Version], chosen: &Version) -> Option<String> {
    let told = versioning?.known()?;
    if told.value == "Enabled" {
        return None;
    }
    let key = chosen.location.key();
    let lost =
        versions.iter().find(|v| v.location.key() == key && v.id == "null" && !v.deleted && v.id != chosen.id)?;
    let which = if lost.current { "the current version" } else { "the version `null`" };
    let size = text::bytes(lost.size.unwrap_or_default());
    Some(format!("No new versions are kept here: {which} ({}, {size}) is overwritten and lost.", stamp(lost.modified)))
}

fn version_row(i: usize, v: &Version, sizes: usize) -> Row {
    let (name, role) = match (v.deleted, v.current) {
        (true, _) => ("deleted", Role::Bad),
        (false, true) => ("current", Role::Good),
        (false, false) => ("old", Role::Text),
    };
    let size = v.size.map(text::bytes).unwrap_or_default();
    let class = v.storage_class.as_ref().map(|c| format!("  {c}")).unwrap_or_default();
    let value = format!("{}  {size:>sizes$}  {}{class}", stamp(v.modified), v.id);
    Row::new(name, value).role(role).copied_as(v.location.to_string()).of_version(i)
}

fn stat_rows(stat: &Stat, s3: bool) -> Vec<Row> {
    let mut rows = Vec::new();
    let size = if stat.size < 1024 {
        format!("{} bytes", stat.size)
    } else {
        format!("{}  {} bytes", text::bytes(stat.size), text::count(stat.size))
    };
    rows.push(Row::new("size", size).copied_as(stat.size.to_string()));
    if let Some(at) = stat.modified {
        let words = format!("{} UTC  {}", stamp(Some(at)), age(at, chrono::Utc::now()));
        rows.push(Row::new("modified", words).copied_as(at.to_rfc3339()));
    }
    if let Some(etag) = &stat.etag {
        let parts = stat.detail.parts.map(|n| format!("  {n} parts")).unwrap_or_default();
        let plain = etag.trim_matches('"');
        rows.push(Row::new("ETag", format!("{plain}{parts}")).copied_as(plain));
    }
    let detail = &stat.detail;
    let texts = [
        ("content type", &stat.content_type),
        ("encoding", &detail.content_encoding),
        ("language", &detail.content_language),
        ("disposition", &detail.content_disposition),
        ("cache control", &detail.cache_control),
        ("expires", &detail.expires),
        ("redirects to", &detail.website_redirect),
    ];
    rows.extend(texts.into_iter().filter_map(|(name, text)| Some(Row::new(name, text.as_ref()?))));
    if s3 || stat.storage_class.is_some() {
        rows.push(Row::new("storage class", stat.storage_class.as_deref().unwrap_or("STANDARD")));
    }
    if s3 {
        rows.push(match &detail.encryption {
            Some(how) => Row::new("encryption", how),
            None => Row::note("encryption", "none that the server tells of"),
        });
        rows.extend(detail.encryption_key.iter().map(|key| Row::new("key", key)));
        rows.extend(detail.checksums.iter().map(|(name, sum)| Row::new(name, sum)));
        if detail.checksums.is_empty() {
            rows.push(Row::note("checksum", "none that the server tells of"));
        }
    }
    let texts = [
        ("version", stat.location.version().map(str::to_owned).or_else(|| stat.version.clone())),
        ("archive", detail.restore.clone()),
        ("deleted by rule", detail.expiration.clone()),
        ("replication", detail.replication.clone()),
        ("locked", detail.lock_mode.as_ref().map(|m| format!("{m} until {}", stamp(detail.lock_until)))),
        ("legal hold", detail.legal_hold.clone()),
    ];
    rows.extend(texts.into_iter().filter_map(|(name, text)| Some(Row::new(name, text?))));
    rows
}

fn access_rows(access: Option<&Fact<Access>>) -> Vec<Row> {
    match access {
        None => vec![Row::note("owner", "asking…")],
        Some(Fact::Known(access)) => {
            let owner = Row::new("owner", &access.owner);
            if access.is_default() {
                return vec![owner];
            }
            let grants = access.grants.iter().enumerate();
            let grants = grants.map(|(i, g)| Row::new(if i == 0 { "access" } else { "" }, g.words()));
            std::iter::once(owner).chain(grants).collect()
        }
        Some(other) => vec![Row::note("owner", other.words().unwrap_or_default())],
    }
}

fn metadata_rows(stat: &Stat, tags: &Fact<BTreeMap<String, String>>, s3: bool) -> Vec<Row> {
    let count = |n: usize| if n == 0 { String::new() } else { n.to_string() };
    let mut rows = vec![Row::heading("Metadata", count(stat.metadata.len()))];
    rows.extend(stat.metadata.iter().map(|(key, value)| Row::new(key, value)));
    if stat.metadata.is_empty() {
        rows.push(Row::note("", if s3 { "none" } else { "this store keeps none" }));
    }
    if !s3 {
        return rows;
    }
    rows.push(Row::heading("Tags", count(stat.tags.len())));
    rows.extend(stat.tags.iter().map(|(key, value)| Row::new(key, value)));
    match tags {
        Fact::NotSet => rows.push(Row::note("", "none")),
        other => rows.extend(other.words().map(|words| Row::note("", words))),
    }
    rows
}

impl Screen for ObjectFacts {
    fn contexts(&self) -> &'static [&'static str] {
        if self.act.is_asking() {
            &["confirm"]
        } else if self.editor.is_some() {
            &["form"]
        } else {
            CONTEXTS
        }
    }

    fn title(&self) -> String {
        format!("facts of {}", self.location.name())
    }

    fn here(&self) -> Option<Location> {
        self.location.parent()
    }

    fn wants_text(&self) -> bool {
        self.editor.is_some() && !self.act.is_asking()
    }

    fn is_moving(&self, _cx: &Cx) -> bool {
        !self.feed.is_done() || self.act.is_working() || self.editor.as_ref().is_some_and(Editor::is_working)
    }

    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        if self.act.is_asking() {
            self.act.update(action, cx);
            return Flow::Done;
        }
        if let Some(editor) = &mut self.editor {
            if action == Action::Quit {
                return Flow::Ignored;
            }
            if editor.update(action, cx) {
                self.editor = None;
            }
            return Flow::Done;
        }
        if self.panes.update(action) {
            return Flow::Done;
        }
        match action {
            Action::Back | Action::Leave | Action::Left => return Flow::Close,
            Action::Enter | Action::Right => return self.look(cx),
            Action::Refresh => self.reload(cx),
            Action::ReadOnly => toggle_read_only(&self.location, cx),
            Action::EditFacts => self.edit_it(cx),
            Action::Restore => self.restore(cx),
            Action::Undelete => self.undelete(cx),
            Action::Facts => return self.facts_of_version(cx),
            Action::Versions => {
                let above = self.location.parent().unwrap_or_else(|| self.location.clone());
                return Flow::Open(Open::Versions(above));
            }
            Action::Yank => {
                if let Some(value) = self.panes.row().map(|row| row.to_copy().to_owned()) {
                    copy(&value, cx);
                }
            }
            _ => return Flow::Ignored,
        }
        Flow::Done
    }

    fn edit(&mut self, edit: &Edit, _cx: &mut Cx) -> Flow {
        match &mut self.editor {
            Some(editor) => {
                editor.edit(edit);
                Flow::Done
            }
            None => Flow::Ignored,
        }
    }

    fn poll(&mut self, cx: &mut Cx) {
        let mut changed = false;
        while let Some(piece) = self.feed.take() {
            changed = true;
            match piece {
                Ok(piece) => self.take(piece),
                Err(err) => cx.fail(&err),
            }
        }
        let (closes, reloads) = self.editor.as_mut().map_or((false, false), |editor| editor.poll(cx));
        if closes {
            self.editor = None;
        }
        if self.act.poll(cx) || reloads {
            self.reload(cx);
        }
        if changed {
            self.lay_out();
            if self.stat.is_some() && std::mem::take(&mut self.edit_then) {
                self.edit_it(cx);
            }
        }
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let note = if self.act.is_working() { "working…" } else { "" };
        let hints = self.hints(cx);
        let body = bars(&self.location.to_string(), &self.location, note, &hints, frame, area, cx);
        self.panes.draw(frame, body, cx);
        if let Some(editor) = &mut self.editor {
            editor.draw(frame, area, cx);
        }
        self.act.draw(frame, area, cx);
    }
}
