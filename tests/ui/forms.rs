//! Forms, filled in by keyboard and drawn.

use crate::cx;
use crate::cx::loc;
use secchi::action::Action;
use secchi::screen::{Cx, Flow, Open, Screen};
use secchi::screens;
use secchi::widgets::input::Edit;

fn open(open: Open, context: &mut Cx) -> Box<dyn Screen> {
    screens::open(open, context)
}

fn typed(screen: &mut dyn Screen, context: &mut Cx, text: &str) {
    for c in text.chars() {
        screen.edit(&Edit::Insert(c.to_string()), context);
    }
}

fn press(screen: &mut dyn Screen, context: &mut Cx, actions: &[Action]) {
    for action in actions {
        screen.update(*action, context);
    }
}

/// Waits until what the form reads of the disk is seen on it.
async fn until(screen: &mut dyn Screen, context: &mut Cx, words: &str) {
    let all = async {
        loop {
            screen.poll(context);
            if cx::picture(screen, context, 100, 40).contains(words) {
                break;
            }
            context.waker.woken().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(1), all).await.expect(words);
}

fn files() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, size) in [("glodap_v2.csv.zip", 222_000), ("stations.csv", 4_100), ("README.md", 80), (".hidden", 1)] {
        std::fs::write(folder.path().join(name), vec![b'x'; size]).expect("a file");
    }
    for name in ["scenes", "35VLH.zarr"] {
        std::fs::create_dir(folder.path().join(name)).expect("a folder");
    }
    std::fs::write(folder.path().join("scenes/a.tif"), vec![0; 1_000_000]).expect("a file");
    folder
}

/// A picture without the test's own folder, whose name differs from run to run.
fn shot(screen: &mut dyn Screen, context: &Cx, size: (u16, u16), folder: &str) -> String {
    let short = "/data";
    cx::picture(screen, context, size.0, size.1)
        .lines()
        .map(|line| {
            let spaces = " ".repeat(folder.len() - short.len());
            match line.find(folder) {
                // What stands behind it moves back to its place.
                Some(_) if line.trim_end().ends_with('│') => {
                    let swapped = line.replacen(folder, short, 1);
                    let end = swapped.rfind('│').expect("the border");
                    format!("{}{spaces}{}", &swapped[..end], &swapped[end..])
                }
                Some(_) => line.replacen(folder, short, 1),
                None => line.to_owned(),
            }
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[tokio::test]
async fn an_upload_is_described_by_keyboard_alone() {
    let folder = files();
    let root = folder.path().to_string_lossy().into_owned();
    let mut context = cx::for_tests(folder.path());
    let mut form = open(Open::UploadForm { destination: loc("s3://allas@bucket/incoming/") }, &mut context);
    assert!(form.wants_text() && form.is_popup());
    typed(form.as_mut(), &mut context, &format!("{root}/"));
    until(form.as_mut(), &mut context, "stations.csv").await;
    until(form.as_mut(), &mut context, "the whole folder").await;
    insta::assert_snapshot!("upload_picker_80x24", shot(form.as_mut(), &context, (80, 24), &root));
    typed(form.as_mut(), &mut context, "glo");
    press(form.as_mut(), &mut context, &[Action::Down, Action::Enter]);
    until(form.as_mut(), &mut context, "application/zip").await;
    typed(form.as_mut(), &mut context, "scen");
    press(form.as_mut(), &mut context, &[Action::Down, Action::AddRow]);
    until(form.as_mut(), &mut context, "2 files, 1.2 MiB").await;
    press(form.as_mut(), &mut context, &[Action::NextPane, Action::NextPane, Action::NextPane, Action::NextChoice]);
    press(form.as_mut(), &mut context, &[Action::NextPane, Action::NextPane, Action::Enter]);
    typed(form.as_mut(), &mut context, "title");
    insta::assert_snapshot!("upload_filled_80x24", shot(form.as_mut(), &context, (80, 24), &root));
    insta::assert_snapshot!("upload_filled_200x60", shot(form.as_mut(), &context, (200, 60), &root));
    insta::assert_snapshot!("upload_filled_40x12", shot(form.as_mut(), &context, (40, 12), &root));
    for width in [1, 5, 9, 20, 49, 51] {
        for height in [1, 2, 3, 7, 13, 15] {
            cx::picture(form.as_mut(), &context, width, height);
        }
    }
    assert!(matches!(form.update(Action::Back, &mut context), Flow::Done), "asked once more");
    assert!(cx::picture(form.as_mut(), &context, 100, 30).contains("again leaves it"));
    assert!(matches!(form.update(Action::Back, &mut context), Flow::Close));
}

#[tokio::test]
async fn what_is_wrong_stands_under_its_field() {
    let folder = files();
    let mut context = cx::for_tests(folder.path());
    let mut form = open(Open::UploadForm { destination: loc("s3://") }, &mut context);
    assert!(matches!(form.update(Action::Submit, &mut context), Flow::Done));
    let picture = cx::picture(form.as_mut(), &context, 80, 24);
    assert!(picture.contains("✗ choose at least one file or folder"), "{picture}");
    assert!(picture.contains("✗ name a bucket"), "{picture}");
    let gone = folder.path().join("gone.tif").to_string_lossy().into_owned();
    typed(form.as_mut(), &mut context, &gone);
    form.update(Action::NextPane, &mut context);
    until(form.as_mut(), &mut context, "no such file or folder").await;
    form.update(Action::Submit, &mut context);
    let picture = cx::picture(form.as_mut(), &context, 100, 30);
    assert!(picture.contains("no such file or folder"), "{picture}");
}

#[tokio::test]
async fn a_conversion_lies_beside_its_source() {
    let folder = files();
    let root = folder.path().to_string_lossy().into_owned();
    let mut context = cx::for_tests(folder.path());
    let mut form = open(Open::ConvertForm { source: loc("s3://allas@bucket/d/glodap.csv.zip") }, &mut context);
    insta::assert_snapshot!("convert_80x24", shot(form.as_mut(), &context, (80, 24), &root));
    form.edit(&Edit::DeleteWord, &mut context);
    typed(form.as_mut(), &mut context, "stations.csv");
    let picture = cx::picture(form.as_mut(), &context, 80, 24);
    assert!(picture.contains("s3://allas@bucket/d/stations.parquet"), "{picture}");
}

#[tokio::test]
async fn a_benchmark_starts_from_what_is_at_hand() {
    let folder = files();
    let root = folder.path().to_string_lossy().into_owned();
    let mut context = cx::for_tests(folder.path());
    let candidates = vec![loc("s3://b/2024/"), loc("s3://b/35VLH.zarr/")];
    let mut form = open(Open::BenchForm { candidates }, &mut context);
    insta::assert_snapshot!("bench_80x24", shot(form.as_mut(), &context, (80, 24), &root));
    insta::assert_snapshot!("bench_100x30", shot(form.as_mut(), &context, (100, 30), &root));
    context.unicode = false;
    let ascii = cx::picture(form.as_mut(), &context, 80, 24);
    assert!(ascii.chars().all(|c| c.is_ascii() || c == '…'), "{ascii}");
    context.unicode = true;
    match form.update(Action::Submit, &mut context) {
        Flow::Replace(Open::BenchDashboard(_)) => {}
        _ => panic!("{:?}", context.toasts),
    }
    let command = context.last_command.clone().unwrap_or_default().join(" ");
    assert!(command.starts_with("bench run {") && command.contains("s3://b/2024/"), "{command}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_goes_from_the_form_to_the_list_of_jobs() {
    let folder = files();
    let target = tempfile::tempdir().expect("a folder");
    let state = tempfile::tempdir().expect("a folder");
    let mut context = cx::for_tests(state.path());
    let destination = loc(&format!("{}/in/", target.path().display()));
    let mut form = open(Open::UploadForm { destination }, &mut context);
    typed(form.as_mut(), &mut context, &folder.path().join("stations.csv").to_string_lossy());
    form.update(Action::Enter, &mut context);
    typed(form.as_mut(), &mut context, "scenes/");
    form.update(Action::AddRow, &mut context);
    until(form.as_mut(), &mut context, "2 files, 980.6 KiB").await;
    until(form.as_mut(), &mut context, "guessed for stations.csv: text/csv").await;
    assert!(matches!(form.update(Action::Submit, &mut context), Flow::Close), "{:?}", context.toasts);
    assert_eq!(context.last_command.as_ref().map(|c| c[0].as_str()), Some("put"));
    let id = context.jobs.views()[0].id.clone();
    let ended = context.jobs.wait(&id).await.expect("known");
    assert_eq!(ended.state, secchi::job::State::Done, "{:?}", ended.log);
    assert_eq!(std::fs::read(target.path().join("in/stations.csv")).expect("uploaded").len(), 4_100);
    assert_eq!(std::fs::read(target.path().join("in/scenes/a.tif")).expect("uploaded").len(), 1_000_000);
    let mut jobs = open(Open::Jobs(Some(id)), &mut context);
    jobs.poll(&mut context);
    let picture = cx::picture(jobs.as_mut(), &context, 100, 30);
    assert!(picture.contains("✓ done") && picture.contains("2 files, 980.6 KiB"), "{picture}");
}
