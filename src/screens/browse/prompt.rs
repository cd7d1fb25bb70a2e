//! What is typed into the last line of the list: a filter, a piece of a name, a pattern.

use super::Browse;
use super::needle::{Needle, Shown};
use crate::action::Action;
use crate::basket::{Basket, Change};
use crate::entry::Entry;
use crate::error::{Error, Kind, Result};
use crate::glob::Glob;
use crate::location::Location;
use crate::screen::{Cx, Flow};
use crate::store::Stores;
use crate::task::{Pending, poll_slot};
use crate::text;
use crate::widgets::input::{Edit, Input};
use futures::StreamExt as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Names that are matched with a pattern while it is typed, and at once when it is done.
const INLINE: usize = 20_000;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Filter,
    Find,
    Jump,
    Glob(Change),
}

/// A line being typed.
pub(super) struct Prompt {
    pub(super) ask: Ask,
    pub(super) input: Input,
    /// What there is to say about it: how many match, what cannot be read.
    pub(super) note: String,
    /// Where the cursor was.
    from: usize,
}

impl Ask {
    /// What stands before the line.
    pub(super) fn mark(self) -> &'static str {
        match self {
            Self::Filter => "/",
            Self::Find => "find",
            Self::Jump => "begins with",
            Self::Glob(Change::Remove) => "unselect",
            Self::Glob(_) => "select",
        }
    }
}

/// A pattern being matched: with a listing of all that lies below, or with a long list.
pub(super) struct Deep {
    pattern: String,
    counts: Arc<(AtomicU64, AtomicU64)>,
    pending: Option<Pending<Found>>,
}

/// What a pattern has found on another thread.
enum Found {
    /// In all levels below.
    Below(Basket),
    /// Rows of this listing of this container.
    Rows(Location, Shown, Vec<u32>, Change),
}

impl Deep {
    /// How far it is.
    pub(super) fn words(&self) -> String {
        let (seen, found) = (self.counts.0.load(Relaxed), self.counts.1.load(Relaxed));
        if seen == 0 {
            return format!("{}: looking…", self.pattern);
        }
        format!("{}: {} of {} match so far", self.pattern, text::count(found), text::count(seen))
    }
}

impl Browse {
    /// Begins to ask.
    pub(super) fn ask(&mut self, ask: Ask) {
        let text = if ask == Ask::Filter { self.pane.arrangement.filter.clone() } else { String::new() };
        self.prompt = Some(Prompt { ask, input: Input::new(text), note: String::new(), from: self.pane.cursor() });
    }

    /// An action while a line is typed; `None` for what concerns the list.
    pub(super) fn update_prompt(&mut self, action: Action, cx: &mut Cx) -> Option<Flow> {
        let ask = self.prompt.as_ref()?.ask;
        match (action, ask) {
            (Action::Enter, Ask::Glob(change)) => self.submit_glob(change, cx),
            (Action::Enter, _) | (Action::Back, Ask::Glob(_)) => self.prompt = None,
            (Action::Back, Ask::Filter) => {
                self.prompt = None;
                self.arrange(|a| a.filter.clear(), cx);
            }
            (Action::Back, _) => {
                if let Some(prompt) = self.prompt.take() {
                    self.pane.jump(prompt.from);
                    self.needle = None;
                }
            }
            (Action::Up | Action::Down, Ask::Find | Ask::Jump) => self.seek_again(action == Action::Down, cx),
            (Action::Up | Action::Down, Ask::Glob(_)) => {}
            _ => return None,
        }
        Some(Flow::Done)
    }

    /// Takes what is typed.
    pub(super) fn edit_prompt(&mut self, edit: &Edit, cx: &mut Cx) -> Flow {
        let Some(prompt) = &mut self.prompt else { return Flow::Ignored };
        if *edit == Edit::Backspace && prompt.input.text().is_empty() {
            return self.update_prompt(Action::Back, cx).unwrap_or(Flow::Done);
        }
        if !prompt.input.apply(edit) {
            return Flow::Done;
        }
        let (text, from, ask) = (prompt.input.text().to_owned(), prompt.from, prompt.ask);
        prompt.note.clear();
        match ask {
            Ask::Filter => self.arrange(|a| a.filter = text, cx),
            Ask::Find | Ask::Jump => {
                self.pane.jump(from);
                let needle = Needle::new(&text, ask == Ask::Jump);
                let missing = !text.is_empty() && self.pane.seek(&needle, from, true, true, cx);
                self.needle = Some(needle).filter(|_| !text.is_empty());
                self.tell_missing(missing, cx);
            }
            Ask::Glob(_) => {
                let note = self.glob_note(&text);
                if let Some(prompt) = &mut self.prompt {
                    prompt.note = note;
                }
            }
        }
        Flow::Done
    }

    /// Says that nothing holds what is searched: in the line being typed, or as a message.
    pub(super) fn tell_missing(&mut self, missing: bool, cx: &mut Cx) {
        if !missing {
            return;
        }
        match (&mut self.prompt, &self.needle) {
            (Some(prompt), _) => "no such name".clone_into(&mut prompt.note),
            (None, Some(needle)) => cx.toast(format!("no name here holds “{}”", needle.text())),
            (None, None) => {}
        }
    }

    /// The next match, or the one before.
    pub(super) fn seek_again(&mut self, forward: bool, cx: &mut Cx) {
        let Some(needle) = self.needle.clone() else {
            let key = cx.keymap.label(&["browse"], Action::Find);
            cx.toast(format!("nothing is searched: {key} searches in names"));
            return;
        };
        let missing = self.pane.seek(&needle, self.pane.cursor(), forward, false, cx);
        self.tell_missing(missing, cx);
    }

    fn glob_note(&self, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        match Glob::parse(text) {
            Err(err) => err.to_string(),
            Ok(glob) if glob.is_deep() => "in all levels below".to_owned(),
            Ok(_) if self.pane.shown() > INLINE => String::new(),
            Ok(glob) => format!("{} match", text::count(self.matching(&glob).len() as u64)),
        }
    }

    /// Rows that match.
    fn matching(&self, glob: &Glob) -> Vec<u32> {
        self.pane.snapshot().matching(|name| glob.matches(name))
    }

    fn submit_glob(&mut self, change: Change, cx: &mut Cx) {
        let Some(prompt) = &mut self.prompt else { return };
        let text = prompt.input.text().to_owned();
        let glob = match Glob::parse(&text) {
            Ok(glob) => glob,
            Err(err) => {
                prompt.note = err.to_string();
                return;
            }
        };
        self.prompt = None;
        let before = cx.basket.total().count;
        match (glob.is_deep(), change) {
            (true, Change::Remove) => unselect_below(&self.pane.location, &glob, &mut cx.basket),
            (true, _) => return self.select_below(text, glob, cx),
            (false, _) if self.pane.shown() > INLINE => return self.match_elsewhere(text, glob, change, cx),
            (false, _) => {
                let rows = self.matching(&glob);
                cx.basket.change(&self.pane.location, &self.pane.listing, rows, change);
            }
        }
        let changed = cx.basket.total().count.abs_diff(before);
        if changed == 0 {
            cx.toast(format!("{text} changes nothing: no name matches that is not already so"));
        }
    }

    fn select_below(&mut self, pattern: String, glob: Glob, cx: &Cx) {
        let counts = Arc::<(AtomicU64, AtomicU64)>::default();
        let (stores, base, counted) = (cx.stores.clone(), self.pane.location.clone(), counts.clone());
        let work = async move { find_below(&stores, &base, &glob, &counted).await.map(Found::Below) };
        self.deep = Some(Deep { pattern, counts, pending: Some(Pending::spawn(&cx.waker, work)) });
    }

    fn match_elsewhere(&mut self, pattern: String, glob: Glob, change: Change, cx: &Cx) {
        let (shown, here) = (self.pane.snapshot(), self.pane.location.clone());
        let work = async move {
            let found = tokio::task::spawn_blocking(move || {
                let rows = shown.matching(|name| glob.matches(name));
                Found::Rows(here, shown, rows, change)
            });
            found.await.map_err(|err| Error::new(Kind::Failed, "matching failed").with_source(err))
        };
        self.deep = Some(Deep { pattern, counts: Arc::default(), pending: Some(Pending::spawn(&cx.waker, work)) });
    }

    /// Takes what a pattern has found.
    pub(super) fn poll_deep(&mut self, cx: &mut Cx) {
        let Some(deep) = &mut self.deep else { return };
        let Some(result) = poll_slot(&mut deep.pending) else { return };
        let pattern = self.deep.take().map(|deep| deep.pattern).unwrap_or_default();
        match result {
            Ok(Found::Rows(container, shown, rows, change)) => {
                cx.basket.change(&container, &shown.listing, rows, change);
            }
            Ok(Found::Below(found)) => {
                let total = found.total();
                cx.toast(format!("{pattern}: {} objects selected", text::count(total.count as u64)));
                cx.basket.merge(found);
            }
            Err(err) => cx.fail(&err.context(format!("selecting {pattern}"))),
        }
    }
}

/// Unselects what lies below `base` and matches.
fn unselect_below(base: &Location, glob: &Glob, basket: &mut Basket) {
    let folders: Vec<Location> = basket.folders().map(|(container, _)| container.clone()).collect();
    for container in folders.iter().filter(|c| c.store() == base.store()) {
        if let Some(above) = container.key().strip_prefix(base.key()) {
            basket.remove(container, |name| glob.matches(&format!("{above}{name}")));
        }
    }
}

/// Lists everything below `base` and keeps what matches, by folder. `counts`: objects seen and found.
async fn find_below(stores: &Stores, base: &Location, glob: &Glob, counts: &(AtomicU64, AtomicU64)) -> Result<Basket> {
    if base.is_account() {
        return Err(Error::new(Kind::Usage, "a pattern through all levels needs a bucket").with_hint("enter one first"));
    }
    let above = glob.literal_prefix();
    let start = if above.is_empty() { base.clone() } else { base.child(&above) };
    let mut pages = stores.list_all(&start);
    let mut folders: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    while let Some(page) = pages.next().await {
        let page = page?.into_block();
        counts.0.fetch_add(page.len() as u64, Relaxed);
        for row in page.rows() {
            let path = format!("{above}{}", row.name());
            if glob.matches(&path) {
                counts.1.fetch_add(1, Relaxed);
                let mut entry = row.to_entry();
                let cut = path.rfind('/').map_or(0, |at| at + 1);
                entry.name = path[cut..].into();
                folders.entry(path[..cut].to_owned()).or_default().push(entry);
            }
        }
    }
    let mut found = Basket::default();
    for (folder, entries) in folders {
        let container = if folder.is_empty() { base.clone() } else { base.child(&folder) };
        found.add(&container, entries);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Options, UploadMeta};

    #[tokio::test]
    async fn a_pattern_through_levels_finds_objects_in_their_folders() {
        let stores = Stores::new(Options::default());
        let root = Location::parse("memory:///").expect("an address");
        let handle = stores.open(&root, stores.meter()).await.expect("opens");
        for key in ["s2/a.tif", "s2/x/b.tif", "s2/x/c.xml", "d.tif"] {
            handle.put_object(key, "12".into(), &UploadMeta::default(), false).await.expect(key);
        }
        let counts = Arc::<(AtomicU64, AtomicU64)>::default();
        let all = Glob::parse("**/*.tif").expect("a pattern");
        let mut found = find_below(&stores, &root, &all, &counts).await.expect("lists");
        let names = |basket: &Basket| basket.locations().map(|l| l.key().to_owned()).collect::<Vec<_>>();
        assert_eq!(names(&found), ["d.tif", "s2/a.tif", "s2/x/b.tif"]);
        assert_eq!((found.folders().len(), counts.0.load(Relaxed), counts.1.load(Relaxed)), (3, 4, 3));
        let below = Glob::parse("s2/**").expect("a pattern");
        let some = find_below(&stores, &root, &below, &counts).await.expect("lists");
        assert_eq!(names(&some), ["s2/a.tif", "s2/x/b.tif", "s2/x/c.xml"]);
        unselect_below(&root.child("s2/"), &Glob::parse("x/*").expect("a pattern"), &mut found);
        assert_eq!(names(&found), ["d.tif", "s2/a.tif"]);
    }
}
