//! What a screen is given, for tests: nothing configured, a state folder of its own.
#![allow(dead_code, missing_docs, unreachable_pub)]

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use secchi::config::{Config, Folders};
use secchi::job::Jobs;
use secchi::keymap::Keymap;
use secchi::location::Location;
use secchi::screen::{Cx, Screen};
use secchi::store::{Environment, Options, Stores};
use secchi::task::Waker;
use secchi::terminal::Gallery;
use secchi::theme::Theme;
use std::sync::Arc;

/// Runs a test whose loop stays on this thread, with servers on others.
pub fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    tokio::task::LocalSet::new().block_on(&runtime.expect("a runtime"), test);
}

/// Stores that see nothing of this computer's configuration.
pub fn bare() -> Stores {
    Stores::new(Options { environment: Environment::fixed([("HOME", "/nonexistent")]), ..Options::default() })
}

/// An address.
pub fn loc(text: &str) -> Location {
    Location::parse(text).expect(text)
}

/// A context whose state lies in `folder`.
pub fn for_tests(folder: &std::path::Path) -> Cx {
    with_stores(folder, Stores::new(Options::default()))
}

/// The same with these stores.
pub fn with_stores(folder: &std::path::Path, stores: Stores) -> Cx {
    let waker = Waker::new();
    Cx {
        jobs: Jobs::new(stores.clone(), folder.to_path_buf(), waker.clone()).with_kinds(secchi::jobs::from_spec),
        stores,
        config: Arc::new(Config::from_toml("").expect("an empty configuration")),
        folders: Folders { config: folder.join("config"), state: folder.join("state") },
        keymap: Arc::new(Keymap::shipped().expect("shipped keys")),
        theme: Arc::new(Theme::named("deep").expect("shipped theme")),
        gallery: Gallery::new(waker.clone()),
        waker,
        toasts: Vec::new(),
        last_command: None,
        recents: Vec::new(),
        bookmarks: Vec::new(),
        writable: std::collections::BTreeSet::new(),
        basket: secchi::basket::Basket::default(),
        sizes: secchi::du::Sizes::default(),
        mouse: false,
        hits: secchi::screen::Hits::default(),
        locked: std::collections::BTreeSet::new(),
        demo: None,
        clipboard: None,
        clipboard_works: false,
        confirmed_quit: false,
        unicode: true,
    }
}

/// A picture of a screen: its characters, without the spaces at the ends of lines.
pub fn picture(screen: &mut dyn Screen, cx: &Cx, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test terminal");
    terminal.draw(|frame| screen.draw(frame, frame.area(), cx)).expect("drawn");
    text(terminal.backend().buffer())
}

/// The characters of a buffer.
pub fn text(buffer: &ratatui::buffer::Buffer) -> String {
    let area = buffer.area;
    let line = |y| {
        let mut line = String::new();
        let mut skip = 0;
        for x in 0..area.width {
            let symbol = buffer[(x, y)].symbol();
            if skip == 0 {
                line.push_str(symbol);
                skip = secchi::text::width(symbol).max(1) - 1;
            } else {
                skip -= 1;
            }
        }
        line.trim_end().to_owned()
    };
    (0..area.height).map(line).collect::<Vec<_>>().join("\n")
}
