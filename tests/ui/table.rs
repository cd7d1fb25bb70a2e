//! The table screen driven by keys on the real loop: a file with all that cells can hold, a billion rows
//! that are made up as they are looked at, rows that do not come; filters, sorting, a table in many files.

use crate::cx;
use crate::drive::Drive;
use crate::rows::{Numbers, buoys, lake};
use secchi::location::Location;
use secchi::probe::Probe;
use secchi::screen::Open;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::task::LocalSet;

fn probe(path: &Path) -> Probe {
    Probe::new(Location::parse(&path.to_string_lossy()).expect("a path"))
}

/// Without what reading has cost, which is a matter of how tables are read.
fn steady(screen: &str) -> String {
    let line = |line: &str| match line.find(" request") {
        Some(at) => {
            let before = line[..at].trim_end_matches(|c: char| c.is_ascii_digit() || c == ',').trim_end();
            format!("{before}  (cost)")
        }
        None => line.to_owned(),
    };
    screen.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Whether all cells in sight are there; the bars above and below have dots of their own.
fn is_whole(screen: &str) -> bool {
    let lines: Vec<&str> = screen.lines().collect();
    lines.len() > 5 && !screen.contains("reading…") && lines[1..lines.len() - 2].iter().all(|line| !line.contains('·'))
}

/// Runs `test` with a folder and a screen that shows `open`.
async fn with(open: impl FnOnce(&Path) -> Open, size: (u16, u16), test: impl AsyncFnOnce(&mut Drive)) {
    let state = tempfile::tempdir().expect("a folder");
    let open = open(state.path());
    let context = cx::for_tests(state.path());
    LocalSet::new()
        .run_until(async {
            let mut drive = Drive::start(open, context, size);
            test(&mut drive).await;
        })
        .await;
}

fn file(folder: &Path) -> Open {
    Open::Table { probe: probe(&buoys(folder)) }
}

fn numbers(rows: &Arc<Numbers>) -> Open {
    Open::Rows { title: "numbers".into(), rows: rows.clone(), control: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_is_seen_in_every_size() {
    for (size, name) in [((80, 24), "80x24"), ((200, 60), "200x60"), ((40, 12), "40x12")] {
        with(file, size, async |drive| {
            drive.see("612000").await;
            let screen = drive.settle("all cells", is_whole).await;
            insta::assert_snapshot!(format!("rows_{name}"), steady(&screen));
            drive.keys("$G").await;
            drive.see("first line 299").await;
            let screen = drive.settle("all cells", is_whole).await;
            insta::assert_snapshot!(format!("end_{name}"), steady(&screen));
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cell_a_row_and_the_metadata_are_seen_in_full() {
    with(file, (80, 24), async |drive| {
        drive.see("612000").await;
        drive.keys("5l<Enter>").await;
        drive.see("vertices").await;
        let screen = drive.settle("all cells", |s| is_whole(&s.replace("geometry · row", ""))).await;
        insta::assert_snapshot!("cell_geometry", steady(&screen));
        drive.keys("y").await;
        assert_eq!(drive.copied(), ["POINT (25 61.5)"]);
        drive.keys("<Esc><Esc>").await;
        drive.gone("vertices").await;
        drive.keys("2l<Enter>").await;
        drive.settle("members below each other", |s| s.contains("quality  0") && s.contains("by       boat")).await;
        drive.keys("<Esc>l<Enter>").await;
        drive.see("second ␛[31mline").await;
        drive.keys("<Esc>r").await;
        drive.see("{quality: 0, by: boat}").await;
        drive.keys("l").await;
        drive.see("{quality: 1, by: buoy}").await;
        let screen = drive.settle("all values", is_whole).await;
        insta::assert_snapshot!("record", steady(&screen));
        drive.keys("<Esc>vv").await;
        let screen = drive.see("v4.3.2").await;
        insta::assert_snapshot!("metadata", steady(&screen));
        drive.keys("gg<Enter>").await;
        drive.gone("primary_column").await;
        drive.keys("v").await;
        drive.see("created by").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_are_moved_hidden_frozen_and_found() {
    with(file, (80, 24), async |drive| {
        drive.see("612000").await;
        drive.keys("L").await;
        let heads = |screen: &str| screen.lines().nth(1).unwrap_or_default().to_owned();
        let before = |screen: &str, a: &str, b: &str| {
            heads(screen).find(a).zip(heads(screen).find(b)).is_some_and(|(a, b)| a < b)
        };
        drive.settle("id behind lake", |s| before(s, "lake", "id")).await;
        drive.keys("-").await;
        drive.settle("id is hidden", |s| !heads(s).contains("id") && s.contains("1 hidden")).await;
        drive.keys("0z$").await;
        drive
            .settle("lake is frozen", |s| {
                heads(s).trim_start().starts_with("lake") && s.contains("│") && s.contains("note")
            })
            .await;
        drive.keys("f").await;
        drive.text("secc").await;
        drive.see("Columns: 1 of 9").await;
        drive.keys("<Enter>").await;
        drive.settle("at secchi", |s| heads(s).contains("secchi") && s.contains("column 4 of 8")).await;
        drive.keys("f").await;
        drive.text("id").await;
        drive.see("hidden").await;
        drive.keys("<Enter>").await;
        drive.see("column 2 of 9").await;
        drive.keys(">>").await;
        drive.settle("id is wider", |s| before(s, "lake", "id") && s.contains("        612000")).await;
        drive.keys("z").await;
        drive.keys("#").await;
        drive.text("50%").await;
        drive.keys("<Enter>").await;
        drive.see("row 151 of 300").await;
        drive.keys("12G").await;
        drive.see("row 12 of 300").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_billion_rows_and_a_thousand_columns_are_read_only_where_they_are_looked_at() {
    let rows = Numbers::new(1_000_000_000, 1000, true);
    let open = numbers(&rows);
    with(
        |_| open,
        (100, 30),
        async |drive| {
            drive.see("column 1 of 1,000").await;
            drive.keys("G$").await;
            drive.see("row 1,000,000,000 of 1,000,000,000 · column 1,000 of 1,000").await;
            drive.see("9999999999").await;
            drive.keys("500000000G").await;
            drive.see("4999999999").await;
            drive.settle("all cells", is_whole).await;
        },
    )
    .await;
    let asked = rows.asked.lock().expect("asked");
    let cells: usize = asked.iter().map(|w| w.rows * w.columns.as_ref().map_or(0, Vec::len)).sum();
    assert!(asked.iter().all(|w| w.rows <= 256 && w.columns.as_ref().is_some_and(|c| c.len() < 60)), "{asked:?}");
    assert!(cells < 60_000, "{cells} cells for three looks: {asked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_never_wait_for_rows_and_what_was_passed_by_is_given_up() {
    let rows = Numbers::new(1_000_000, 5, false);
    let open = numbers(&rows);
    with(
        |_| open,
        (80, 24),
        async |drive| {
            drive.see("row 1 of 1,000,000").await;
            for row in [1000, 5000, 90_000, 400_000, 777_777] {
                // Each is answered by a frame although no read ever ends.
                drive.keys(&format!("{row}G")).await;
            }
            let screen = drive.see("row 777,777 of 1,000,000").await;
            assert!(screen.contains('·') && !screen.contains("7777760"), "{screen}");
            // They end on threads of their own.
            let given_up = async {
                while rows.given_up.load(Relaxed) < 3 {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(std::time::Duration::from_secs(20), given_up)
                .await
                .expect("reads passed by are given up");
            rows.gate.add_permits(1000);
            drive.see("7777760").await;
            drive.settle("all cells", is_whole).await;
        },
    )
    .await;
    let last = rows.asked.lock().expect("asked").len();
    assert!(last < 20, "{last} reads");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_layout_is_unfolded_down_to_pages() {
    let rows = Numbers::new(200, 3, true);
    for (size, name) in [((80, 24), "80x24"), ((200, 60), "200x60")] {
        let open = numbers(&rows);
        with(
            |_| open,
            size,
            async |drive| {
                drive.see("column 1 of 3").await;
                drive.keys("v").await;
                drive.see("row group 2").await;
                drive.keys("<Enter>jj<Enter>").await;
                let screen = drive.see("first row").await;
                insta::assert_snapshot!(format!("layout_{name}"), screen);
                drive.keys("hh").await;
                drive.gone("first row").await;
            },
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_starts_with_statistics_and_becomes_exact() {
    for (size, name) in [((80, 24), "80x24"), ((200, 60), "200x60"), ((40, 12), "40x12")] {
        let open = numbers(&Numbers::new(20_000, 3, true));
        with(
            |_| open,
            size,
            async |drive| {
                drive.see("row 1 of").await;
                drive.keys("p").await;
                // Small enough to be read without asking.
                let screen = drive.see("exact").await;
                insta::assert_snapshot!(format!("profile_{name}"), screen);
                drive.keys("l").await;
                drive.settle("the next column", |s| s.contains("c1") && s.contains("exact")).await;
            },
        )
        .await;
    }
    with(file, (80, 24), async |drive| {
        drive.see("612000").await;
        drive.keys("3lp").await;
        drive.settle("told or offered", |s| s.contains("exact") || s.contains("reads all rows")).await;
        drive.keys("<Enter>").await;
        drive.see("exact").await;
        let screen = drive.see("median").await;
        assert!(screen.contains("nulls       6  2.0 %") && screen.contains("frequent values"), "{screen}");
        drive.keys("<Esc>").await;
        drive.gone("median").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_table_says_so_and_shows_what_it_can() {
    let broken = |folder: &Path| {
        let path = folder.join("broken.parquet");
        std::fs::write(&path, "these are words, not rows\n".repeat(20)).expect("written");
        Open::Table { probe: probe(&path) }
    };
    with(broken, (80, 24), async |drive| {
        drive.see("shows what else can be seen of it").await;
        drive.keys("<Enter>").await;
        drive.gone("shows what else can be seen of it").await;
    })
    .await;
}

/// Opens the line for conditions and types there.
async fn filter(drive: &mut Drive, condition: &str) {
    drive.keys("/").await;
    drive.see("Esc closes").await;
    drive.text(condition).await;
    drive.keys("<Enter>").await;
}

/// Whether all is told of what was filtered, and no cell is missing: the strip has dots of its own.
fn is_filtered(screen: &str) -> bool {
    let mut lines: Vec<&str> = screen.lines().collect();
    lines.remove(1);
    !screen.contains('+') && is_whole(&lines.join("\n"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_condition_leaves_the_rows_for_which_it_holds() {
    for (size, name) in [((80, 24), "80x24"), ((200, 60), "200x60"), ((40, 12), "40x12")] {
        with(file, size, async |drive| {
            drive.see("612000").await;
            drive.keys("/").await;
            let screen = drive.settle("the line", |s| s.contains("a condition in SQL") && is_filtered(s)).await;
            insta::assert_snapshot!(format!("filter_line_{name}"), steady(&screen));
            drive.text("dep").await;
            drive.see("depth f64").await;
            drive.keys("<Tab>").await;
            drive.see("/ depth").await;
            drive.text(" > 3.5").await;
            drive.keys("<Enter>").await;
            let screen = drive.settle("all of it", |s| s.contains("20 of 300 rows") && is_filtered(s)).await;
            insta::assert_snapshot!(format!("filtered_{name}"), steady(&screen));
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_looked_at_of_a_filter_is_what_is_left() {
    with(file, (100, 30), async |drive| {
        drive.see("612000").await;
        filter(drive, "lake = 'Lake 3' and depth < 0").await;
        drive.see("of 300 rows").await;
        let left = drive.settle("counted", |s| s.contains("row 1 of 9 ") && s.contains("612003")).await;
        assert!(left.contains("9 of 300 rows"), "{left}");
        drive.keys("Gr").await;
        drive.settle("the last of them", |s| s.contains("612283") && s.contains("row 9 of 9")).await;
        drive.keys("<Esc>0p").await;
        drive.see("exact, 9 rows").await;
        drive.keys("<Esc>v").await;
        let screen = drive.see("this view is of the whole table").await;
        assert!(screen.contains("300 rows"), "{screen}");
        drive.keys("v").await;
        drive.see("sliderule").await;
        drive.keys("<Esc>m").await;
        drive.see("9 of 9 rows").await;
        drive.keys("<Esc>").await;
        drive.see("9 of 300 rows").await;
        // All rows again: by Esc, and by an empty line.
        drive.keys("<Esc>").await;
        drive.see("row 1 of 300").await;
        filter(drive, "id < 612002").await;
        drive.see("2 of 300 rows").await;
        drive.keys("/<C-u>").await;
        drive.see("Enter shows all").await;
        drive.keys("<Enter>").await;
        drive.see("row 1 of 300").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_condition_stays_open_with_its_sentence() {
    with(file, (80, 24), async |drive| {
        drive.see("612000").await;
        filter(drive, "dpth > 3").await;
        drive.see("the nearest is `depth`").await;
        let screen = drive.settle("all cells", is_whole).await;
        insta::assert_snapshot!("filter_wrong", steady(&screen));
        // What is typed goes on where it was.
        drive.keys("<Home>").await;
        drive.keys("<C-u>").await;
        drive.text("not ").await;
        let screen = drive.see("/ not dpth > 3").await;
        assert!(!screen.contains("nearest"), "{screen}");
        drive.keys("<End><C-u>").await;
        drive.text("depth >").await;
        drive.keys("<Enter>").await;
        drive.see("for example: depth > 100").await;
        drive.keys("<C-u>").await;
        drive.text("lake = 'Lake 0' or cast(note as int) > 3").await;
        drive.keys("<Enter>").await;
        // Found only as rows are read.
        drive.see("a value does not fit").await;
        drive.see("cast(note as int)").await;
        drive.keys("<C-u>").await;
        drive.text("id = 612007").await;
        drive.keys("<Enter>").await;
        drive.see("1 of 300 rows").await;
        // Earlier ones.
        drive.keys("/<Up>").await;
        drive.see("/ lake = 'Lake 0'").await;
        drive.keys("<Up><Up>").await;
        drive.see("/ dpth > 3").await;
        drive.keys("<Down><Down><Down>").await;
        drive.see("/ id = 612007").await;
        drive.keys("<Esc>").await;
        drive.see("Enter cell").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_sorted_up_down_and_not_at_all() {
    with(file, (80, 24), async |drive| {
        drive.see("612000").await;
        drive.keys("3ls").await;
        let up = drive.settle("ascending", |s| s.contains("sorted by ↑ depth") && s.contains("612080")).await;
        assert!(up.contains("depth ↑") && up.contains("row 1 of 300"), "{up}");
        let screen = drive.settle("all cells", is_filtered).await;
        insta::assert_snapshot!("sorted_80x24", steady(&screen));
        drive.keys("s").await;
        drive.settle("descending", |s| s.contains("sorted by ↓ depth") && s.contains("612039")).await;
        // Where it is null stands last; another column behind it; with a filter.
        drive.keys("G").await;
        drive.see("612257").await;
        drive.keys("ggllS").await;
        drive.see("has no order to sort by").await;
        drive.keys("0lS").await;
        drive.see("sorted by ↓ depth, ↑ lake").await;
        drive.see("lake ↑2").await;
        filter(drive, "id < 612100").await;
        drive.settle("both", |s| s.contains("100 of 300 rows") && s.contains("↓ depth, ↑ lake")).await;
        drive.settle("sorted", |s| s.lines().any(|l| l.starts_with("   1  612079"))).await;
        drive.keys("ll<Esc>").await;
        drive.settle("as in the file", |s| s.contains("row 1 of 300") && !s.contains('↓')).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_at_work_is_stopped_and_keys_are_answered_meanwhile() {
    let rows = Numbers::held(1_000_000, 3);
    let open = numbers(&rows);
    with(
        |_| open,
        (120, 24),
        async |drive| {
            drive.see("row 1 of 1,000,000").await;
            filter(drive, "c0 > 50").await;
            drive.see("/ c0 > 50   filtering  Esc stops").await;
            drive.keys("G").await;
            drive.see("row 1,000,000 of 1,000,000").await;
            drive.keys("<Esc>").await;
            drive.gone("filtering").await;
            drive.see("the filter was stopped").await;
            drive.keys("s").await;
            let screen = drive.see("sorting by ↑ c0  Esc stops").await;
            assert!(screen.contains("spills to disk above"), "{screen}");
            // A cell that is looked at stays; the newest wish goes before.
            drive.keys("<Enter>").await;
            drive.keys("<Esc>s").await;
            drive.see("sorting by ↓ c0").await;
            rows.scans.add_permits(1000);
            let screen = drive.see("sorted by ↓ c0").await;
            assert!(!screen.contains("sorting"), "{screen}");
            drive.see("9999990").await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_of_files_is_one_table() {
    let browse = |folder: &Path| {
        let lake = lake(folder);
        std::fs::create_dir(lake.with_file_name("other")).expect("a folder");
        Open::Browse(Location::parse(&format!("{}/", folder.display())).expect("a path"))
    };
    with(browse, (120, 24), async |drive| {
        drive.see("lake/").await;
        drive.see("O opens lake/ as one table").await;
        // Entering it is what it was.
        drive.keys("<Enter>").await;
        drive.see("year=2024/").await;
        drive.see("O opens lake/ as one table").await;
        drive.keys("O").await;
        drive.see("4 files · 400 rows × 4 columns · by year, month").await;
        let screen = drive.settle("all cells", is_whole_of_many).await;
        insta::assert_snapshot!("folder", steady(&screen));
        filter(drive, "year = 2024 and id % 50 = 1").await;
        let screen = drive.settle("counted", |s| s.contains("4 of 400 rows") && is_filtered(s)).await;
        insta::assert_snapshot!("folder_filtered", steady(&screen));
        drive.keys("<Esc><Esc>").await;
        drive.see("year=2023/").await;
    })
    .await;
}

/// As [`is_whole`], where the bar tells of many files.
fn is_whole_of_many(screen: &str) -> bool {
    is_whole(screen) && screen.contains("partition")
}
