//! The table of screens. A new one: a file here, a variant of [`Open`] and an arm below.

pub mod bench;
pub mod forms;
pub mod jobs;

use crate::action::Action;
use crate::catalog;
use crate::location::Location;
use crate::preview::Probe;
use crate::previews;
use crate::screen::{Cx, Open, Screen};
use crate::tables;
use ratatui::text::Line;

mod browse;
mod facts;
mod log;
mod map;
mod places;
mod popup;
mod preview;
mod query;
mod raster;
mod sql;
mod table;
mod uploads;
mod zarr;

/// The screen for what is to be opened.
pub fn open(open: Open, cx: &mut Cx) -> Box<dyn Screen> {
    match open {
        Open::Places => Box::new(places::Places::open(cx)),
        Open::Browse(location) => Box::new(browse::Browse::open(&location, cx)),
        Open::Preview(probe) => Box::new(preview::Preview::open(probe)),
        Open::Table { probe } => Box::new(table::Grid::open(probe, cx)),
        Open::Rows { title, rows, control } => Box::new(table::Grid::of_rows(title, rows, control, cx)),
        Open::Map { probe, rows } => Box::new(map::MapScreen::open(probe, rows, cx)),
        Open::Raster(probe) => Box::new(raster::RasterScreen::open(probe, cx)),
        Open::Scene { scene, control } => Box::new(raster::RasterScreen::of_scene(scene, control, cx)),
        Open::Zarr(location) => Box::new(zarr::ZarrScreen::open(&location, cx)),
        Open::Plot { zarr, path } => Box::new(zarr::Plot::open(zarr, path, cx)),
        Open::ChunkMap { zarr, path } => Box::new(zarr::ChunkMap::open(zarr, path, cx)),
        Open::Facts(location) => Box::new(facts::ObjectFacts::open(location, cx)),
        Open::BucketFacts(location) => Box::new(facts::BucketFacts::open(&location, cx)),
        Open::Versions(location) => Box::new(facts::Versions::open(&location, cx)),
        Open::Help(contexts) => Box::new(popup::Help::open(contexts)),
        Open::Palette(contexts) => Box::new(popup::Palette::open(contexts, cx)),
        Open::Basket => Box::new(browse::BasketList::default()),
        Open::Message { title, lines } => Box::new(popup::Message::open(title, lines)),
        Open::GoTo => Box::new(popup::GoTo::open()),
        Open::Plain { title, text } => Box::new(popup::Plain::open(title, text)),
        Open::CopyMenu { locations, media_type } => {
            Box::new(popup::CopyMenu::open(locations, media_type.as_deref(), cx))
        }
        Open::Commands(commands) => Box::new(popup::Commands::open(&commands)),
        Open::Keys(contexts) => Box::new(popup::Keys::open(contexts, cx)),
        Open::Themes => Box::new(popup::Themes::open(cx)),
        Open::Uploads(location) => Box::new(uploads::Uploads::open(&location, cx)),
        Open::SyncForm { source, other } => Box::new(forms::SyncPlan::screen(&source, other.as_ref(), cx)),
        Open::Sure(doom) => Box::new(popup::Sure::open(doom, cx)),
        Open::Log => Box::new(log::Log::open(cx)),
        Open::ConfirmQuit => Box::new(popup::ConfirmQuit::default()),
        Open::Question { job, by_itself } => Box::new(popup::Question::open(job, by_itself, cx)),
        Open::Interrupted => Box::new(popup::Interrupted::open(cx)),
        Open::Jobs(at) => Box::new(jobs::JobsScreen::new(at, cx)),
        Open::UploadForm { destination } => Box::new(forms::UploadPlan::screen(&destination, cx)),
        Open::CopyForm { sources, here, other, moves } => {
            Box::new(forms::CopyPlan::screen(sources, &here, other.as_ref(), moves, cx))
        }
        Open::DownloadForm { sources } => Box::new(forms::DownloadPlan::screen(sources, cx)),
        Open::Query { table, sql } => Box::new(query::Query::open(table.as_ref(), sql, cx)),
        Open::QueryForm { sql } => Box::new(forms::QueryPlan::screen(sql, cx)),
        Open::ConvertForm { source } => Box::new(forms::ConvertPlan::screen(&source, cx)),
        Open::BenchForm { candidates } => Box::new(forms::BenchPlan::screen(&candidates, cx)),
        Open::PlaceTemplates => Box::new(places::Templates::open(cx)),
        Open::PlaceForm(draft) => Box::new(forms::PlaceForm::open(*draft, cx)),
        Open::BenchDashboard(id) => Box::new(bench::Dashboard::new(id, cx)),
    }
}

/// What opening this address means: a Zarr has a screen of its own, a container or a catalog is browsed, anything
/// else looked at.
pub fn open_of(location: Location) -> Open {
    if crate::zarr::is_root(&location) || crate::zarr::is_member(&location) {
        Open::Zarr(location)
    } else if location.is_container() || catalog::is_entry_point(&location) {
        Open::Browse(location)
    } else {
        open_thing(Probe::new(location))
    }
}

/// What opening a thing means that is no container: a table or a raster is opened, anything else looked at.
pub(crate) fn open_thing(probe: Probe) -> Open {
    if tables::claims(&probe) {
        Open::Table { probe }
    } else if previews::is_raster(&probe) {
        Open::Raster(probe)
    } else {
        Open::Preview(probe)
    }
}

/// What opening a node of a preview's tree means: a member of a Zarr, a raster of several, a document.
pub(crate) fn open_part(location: Location) -> Open {
    if crate::zarr::is_root(&location) || crate::zarr::is_member(&location) {
        Open::Zarr(location)
    } else if location.is_container() || crate::catalog::is_entry_point(&location) {
        Open::Browse(location)
    } else {
        open_thing(Probe::new(location))
    }
}

/// What runs in the background, in one line; `contexts` tell the key that answers a job's question.
pub fn strip<'a>(cx: &Cx, width: u16, contexts: &[&str]) -> Line<'a> {
    let answer = cx.keymap.label(contexts, Action::Answer);
    jobs::strip(&cx.jobs.active_views(), width, &cx.theme, cx.unicode, &answer)
}

/// `text` in rows of at most `width` columns, without control characters.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    popup::wrapped(text, width)
}
