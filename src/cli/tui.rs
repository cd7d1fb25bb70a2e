//! The screen: everything that is set up before the loop runs, and kept after it.

use super::Global;
use crate::app::{App, Exit, TerminalCanvas, theme_for};
use crate::basket::Basket;
use crate::config::{Config, Folders, Memory};
use crate::demo;
use crate::du::Sizes;
use crate::error::{Context as _, Result};
use crate::job::Jobs;
use crate::keymap::Keymap;
use crate::location::Location;
use crate::screen::{Cx, Hits, Open};
use crate::screens;
use crate::store::Stores;
use crate::task::Waker;
use crate::terminal::{Env, Graphics, Options, Session};
use crate::theme::Theme;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Where the screen starts.
pub(super) enum Start {
    /// What the user named, or Places.
    At(Option<String>),
    /// The embedded demo.
    Demo,
}

/// Runs the screen; gives the exit code.
pub(super) async fn run(start: Start, global: &Global) -> Result<u8> {
    let folders = Folders::find()?;
    let config_file = global.config.clone().unwrap_or_else(|| folders.config.join("config.toml"));
    let config = Config::load(&config_file)?;
    let keymap = Keymap::load(&folders.config.join("keymap.toml"))?;
    let graphics =
        Graphics::parse(config.graphics.as_deref().filter(|_| global.graphics == "auto").unwrap_or(&global.graphics))?;
    let named_theme = global.theme.as_deref().or(config.theme.as_deref());
    let named_theme = named_theme.map(|name| Theme::find(name, &folders.config.join("themes"))).transpose()?;
    let limits = global.limits(&config);
    let mut options = global.store_options(&limits);
    options.places.clone_from(&config.places);
    let open = match &start {
        Start::Demo | Start::At(None) => Open::Places,
        Start::At(Some(text)) => {
            let location = Location::parse(text)?;
            let folder = location.to_path().is_some_and(|p| p.is_dir());
            screens::open_of(if folder { location.as_container() } else { location })
        }
    };
    let env = Env::from_process();
    let session = Session::enter(&env, Options { mouse: config.mouse, graphics })?;
    let caps = session.caps();
    let chooses_theme = named_theme.is_none();
    let theme = named_theme.map_or_else(|| theme_for(caps.colours), Ok)?;
    let waker = Waker::new();
    let stores = Stores::new(options);
    // Written to its end when it is dropped.
    let _log = global.log.as_deref().map(|file| stores.log_to(file)).transpose()?;
    let mut canvas = TerminalCanvas::new(session, waker.clone(), chooses_theme)?;
    let memory = Memory::load(&folders.state);
    let mut cx = Cx {
        jobs: Jobs::new(stores.clone(), folders.state.clone(), waker.clone())
            .with_kinds(crate::jobs::from_spec)
            .with_answers(),
        stores,
        mouse: config.mouse,
        config: Arc::new(config),
        keymap: Arc::new(keymap),
        theme: Arc::new(theme),
        gallery: canvas.gallery(),
        waker,
        toasts: Vec::new(),
        last_command: None,
        recents: memory.recents,
        bookmarks: memory.bookmarks,
        writable: BTreeSet::new(),
        basket: Basket::default(),
        sizes: Sizes::default(),
        hits: Hits::default(),
        locked: BTreeSet::new(),
        demo: None,
        clipboard: None,
        clipboard_works: caps.clipboard.is_sure(),
        confirmed_quit: false,
        unicode: caps.unicode,
        folders,
    };
    if let Some(jobs) = limits.jobs {
        cx.jobs.set_limit(jobs);
    }
    if let Some(words) = limits.words() {
        cx.toast(words);
    }
    let open = if matches!(start, Start::Demo) { Open::Browse(cx.open_demo()?) } else { open };
    let input = canvas.input()?;
    let mut app = App::new(open, cx);
    // Meanwhile: the first picture does not wait for it then, and nothing waits for it now.
    tokio::task::spawn_blocking(crate::store::gdal::set_up);
    let exit = app.run(&mut canvas, input).await;
    drop(canvas);
    // What runs is left where it stands, however the loop ended: the next start offers to resume it.
    app.cx.jobs.leave().await;
    if let Some(demo) = app.cx.demo.take() {
        demo.stop().await;
    }
    if !matches!(start, Start::Demo) {
        // The demo's addresses lead nowhere tomorrow.
        let lasting = |places: &[Location]| -> Vec<Location> {
            places.iter().filter(|l| l.profile() != Some(demo::PROFILE)).cloned().collect()
        };
        let memory = Memory { recents: lasting(&app.cx.recents), bookmarks: lasting(&app.cx.bookmarks) };
        memory.save(&app.cx.folders.state).context(|| "remembering places".into())?;
    }
    match exit? {
        Exit::Quit => Ok(0),
        Exit::Ended(code) => Ok(code),
    }
}

/// Serves the demo without a screen until it is told to stop.
pub(super) async fn serve_demo() -> Result<u8> {
    // Before there is anything to clean up.
    let mut signals = crate::terminal::Signals::new()?;
    let demo = demo::start(None)?;
    let told = tokio::select! {
        ready = demo.ready() => ready.and_then(|()| super::out::json(&serde_json::json!({
            "endpoint": demo.endpoint,
            "access_key": demo.access_key,
            "secret_key": demo.secret_key,
            "bucket": demo.bucket,
        }))),
        crate::terminal::Signal::Terminate(_) = signals.next() => {
            demo.stop().await;
            return Ok(0);
        }
    };
    if told.is_err() {
        demo.stop().await;
        return told.map(|()| 0);
    }
    let crate::terminal::Signal::Terminate(_) = signals.next().await;
    demo.stop().await;
    Ok(0)
}
