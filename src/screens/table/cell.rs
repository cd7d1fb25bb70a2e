//! One cell in full: text wrapped, nested values as a tree, bytes as a dump, geometry with what it is.

use super::tree::{Twig, twigs};
use crate::error::{Error, Result};
use crate::screen::Cx;
use crate::screen::popup::framed;
use crate::screens::popup;
use crate::table::wkt::{native_column, wkb_column};
use crate::table::{About, Encoding, GeoColumn, Rows, Window, cell_json, format_cell};
use crate::task::{Pending, Waker, poll_slot};
use crate::text;
use crate::theme::Role;
use arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch};
use arrow::datatypes::DataType;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use serde_json::Value;
use std::fmt::Write as _;
use std::sync::Arc;

/// Characters of a text or a geometry that are shown and copied.
const MOST_TEXT: usize = 256 << 10;
/// Bytes of a dump.
const MOST_BYTES: usize = 16 << 10;

/// What a cell holds.
pub(super) struct Full {
    /// Names and values above it: type, vertices, bounds.
    facts: Vec<(&'static str, String)>,
    twigs: Vec<Twig>,
    /// As it is copied.
    copy: String,
}

/// The popup.
pub(super) struct Cell {
    title: String,
    pending: Option<Pending<Full>>,
    full: Option<Result<Full>>,
    /// Its lines as they were wrapped last, and for which width.
    lines: Option<(u16, Vec<Line<'static>>)>,
    scroll: usize,
    height: usize,
}

impl Cell {
    /// Reads the cell in the background.
    pub(super) fn open(rows: &Arc<dyn Rows>, row: u64, column: usize, waker: &Waker) -> Self {
        let (about, rows) = (rows.about(), rows.clone());
        let name = about.columns.get(column).map(|c| c.name.clone()).unwrap_or_default();
        let title = format!("{} · row {}", text::clean(&name), text::count(row + 1));
        let pending = Pending::spawn(waker, async move {
            let window = Window { rows: 1, offset: row, columns: Some(vec![name.clone()]) };
            let batch = rows.window(window).await?;
            if batch.num_rows() == 0 || batch.num_columns() == 0 {
                return Err(Error::invalid("the row is not there"));
            }
            let read = tokio::task::spawn_blocking(move || full(&batch, &about, &name));
            read.await.map_err(|err| Error::invalid("the cell could not be shown").with_source(err))
        });
        Self { title, pending: Some(pending), full: None, lines: None, scroll: 0, height: 10 }
    }

    pub(super) fn poll(&mut self) {
        if let Some(full) = poll_slot(&mut self.pending) {
            self.full = Some(full);
            self.lines = None;
        }
    }

    pub(super) fn is_loading(&self) -> bool {
        self.pending.is_some()
    }

    /// What is copied, and what it is called.
    pub(super) fn copy(&self) -> Option<(String, String)> {
        let full = self.full.as_ref()?.as_ref().ok()?;
        Some((self.title.clone(), full.copy.clone()))
    }

    pub(super) fn scroll(&mut self, by: isize) {
        self.scroll = self.scroll.saturating_add_signed(by);
    }

    /// Lines of a page.
    pub(super) fn page(&self) -> isize {
        self.height.max(2) as isize - 1
    }

    pub(super) fn draw(&mut self, frame: &mut Frame, area: Rect, hints: &[(String, &str)], cx: &Cx) {
        let width = area.width.saturating_sub(4).clamp(10.min(area.width), 110);
        let inner_width = width.saturating_sub(4);
        if self.lines.as_ref().is_none_or(|(w, _)| *w != inner_width) {
            self.lines = Some((inner_width, self.render(inner_width.into(), cx)));
        }
        let Some((_, lines)) = &self.lines else { return };
        let height = (lines.len() as u16).saturating_add(4).clamp(6, area.height.saturating_sub(2).max(6));
        let inner = framed(frame, area, width, height, &self.title, cx);
        let foot = Rect { y: inner.bottom().saturating_sub(1), height: 1.min(inner.height), ..inner };
        let body = Rect { height: inner.height.saturating_sub(2), ..inner };
        self.height = usize::from(body.height.max(1));
        self.scroll = self.scroll.min(lines.len().saturating_sub(self.height));
        let shown: Vec<Line> = lines.iter().skip(self.scroll).take(self.height).cloned().collect();
        frame.render_widget(Paragraph::new(shown), body);
        let mut pairs = hints.to_vec();
        let below = lines.len().saturating_sub(self.scroll + self.height);
        let more = format!("{} more lines", text::count(below as u64));
        if below > 0 {
            pairs.insert(0, (more, ""));
        }
        frame.render_widget(Paragraph::new(popup::hints(&pairs, foot.width, cx)), foot);
    }

    fn render(&self, width: usize, cx: &Cx) -> Vec<Line<'static>> {
        let theme = &cx.theme;
        let full = match &self.full {
            None => return vec![Line::styled("reading…", theme.style(Role::Dim))],
            Some(Err(err)) => {
                let hint = err.hint().map(|hint| format!("\n\n{hint}")).unwrap_or_default();
                let rows = super::tree::wrapped(&format!("{err}{hint}"), width);
                return rows.into_iter().map(|row| Line::styled(row, theme.style(Role::Bad))).collect();
            }
            Some(Ok(full)) => full,
        };
        let names = full.facts.iter().map(|(name, _)| text::width(name)).max().unwrap_or(0) + 2;
        let mut lines: Vec<Line<'static>> = Vec::new();
        for (name, value) in &full.facts {
            for (i, row) in super::tree::wrapped(value, width.saturating_sub(names)).into_iter().enumerate() {
                let name = if i == 0 { *name } else { "" };
                lines.push(Line::from(vec![
                    Span::styled(format!("{name:<names$}"), theme.style(Role::Dim)),
                    Span::styled(row, theme.style(Role::Text)),
                ]));
            }
        }
        lines.push(Line::raw(""));
        lines.extend(full.twigs.iter().flat_map(|twig| twig.lines(width, cx)));
        lines
    }
}

/// The only cell of a batch.
fn full(batch: &RecordBatch, about: &About, name: &str) -> Full {
    let array = batch.column(0);
    let column = about.columns.iter().find(|c| c.name == name);
    let unit = column.and_then(|c| c.unit.clone()).map(|unit| format!(" {unit}")).unwrap_or_default();
    let kind = column.map_or_else(String::new, |c| c.kind.clone());
    let mut out = Full { facts: vec![("type", format!("{kind}{unit}"))], twigs: Vec::new(), copy: String::new() };
    if array.is_null(0) {
        out.say("no value (null)".to_owned(), Role::Dim);
        out.copy.clear();
        return out;
    }
    if let Some(text) = about.geo.column(name).and_then(|geo| geometry(array, geo, &mut out.facts)) {
        out.say(text, Role::Text);
        return out;
    }
    match array.data_type() {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            dump(array, &mut out);
        }
        _ => match cell_json(array, 0) {
            value @ (Value::Object(_) | Value::Array(_)) => {
                out.copy = serde_json::to_string_pretty(&value).unwrap_or_default();
                out.twigs = twigs(&value);
            }
            _ => plain(batch, &mut out),
        },
    }
    out
}

impl Full {
    fn say(&mut self, text: String, role: Role) {
        self.copy.clone_from(&text);
        self.twigs = vec![Twig::line(text, role)];
    }
}

/// Text and single values; JSON in a text reads best as a tree.
fn plain(batch: &RecordBatch, out: &mut Full) {
    let whole = format_cell(batch, 0, 0);
    let is_text = matches!(batch.column(0).data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    if is_text {
        out.facts.push(("length", format!("{} characters", text::count(whole.chars().count() as u64))));
        if whole.trim_start().starts_with(['{', '['])
            && let Ok(value @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(&whole)
        {
            out.facts.push(("holds", "JSON".to_owned()));
            out.copy = whole;
            out.twigs = twigs(&value);
            return;
        }
    }
    let cut = whole.char_indices().nth(MOST_TEXT).map(|(at, _)| at);
    let text = cut.map_or_else(|| whole.clone(), |at| format!("{}…", &whole[..at]));
    out.say(text, if batch.column(0).data_type().is_numeric() { Role::Number } else { Role::Text });
}

/// Sixteen bytes a line, with what is printable of them.
fn dump(array: &ArrayRef, out: &mut Full) {
    let Ok(array) = arrow::compute::cast(array, &DataType::LargeBinary) else { return };
    let bytes = array.as_binary::<i64>().value(0);
    out.facts.push(("length", format!("{} bytes", text::count(bytes.len() as u64))));
    let mut lines = String::new();
    for (i, line) in bytes[..bytes.len().min(MOST_BYTES)].chunks(16).enumerate() {
        let hex: String = line.iter().fold(String::new(), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x} ");
            hex
        });
        let ascii: String = line.iter().map(|b| if (0x20..0x7f).contains(b) { char::from(*b) } else { '·' }).collect();
        let _ = writeln!(lines, "{:06x}  {hex:<48} {ascii}", i * 16);
    }
    if bytes.len() > MOST_BYTES {
        lines.push('…');
    }
    out.say(lines.trim_end().to_owned(), Role::Text);
    out.copy = bytes.iter().take(MOST_TEXT / 2).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
}

/// The Well-Known Text of a geometry, and what it is in words.
fn geometry(array: &ArrayRef, geo: &GeoColumn, facts: &mut Vec<(&'static str, String)>) -> Option<String> {
    let text = match &geo.encoding {
        Encoding::Wkb => wkb_column(array, MOST_TEXT)?,
        Encoding::Native(kind) => native_column(array, kind, MOST_TEXT)?,
        Encoding::Wkt => arrow::compute::cast(array, &DataType::Utf8).ok()?.as_string::<i32>().clone(),
    };
    let text = text.value(0).to_owned();
    let shape = Shape::of(&text);
    let stored = match &geo.encoding {
        Encoding::Wkb => "WKB".to_owned(),
        Encoding::Wkt => "WKT".to_owned(),
        Encoding::Native(kind) => format!("GeoArrow {kind}"),
    };
    facts.clear();
    facts.push(("type", format!("{}, stored as {stored}", shape.kind)));
    let least = if text.ends_with('…') { "at least " } else { "" };
    facts.push(("vertices", format!("{least}{}", text::count(shape.vertices))));
    if let Some([xmin, ymin, xmax, ymax]) = shape.bounds {
        facts.push(("bounds", format!("{xmin}, {ymin} to {xmax}, {ymax}")));
    }
    facts.push(("CRS", geo.crs.clone()));
    Some(text)
}

/// What a Well-Known Text tells of itself.
#[derive(Debug, PartialEq)]
struct Shape {
    kind: String,
    vertices: u64,
    /// `xmin, ymin, xmax, ymax`.
    bounds: Option<[f64; 4]>,
}

impl Shape {
    fn of(wkt: &str) -> Self {
        let kind: String = wkt.chars().take_while(|c| c.is_ascii_alphabetic() || *c == ' ').collect();
        let kind = kind.trim().trim_end_matches("EMPTY").trim().to_owned();
        let (mut vertices, mut bounds) = (0, None::<[f64; 4]>);
        for point in wkt.split(['(', ')', ',']) {
            let mut numbers = point.split_whitespace().map_while(|n| n.parse::<f64>().ok());
            let (Some(x), Some(y)) = (numbers.next(), numbers.next()) else { continue };
            vertices += 1;
            let b = bounds.get_or_insert([x, y, x, y]);
            *b = [b[0].min(x), b[1].min(y), b[2].max(x), b[3].max(y)];
        }
        Self { kind, vertices, bounds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{BinaryArray, StringArray};

    #[test]
    fn a_geometry_tells_its_type_vertices_and_bounds() {
        let shape = Shape::of("MULTIPOLYGON Z (((0 1 5, 10 -2 5, 3 4 5, 0 1 5)), ((20 20 0, 21 20 0, 20 20 0)))");
        assert_eq!((shape.kind.as_str(), shape.vertices), ("MULTIPOLYGON Z", 7));
        assert_eq!(shape.bounds, Some([0.0, -2.0, 21.0, 20.0]));
        assert_eq!(Shape::of("POINT EMPTY"), Shape { kind: "POINT".into(), vertices: 0, bounds: None });
        assert_eq!(Shape::of("invalid WKB").vertices, 0);
    }

    #[test]
    fn bytes_become_a_dump_and_json_in_a_text_a_tree() {
        let about = |_: &RecordBatch| About {
            facts: crate::facts::Facts::default(),
            schema: Arc::new(arrow::datatypes::Schema::empty()),
            columns: Vec::new(),
            geo: crate::table::Geo::default(),
            total_rows: None,
            seen_rows: 0,
            pairs: Vec::new(),
        };
        let of = |array: ArrayRef| {
            let batch = RecordBatch::try_from_iter([("a", array)]).expect("a batch");
            full(&batch, &about(&batch), "a")
        };
        let bytes = of(Arc::new(BinaryArray::from_vec(vec![b"PAR1\x00"])));
        let line = "000000  50 41 52 31 00                                   PAR1·";
        assert_eq!((bytes.twigs[0].value.as_str(), bytes.copy.as_str()), (line, "5041523100"));
        let json = of(Arc::new(StringArray::from(vec!["{\"a\": [1, 2]}"])));
        assert_eq!(json.twigs[0].name, "a");
        let null = of(Arc::new(StringArray::from(vec![None::<&str>])));
        assert_eq!((null.twigs[0].value.as_str(), null.copy.as_str()), ("no value (null)", ""));
    }
}
