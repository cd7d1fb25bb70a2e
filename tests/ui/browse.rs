//! Browsing, by keys and by mouse: selecting, searching, measuring, tabs, and whatever keys are called.

use crate::bucket;
use crate::cli;
use crate::cli::Program;
use crate::cx;
use crate::cx::{bare, loc, run};
use crate::drive;
use crate::drive::{Drive, steady};
use crate::support;
use crate::support::{Ceph, S3s, new_bucket};
use crossterm::event::{Event, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use secchi::action::Action;
use secchi::app::Input;
use secchi::location::Location;
use secchi::screen::{Cx, Open};
use secchi::store::{Stores, UploadMeta};
use std::path::Path;

const SMALL: (u16, u16) = (80, 24);
const SIZES: [(&str, (u16, u16)); 4] =
    [("80x24", SMALL), ("120x36", (120, 36)), ("200x60", (200, 60)), ("40x12", (40, 12))];

/// Stores with these objects in `memory://`: `(key, bytes)`.
async fn memory(objects: &[(&str, usize)]) -> Stores {
    let stores = bare();
    put(&stores, &loc("memory:///"), objects).await;
    stores
}

async fn put(stores: &Stores, root: &Location, objects: &[(&str, usize)]) {
    let handle = stores.open(root, stores.meter()).await.expect("opens");
    for (key, size) in objects {
        let bytes = vec![b'x'; *size].into();
        handle.put_object(key, bytes, &UploadMeta::default(), true).await.expect(key);
    }
}

/// Two scenes with bands, and a file beside them.
const SCENES: &[(&str, usize)] = &[
    ("2024/B02.tif", 2048),
    ("2024/B03.tif", 4096),
    ("2024/B04.tif", 1024),
    ("2024/MTD.xml", 100),
    ("2025/B02.tif", 3072),
    ("2025/deep/er/B08.tif", 10_240),
    ("2025/deep/notes.txt", 10),
    ("readme.md", 20),
];

struct Place {
    state: tempfile::TempDir,
    stores: Stores,
}

impl Place {
    async fn of(objects: &[(&str, usize)]) -> Self {
        Self { state: tempfile::tempdir().expect("a folder"), stores: memory(objects).await }
    }

    fn cx(&self) -> Cx {
        cx::with_stores(self.state.path(), self.stores.clone())
    }

    fn at(&self, key: &str, size: (u16, u16)) -> Drive {
        Drive::start(Open::Browse(loc("memory:///").with_key(key)), self.cx(), size)
    }
}

/// The names that are marked as selected in the first list of the screen.
fn marked(screen: &str) -> Vec<String> {
    let names = screen.lines().skip(1).filter_map(|l| l.strip_prefix('●'));
    names.map(|l| l.split([' ', '│']).next().unwrap_or_default().to_owned()).collect()
}

fn cursor(screen: &str) -> String {
    let line = screen.lines().skip(1).find_map(|l| l.strip_prefix('▸')).unwrap_or_default();
    line.split(['│', ' ']).next().unwrap_or_default().to_owned()
}

#[test]
fn a_selection_goes_over_folders_and_tabs_and_is_peeled_one_layer_at_a_time() {
    run(async {
        let place = Place::of(SCENES).await;
        let mut drive = place.at("2024/", SMALL);
        drive.see("4 entries").await;
        drive.keys("<Space><Space>").await;
        let screen = drive.see("2 selected · 6.0 KiB").await;
        assert_eq!(marked(&screen), ["B02.tif", "B03.tif"]);
        assert_eq!(cursor(&screen), "B04.tif");
        // Reading it again keeps it.
        drive.keys("<F5>").await;
        drive.settle("the same again", |s| !s.contains("… entr") && marked(s).len() == 2).await;
        // In another folder, in another tab, in the folder again.
        drive.keys("h").await;
        drive.see("2 selected · 6.0 KiB · elsewhere").await;
        drive.see("3 entries").await;
        drive.keys("j<C-t>").await;
        drive.see("2 entries").await;
        drive.keys("jv").await;
        drive.see("range of 1").await;
        drive.keys("kv").await;
        let screen = drive.see("4 selected · 9.0 KiB · 2 folders").await;
        assert_eq!(marked(&screen), ["B02.tif", "deep/"]);
        drive.keys("1k").await;
        drive.keys("l").await;
        let screen = drive.settle("the folder again", |s| marked(s).len() == 2).await;
        assert_eq!(marked(&screen), ["B02.tif", "B03.tif"]);
        // A filter hides what is selected and does not unselect it.
        drive.keys("/").await;
        drive.text("mtd").await;
        drive.keys("<Enter>a").await;
        drive.see("5 selected").await;
        drive.keys("v").await;
        drive.keys("<Esc>").await;
        drive.gone("range of").await;
        drive.keys("<Esc>").await;
        let screen = drive.gone("shows all").await;
        assert_eq!(marked(&screen), ["B02.tif", "B03.tif", "MTD.xml"], "{screen}");
        drive.keys("<Esc>").await;
        let screen = drive.see("2 selected").await;
        assert!(marked(&screen).is_empty() && screen.contains("elsewhere"), "{screen}");
        drive.keys("<Esc>").await;
        drive.see("_ unselects all in other folders").await;
        drive.keys("*").await;
        assert_eq!(marked(&drive.screen()).len(), 4);
        drive.keys("_").await;
        drive.gone(" selected").await;
        assert!(!drive.has_ended());
    });
}

#[test]
fn what_is_selected_is_listed_and_dropped() {
    run(async {
        let place = Place::of(SCENES).await;
        for (name, size) in SIZES {
            let mut drive = place.at("2024/", size);
            drive.see("MTD.xml").await;
            drive.settle("the whole list", |s| s.contains("4 entries")).await;
            drive.keys("A").await;
            drive.see("nothing is selected").await;
            drive.keys("+").await;
            drive.text("B0[23].tif").await;
            if size.0 > 40 {
                drive.see("2 match").await;
            }
            drive.keys("<Enter>").await;
            drive.see("2 selected").await;
            drive.keys("h").await;
            drive.settle("the root", |s| s.contains("3 entries")).await;
            drive.keys("+").await;
            drive.text("2025/**/*.tif").await;
            drive.keys("<Enter>").await;
            drive.see("4 selected").await;
            drive.keys("A").await;
            drive.settle("the list", |s| s.contains("B08.tif")).await;
            drive.gone("objects selected").await;
            insta::assert_snapshot!(format!("basket_{name}"), without_ages(&drive.screen()));
            drive.keys("Gx").await;
            drive.see("3 selected").await;
            drive.keys("ggX").await;
            drive.see("1 selected").await;
            drive.keys("<Enter>").await;
            drive.settle("its folder", |s| s.contains("2 entries") && s.contains("●B02.tif")).await;
            drive.keys("q").await;
            drive.settle("the root", |s| s.contains("3 entries")).await;
            drive.keys("-").await;
            drive.text("**").await;
            drive.keys("<Enter>").await;
            drive.gone("1 selected").await;
        }
    });
}

#[test]
fn names_are_searched_and_jumped_to() {
    run(async {
        let names: Vec<String> = (0..300).map(|i| format!("scene-{i:03}.tif")).chain(["Zebra".into()]).collect();
        let objects: Vec<(&str, usize)> = names.iter().map(|n| (n.as_str(), 1)).collect();
        let place = Place::of(&objects).await;
        let mut drive = place.at("", SMALL);
        drive.see("301 entries").await;
        drive.keys("f").await;
        drive.text("-20").await;
        assert_eq!(cursor(&drive.screen()), "scene-200.tif");
        drive.text("9x").await;
        drive.see("no such name").await;
        drive.keys("<Backspace><Enter>").await;
        assert_eq!(cursor(&drive.screen()), "scene-209.tif");
        drive.keys("<Esc>").await;
        drive.keys("n").await;
        drive.see("f searches in names").await;
        drive.keys("f").await;
        drive.text("99").await;
        drive.keys("<Enter>n").await;
        assert_eq!(cursor(&drive.screen()), "scene-099.tif", "it goes round");
        drive.keys("N").await;
        assert_eq!(cursor(&drive.screen()), "scene-299.tif");
        drive.gone("nothing is searched").await;
        insta::assert_snapshot!("find_80x24", steady(&drive.screen()));
        drive.keys("<Esc>120G").await;
        assert_eq!(cursor(&drive.screen()), "scene-118.tif", "the 120th: Zebra stands first");
        drive.keys("50%").await;
        assert_eq!(cursor(&drive.screen()), "scene-149.tif");
        drive.keys("7j").await;
        assert_eq!(cursor(&drive.screen()), "scene-156.tif");
        drive.keys("12").await;
        drive.see(" 12…").await;
        drive.keys("<Esc>j").await;
        assert_eq!(cursor(&drive.screen()), "scene-157.tif", "Esc forgets the number");
        drive.keys("'").await;
        drive.text("ze").await;
        assert_eq!(cursor(&drive.screen()), "Zebra");
        drive.keys("<Esc>").await;
        assert_eq!(cursor(&drive.screen()), "scene-157.tif", "Esc goes back to where one was");
        drive.keys("0000012ggG").await;
        assert_eq!(cursor(&drive.screen()), "scene-299.tif");
    });
}

#[test]
fn prefixes_are_measured_and_sorted_by_their_size() {
    run(async {
        let server = S3s::start().await;
        let (stores, root) = new_bucket(Stores::new(server.options())).await;
        put(&stores, &root, SCENES).await;
        let state = tempfile::tempdir().expect("a folder");
        let mut drive = Drive::start(Open::Browse(root), cx::with_stores(state.path(), stores), SMALL);
        drive.see("3 entries").await;
        drive.keys("=").await;
        let screen = drive.see("2024/ 4 objects · 7.1 KiB").await;
        assert!(screen.lines().any(|l| l.starts_with("▸2024/") && l.contains("7.1 KiB")), "{screen}");
        drive.keys("g=").await;
        drive.keys("j").await;
        drive.see("2025/ 3 objects · 13.0 KiB").await;
        drive.keys("<Space>").await;
        drive.see("1 selected · 13.0 KiB").await;
        drive.keys("gg").await;
        drive.keys("sS").await;
        let order = |s: &str| {
            let names = ["2024/", "2025/", "readme.md"];
            let line = |n: &str| s.lines().skip(1).position(|l| l.get(..20).unwrap_or(l).contains(n));
            let mut found: Vec<_> = names.iter().map(|n| (line(n), *n)).collect();
            found.sort();
            found.into_iter().map(|(_, n)| n).collect::<Vec<_>>()
        };
        assert_eq!(order(&drive.screen()), ["2025/", "2024/", "readme.md"], "{}", drive.screen());
        // What was measured is remembered when the place is opened again.
        drive.keys("<C-t>").await;
        drive.keys("h").await;
        let screen = drive.see("3 entries").await;
        assert!(screen.contains("7.1 KiB"), "{screen}");
        drive.keys("x").await;
        drive.see("nothing is being counted").await;
    });
}

#[test]
fn a_count_under_way_is_shown_and_stopped() {
    run(async {
        // A server that accepts and never answers.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let silent = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((socket, _)) = listener.accept().await {
                held.push(socket);
            }
        });
        let place = Place::of(SCENES).await;
        let mut cx = place.cx();
        let stores = Stores::new(support::s3_options(&silent, "key", "secret"));
        cx.sizes.ask(&loc("memory:///"), "2024/", loc("s3://lake/2024/"));
        cx.sizes.poll(&stores, &cx.waker);
        let mut drive = Drive::start(Open::Browse(loc("memory:///")), cx, SMALL);
        drive.see("counting 2024/ 0 objects").await;
        let frames = drive.frames();
        drive.frame(frames + 2).await;
        drive.see("0 B…").await;
        drive.keys("<Esc>").await;
        drive.gone("counting 2024/").await;
        drive.see("stopped counting").await;
    });
}

#[test]
fn tabs_and_history_keep_cursor_and_filter() {
    run(async {
        let place = Place::of(SCENES).await;
        let mut drive = place.at("", SMALL);
        drive.see("3 entries").await;
        drive.keys("l").await;
        drive.see("4 entries").await;
        drive.keys("/").await;
        drive.text("B0").await;
        drive.keys("<Enter>jj").await;
        let there = cursor(&drive.screen());
        drive.keys("h").await;
        drive.see("3 entries").await;
        assert_eq!(cursor(&drive.screen()), "2024/");
        drive.keys("j").await;
        drive.keys("H").await;
        let screen = drive.settle("the filtered folder", |s| s.contains("3 of 4")).await;
        assert_eq!(cursor(&screen), there);
        drive.keys("L").await;
        let screen = drive.settle("forward again", |s| s.contains("3 entries")).await;
        assert_eq!(cursor(&screen), "2025/");
        drive.keys("L").await;
        drive.see("no place after").await;
        // Going in again remembers the cursor; the filter was for then.
        drive.keys("kl").await;
        let screen = drive.settle("the whole folder", |s| s.contains(" 4 entries")).await;
        assert_eq!(cursor(&screen), there);
        // Tabs: each has its own.
        drive.keys("t").await;
        let screen = drive.settle("a tab line", |s| s.starts_with(" 1 2024  2 2024")).await;
        assert!(screen.lines().nth(1).expect("a header").contains("2024"), "{screen}");
        drive.keys("h").await;
        drive.see("3 entries").await;
        drive.keys("j<C-t>").await;
        drive.settle("a third tab", |s| s.starts_with(" 1 2024  2 memory  3 2025")).await;
        drive.keys("1").await;
        assert_eq!(cursor(&drive.screen()), there);
        drive.keys("[").await;
        drive.settle("the last tab", |s| s.contains("deep/") && s.contains("2 entries")).await;
        drive.keys("q").await;
        drive.settle("two tabs", |s| s.starts_with(" 1 2024  2 memory\n")).await;
        drive.keys("q").await;
        drive.settle("no tab line", |s| !s.starts_with(" 1 ")).await;
        assert!(!drive.has_ended());
    });
}

#[test]
fn reading_again_keeps_the_place_even_where_it_is_gone() {
    run(async {
        let folder = tempfile::tempdir().expect("a folder");
        let state = tempfile::tempdir().expect("a folder");
        let file = |i: usize| folder.path().join(format!("file-{i:03}.txt"));
        for i in 0..100 {
            std::fs::write(file(i), "x").expect("a file");
        }
        let here = Location::file(folder.path()).as_container();
        let mut drive = Drive::start(Open::Browse(here), cx::with_stores(state.path(), bare()), SMALL);
        drive.see("100 entries").await;
        drive.keys("50G<Space>kk").await;
        let line = |s: &str| s.lines().position(|l| l.starts_with('▸'));
        let before = drive.screen();
        assert_eq!(cursor(&before), "file-048.txt");
        std::fs::remove_file(file(48)).expect("removed");
        std::fs::remove_file(file(49)).expect("removed");
        for name in ["a.txt", "b.txt", "c.txt"] {
            std::fs::write(folder.path().join(name), "new").expect("a file");
        }
        drive.keys("<F5>").await;
        let after = drive.settle("the new list", |s| s.contains("101 entries")).await;
        assert_eq!(cursor(&after), "file-050.txt", "the nearest that is there\n{after}");
        assert_eq!(line(&after), line(&before), "on the same line of the screen\n{after}");
        drive.see("one that was selected is not there any more").await;
    });
}

#[test]
fn the_lock_is_seen_and_turned() {
    run(async {
        let place = Place::of(SCENES).await;
        let mut drive = place.at("", (40, 12));
        drive.see("○ read-only").await;
        drive.keys("R").await;
        drive.see("● writable").await;
        drive.see("can be written to").await;
        drive.keys("R").await;
        drive.see("○ read-only").await;
    });
}

#[test]
fn what_is_deleted_is_counted_typed_and_gone_from_the_list() {
    run(async {
        for (name, size) in [("80x24", SMALL), ("200x60", (200, 60)), ("40x12", (40, 12))] {
            let place = Place::of(SCENES).await;
            let mut drive = place.at("", size);
            drive.settle("the list", |s| s.contains("3 entries")).await;
            drive.keys("D").await;
            drive.see("read-only").await;
            drive.keys("RD").await;
            let counted = |s: &str| {
                s.contains("4 objects") && s.contains("2024/B02.tif") && s.contains("type 4") && !s.contains("counting")
            };
            let question = drive.settle("counted", counted).await;
            // The message below goes by itself after some seconds.
            let popup: Vec<&str> = question.lines().filter(|line| line.contains(['│', '╭', '╰'])).collect();
            let popup: Vec<&str> = popup.into_iter().skip_while(|line| !line.contains('╭')).collect();
            let end = popup.iter().position(|line| line.contains('╰')).map_or(popup.len(), |at| at + 1);
            insta::assert_snapshot!(format!("delete_{name}"), popup[..end].join("\n"));
            // The safe button has the focus.
            drive.keys("<Enter>").await;
            drive.settle("nothing was done", |s| s.contains("3 entries") && !s.contains("4 objects")).await;
            // Another number deletes nothing.
            drive.keys("D").await;
            drive.settle("counted", |s| s.contains("4 objects")).await;
            drive.keys("<Tab>").await;
            drive.text("5").await;
            drive.keys("<Tab><Enter>").await;
            assert!(drive.screen().contains("4 objects"), "{}", drive.screen());
            drive.keys("<S-Tab><Backspace>").await;
            drive.text("4").await;
            drive.keys("<Enter>").await;
            let after = drive.settle("listed again", |s| s.contains("2 entries")).await;
            assert_eq!(cursor(&after), "2025/");
        }
    });
}

#[test]
fn browsing_at_every_size() {
    run(async {
        let mut objects = SCENES.to_vec();
        let long = format!("{}.tif", "very-long-name-".repeat(12));
        objects.extend([("湖/x", 1), ("tab\tname", 7), (long.as_str(), 1 << 20)]);
        let place = Place::of(&objects).await;
        for (name, size) in SIZES {
            let mut drive = place.at("", size);
            drive.see("6 entries").await;
            drive.keys("Gk").await;
            drive.keys("<Space>=").await;
            drive.see("1 selected").await;
            drive.keys("gg=").await;
            drive.see("2024/ 4 objects").await;
            drive.gone("counting").await;
            if size.0 >= 60 {
                drive.see("MTD.xml").await;
            }
            insta::assert_snapshot!(format!("browse_{name}"), without_ages(&drive.screen()));
        }
    });
}

/// How long ago something was made differs from run to run: `1 s` behind a size, before a rule.
fn without_ages(screen: &str) -> String {
    let line = |line: &str| match line.rfind(" s │") {
        Some(at) if at > 6 => format!("{}    # s{}", &line[..at - 4], &line[at + 2..]),
        _ => line.to_owned(),
    };
    steady(screen).lines().map(line).collect::<Vec<_>>().join("\n")
}

fn mouse(drive: &Drive, kind: MouseEventKind, column: u16, row: u16) {
    let event = MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE };
    drive.send(Input::Terminal(Event::Mouse(event)));
}

async fn click(drive: &mut Drive, column: u16, row: u16) {
    mouse(drive, MouseEventKind::Down(MouseButton::Left), column, row);
    mouse(drive, MouseEventKind::Up(MouseButton::Left), column, row);
    drive.answered().await;
}

/// Where these words stand on the screen.
fn find(drive: &Drive, words: &str) -> (u16, u16) {
    let screen = drive.screen();
    let (y, line) = screen.lines().enumerate().find(|(_, l)| l.contains(words)).expect(words);
    let before = &line[..line.find(words).expect(words)];
    (secchi::text::width(before) as u16, y as u16)
}

#[test]
fn the_mouse_is_an_option() {
    run(async {
        let place = Place::of(SCENES).await;
        let mut drive = place.at("", SMALL);
        drive.see("3 entries").await;
        let (x, y) = find(&drive, "readme.md");
        click(&mut drive, x, y).await;
        assert_eq!(cursor(&drive.screen()), "2024/", "it is off until it is switched on");
        drive.keys(":").await;
        drive.text("mouse").await;
        drive.keys("<Enter>").await;
        drive.see("hold Shift to select text").await;
        click(&mut drive, x, y).await;
        assert_eq!(cursor(&drive.screen()), "readme.md");
        click(&mut drive, 3, 2).await;
        assert_eq!(cursor(&drive.screen()), "2025/");
        // The row under the cursor again: it opens.
        click(&mut drive, 3, 2).await;
        drive.see("2 entries").await;
        drive.keys("jl").await;
        drive.see("er/").await;
        drive.settle("deep", |s| s.lines().next().is_some_and(|l| l.contains("2025 ▸ deep"))).await;
        // A part of the address goes there, the cursor on where one came from.
        let (x, y) = find(&drive, "memory ▸");
        click(&mut drive, x, y).await;
        let screen = drive.settle("the root", |s| s.contains("3 entries")).await;
        assert_eq!(cursor(&screen), "2025/");
        // The wheel scrolls what is under the pointer; clicks on tabs and hints do what they say.
        mouse(&drive, MouseEventKind::ScrollUp, 3, 2);
        drive.answered().await;
        drive.keys("t").await;
        drive.see("2 memory").await;
        let (x, _) = find(&drive, "1 memory");
        click(&mut drive, x, 0).await;
        drive.see("? help").await;
        let (x, y) = find(&drive, "help");
        click(&mut drive, x, y).await;
        drive.see("Keys").await;
        click(&mut drive, 3, 3).await;
        drive.keys("<Esc>").await;
        drive.gone("─ Keys").await;
    });
}

#[test]
fn the_wheel_scrolls_a_long_list() {
    run(async {
        let names: Vec<String> = (0..200).map(|i| format!("f-{i:03}")).collect();
        let objects: Vec<(&str, usize)> = names.iter().map(|n| (n.as_str(), 1)).collect();
        let place = Place::of(&objects).await;
        let mut cx = place.cx();
        cx.mouse = true;
        let mut drive = Drive::start(Open::Browse(loc("memory:///")), cx, SMALL);
        drive.see("200 entries").await;
        for _ in 0..4 {
            mouse(&drive, MouseEventKind::ScrollDown, 3, 5);
        }
        drive.answered().await;
        let screen = drive.screen();
        assert!(screen.lines().nth(1).is_some_and(|l| l.contains("f-012")), "{screen}");
        assert_eq!(cursor(&screen), "f-014", "the cursor stays in sight\n{screen}");
        for _ in 0..400 {
            mouse(&drive, MouseEventKind::ScrollDown, 3, 5);
        }
        drive.answered().await;
        assert!(drive.screen().contains("f-199"));
        for _ in 0..400 {
            mouse(&drive, MouseEventKind::ScrollUp, 3, 5);
        }
        drive.answered().await;
        assert!(drive.screen().lines().nth(1).is_some_and(|l| l.contains("f-000")), "{}", drive.screen());
    });
}

/// A frame that holds no control character and no line longer than it is wide.
fn assert_harmless(terminal: &Terminal<TestBackend>) {
    let buffer = terminal.backend().buffer();
    for cell in buffer.content() {
        let bad = |c: char| {
            c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c)
        };
        assert!(!cell.symbol().chars().any(bad), "{:?}", cell.symbol());
    }
    for line in drive::text(buffer).lines() {
        assert!(secchi::text::width(line) <= usize::from(buffer.area.width), "{line:?}");
    }
}

/// Keys as nobody would write them: controls, right to left, wide, combining, long.
fn any_key() -> impl Strategy<Value = String> {
    prop_oneof![
        "[^/]{1,40}",
        "[\u{0}-\u{1f}\u{7f}-\u{9f}]{1,8}",
        "[א-ת\u{202e}\u{2066}a]{1,20}",
        "[湖水👩🔬\u{200d}\u{fe0f}]{1,30}",
        "a[\u{300}-\u{36f}]{1,30}",
        "[a-z]{900,1024}",
        "[^/]{1,10}//[^/]{1,10}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn any_keys_are_drawn_at_any_size(
        keys in proptest::collection::btree_set(any_key(), 1..20),
        sizes in proptest::collection::vec((1_u16..=200, 1_u16..=60), 1..10),
    ) {
        run(async move {
            let objects: Vec<(&str, usize)> = keys.iter().map(|k| (k.as_str(), k.len())).collect();
            let place = Place::of(&objects).await;
            let mut cx = place.cx();
            cx.mouse = true;
            let mut screen = secchi::screens::open(Open::Browse(loc("memory:///")), &mut cx);
            while screen.is_moving(&cx) {
                cx.waker.woken().await;
                screen.poll(&mut cx);
            }
            let typed = secchi::widgets::input::Edit::Insert(keys.iter().next().expect("a key").clone());
            for (i, (width, height)) in sizes.into_iter().enumerate() {
                let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
                for action in [Action::Down, Action::Select, Action::SelectRange, Action::Bottom, Action::MeasureAll] {
                    screen.update(action, &mut cx);
                    terminal.draw(|frame| screen.draw(frame, frame.area(), &cx)).expect("drawn");
                    assert_harmless(&terminal);
                }
                screen.update([Action::Find, Action::Filter, Action::SelectGlob][i % 3], &mut cx);
                screen.edit(&typed, &mut cx);
                terminal.draw(|frame| screen.draw(frame, frame.area(), &cx)).expect("drawn");
                assert_harmless(&terminal);
                let mut basket = secchi::screens::open(Open::Basket, &mut cx);
                terminal.draw(|frame| basket.draw(frame, frame.area(), &cx)).expect("drawn");
                assert_harmless(&terminal);
                screen.update(Action::Back, &mut cx);
            }
        });
    }
}

/// What `du` prints, as `(objects, bytes)`, by location.
fn counted(run: cli::Run) -> Vec<(String, u64, u64)> {
    let of = |v: serde_json::Value| {
        let number = |name: &str| v[name].as_u64().expect("a number");
        (v["location"].as_str().unwrap_or("total").to_owned(), number("objects"), number("bytes"))
    };
    run.ok().json().into_iter().map(of).collect()
}

#[test]
fn du_counts_a_bucket_as_another_client_does() {
    let Some(ceph) = Ceph::find() else { return };
    let bucket = bucket::Bucket::new(&ceph);
    let mut truth = (0, 0);
    for i in 0..1203_usize {
        let below = i % 3 == 0;
        bucket.put(&format!("{}/{i:04}", if below { "a/b" } else { "z" }), vec![0; i % 7]);
        if below {
            truth = (truth.0 + 1, truth.1 + (i % 7) as u64);
        }
    }
    bucket.put("a//odd", "12345");
    let all = (0..1203_usize).map(|i| (i % 7) as u64).sum::<u64>() + 5;
    let program = Program::new().with_keys(&ceph.endpoint, &ceph.key, &ceph.secret);
    let (root, a, one) = (bucket.at(""), bucket.at("a/"), bucket.at("z/0001"));
    let found = counted(program.run(&["du", "--json", "--total", &root, &a, &one]));
    assert_eq!(found[0], (root.clone(), 1204, all));
    assert_eq!(found[1], (a.clone(), truth.0 + 1, truth.1 + 5));
    assert_eq!(found[2], (one, 1, 1));
    assert_eq!(found[3], ("total".to_owned(), 1204 + truth.0 + 2, all + truth.1 + 6));
    let levels = program.run(&["du", "--json", "--depth", "2", &root]).ok().object();
    let names: Vec<&str> =
        levels["prefixes"].as_array().expect("levels").iter().filter_map(|p| p["prefix"].as_str()).collect();
    assert_eq!(names, ["a/", "a//", "a/b/", "z/"]);
    let table = program.run(&["du", &a]).ok();
    assert!(table.text().contains("402 objects") && table.text().ends_with(&format!("{a}\n")), "{}", table.text());
}

#[test]
fn du_says_what_it_could_not_count() {
    let program = Program::new().with_keys("http://127.0.0.1:9", "key", "secret-secret");
    let file = program.write("some/file.bin", [0; 300]);
    let folder = Path::new(&file).parent().expect("a folder").to_string_lossy().into_owned();
    assert_eq!(counted(program.run(&["du", "--json", &file])), [(file.clone(), 1, 300)]);
    assert_eq!(counted(program.run(&["du", "--json", &folder])), [(format!("{folder}/"), 1, 300)]);
    program.run(&["du"]).refused(2, &["LOCATION"]);
    program.run(&["du", "--json", &format!("{folder}/none/")]).refused(3, &[]);
    // One that cannot be reached does not keep the other from being counted.
    let run = program.run(&["du", "--json", "--total", "s3://lake/", &folder]);
    assert_eq!(run.code, 5, "{}", run.stderr);
    let lines = run.json();
    assert_eq!((lines[0]["bytes"].as_u64(), lines[1]["bytes"].as_u64()), (Some(300), Some(300)));
    assert_eq!(lines[1]["complete"], false);
}

#[test]
fn du_that_is_stopped_tells_what_it_has() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = format!("http://{}", listener.local_addr().expect("an address"));
    let program = Program::new().with_keys(&silent, "key", "secret-secret");
    let run = program.start(&["du", "--json", "s3://lake/"]);
    // It has asked: it runs.
    let _held = listener.accept().expect("a request");
    run.signal(rustix::process::Signal::INT);
    let run = run.end();
    assert_eq!(run.code, 130, "{}", run.stderr);
    let line = run.object();
    assert_eq!((line["objects"].as_u64(), line["complete"].as_bool()), (Some(0), Some(false)));
}
